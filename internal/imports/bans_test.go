package imports

import (
	"slices"
	"strings"
)

// A ban refuses a package of the standard library, and what lies below it.
type ban struct {
	path   string
	why    string
	except []string // packages below path that are allowed
}

// covers reports whether the ban is on the package with that import path.
func (b ban) covers(path string) bool {
	if slices.Contains(b.except, path) {
		return false
	}
	return path == b.path || strings.HasPrefix(path, b.path+"/")
}

// What would make a step machine's history differ from run to run, or reach the
// world past the arguments of its step.
var pureBans = []ban{
	{path: "os", why: "files, environment and processes are the driver's: a pure package sees only its arguments"},
	{path: "io/ioutil", why: "files are the driver's: a pure package sees only its arguments"},
	{path: "path/filepath", why: "it reads the file system and differs between systems"},
	{path: "syscall", why: "the operating system is the driver's: a pure package sees only its arguments"},
	{path: "net", why: "the network is the driver's: messages come in as events and go out as effects", except: []string{"net/netip"}},
	{path: "sync", why: "one thread steps the machine: who would share it has to guard it outside"},
	{path: "context", why: "deadlines and cancelling come in as events, at a time that the driver names"},
	{path: "log", why: "what is worth telling is an effect or a typed event: logs are listeners"},
	{path: "runtime", why: "the number of cores, the collector and stacks differ from run to run"},
	{path: "unsafe", why: "values are compared and encoded by what they hold, not by where they lie"},
	{path: "math/rand", why: "it has a global source: take a *rand.Rand of math/rand/v2 as an argument", except: []string{"math/rand/v2"}},
	{path: "crypto/rand", why: "randomness is an argument: the same seed gives the same history"},
	{path: "hash/maphash", why: "its seed differs from process to process: hash with xxhash"},
	{path: "flag", why: "settings come in as arguments that Validate has seen"},
	{path: "expvar", why: "metrics are listeners to typed events"},
	{path: "testing", why: "only tests import it"},
}

// What the driver of a step machine leaves to those who construct it.
var driverBans = []ban{
	{path: "os", why: "the driver reaches the disk by the engine that it is given"},
	{path: "net", why: "the driver reaches peers by what it is given to send with", except: []string{"net/netip"}},
	{path: "testing", why: "only tests import it"},
}

// A use refuses names of a package that may be imported otherwise, in pure folders.
type use struct {
	pkg   string
	names []string // the names refused, or if allow is set, the only ones not refused
	allow bool
	why   string
}

var bannedUses = []use{
	{
		pkg:   "time",
		names: []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"},
		why:   "time is an argument: the simulator's clock is not this machine's",
	},
	{
		pkg:   "time",
		names: []string{"Local", "LoadLocation"},
		why:   "the time zone is read from the environment",
	},
	{
		pkg: "math/rand/v2", allow: true,
		names: []string{"New", "NewPCG", "NewChaCha8", "NewZipf", "Rand", "Source", "PCG", "ChaCha8", "Zipf"},
		why:   "the global source has no seed: take a *rand.Rand as an argument",
	},
	{
		pkg:   "fmt",
		names: []string{"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
		why:   "standard input and output are the driver's",
	},
}

// refuses reports whether the name, of package u.pkg, is one that must not be used.
func (u use) refuses(name string) bool {
	return slices.Contains(u.names, name) != u.allow
}
