package imports

// A row says what the packages of one folder may import. Files other than tests
// are held to it to the letter, tests as said at testOutside and testWithin.
type row struct {
	// folder is a path from the module's root; "/..." at its end takes in what
	// lies below. The longest row that takes in a folder is the one that counts.
	folder string
	// why is what the folder is for, as far as it explains the rule.
	why string
	// within are folders of this module, written as folder is; or all.
	within []string
	// outside are import paths of other modules, with what lies below; or all.
	outside []string
	// std are the packages of the standard library that are banned.
	std []ban
	// tests are further folders, and paths of other modules, that its tests may import.
	tests []string
	// clock folders read the time by internal/clock, and not by time.Now.
	clock bool
	// pure folders also contain no go or select statement, and use none of bannedUses.
	pure bool
}

// all, in row.within or row.outside, bans nothing.
const all = "..."

// Import paths of other modules, named by what they are for here.
const (
	btree      = "github.com/google/btree"
	cobra      = "github.com/spf13/cobra"
	consistent = "github.com/buraksezer/consistent"
	datadriven = "github.com/cockroachdb/datadriven"
	goFuse     = "github.com/hanwen/go-fuse/v2"
	goPretty   = "github.com/jedib0t/go-pretty/v6"
	grpc       = "google.golang.org/grpc"
	hclog      = "github.com/hashicorp/go-hclog" // the logger in raft's configuration
	memberlist = "github.com/hashicorp/memberlist"
	mpb        = "github.com/vbauerster/mpb/v8"
	pebble     = "github.com/cockroachdb/pebble/v2"
	pflag      = "github.com/spf13/pflag"
	porcupine  = "github.com/anishathalye/porcupine"
	protobuf   = "google.golang.org/protobuf"
	raft       = "github.com/hashicorp/raft"
	raftBolt   = "github.com/hashicorp/raft-boltdb/v2"
	term       = "golang.org/x/term"
	uuid       = "github.com/google/uuid"
	xsys       = "golang.org/x/sys"
	xxhash     = "github.com/cespare/xxhash/v2"
)

// Other modules that tests may import besides what their row allows.
var testOutside = []string{"go.uber.org/goleak", "pgregory.net/rapid"}

// Folders that tests may import besides what their row allows, if it isn't pure.
var testWithin = []string{"internal/member", "internal/proctest"}

var table = []row{
	{
		folder: "ring/...", pure: true, std: pureBans,
		why:     "ring is pure values that every other package builds on: partitions, slots, placement, preference lists",
		within:  []string{"ring/..."},
		outside: []string{consistent, xxhash},
	},
	{
		folder: "causal/...", pure: true, std: pureBans,
		why:     "causal is pure values that every other package builds on: dots, vectors, siblings, contexts",
		within:  []string{"causal/..."},
		outside: []string{xxhash},
	},
	{
		folder: "crdt/...", pure: true, std: pureBans,
		why:    "crdt is data types as pure values over causality, and knows neither placement nor storage",
		within: []string{"crdt/...", "causal/..."},
	},
	{
		folder: "replica/...", pure: true, std: pureBans,
		why:    "replica is the messages between coordinators, vnodes and transfers as values; it knows none of those who send them",
		within: []string{"replica/...", "ring/...", "causal/...", "crdt/..."},
	},
	{
		folder:  "storage/...",
		why:     "storage is bytes in, bytes out: what the bytes mean is its callers' affair",
		within:  []string{"storage/..."},
		outside: []string{pebble, btree},
	},
	{
		folder: "vnode", pure: true, std: pureBans,
		why:     "vnode is a step machine that the simulator steps too: the world comes in as arguments, and quorums and peers are not its affair",
		within:  []string{"ring/...", "causal/...", "crdt/...", "replica/...", "storage"},
		outside: []string{xxhash},
		tests:   []string{"storage/simstore"},
	},
	{
		folder: "vnode/executor", std: driverBans, clock: true,
		why:    "the executor's driver runs vnode's step machine on goroutines over a storage engine, and nothing else",
		within: []string{"vnode", "ring/...", "causal/...", "crdt/...", "replica/...", "storage", "internal/clock"},
		tests:  []string{"storage/simstore", "storage/pebblestore", pebble},
	},
	{
		folder: "quorum", pure: true, std: pureBans,
		why:    "quorum is the step machines of one request: it reaches vnodes by messages only, local ones too",
		within: []string{"ring/...", "causal/...", "crdt/...", "replica/..."},
		tests:  []string{datadriven},
	},
	{
		folder: "handoff", pure: true, std: pureBans,
		why:    "handoff decides what moves and when, as a step machine: plans and messages are values",
		within: []string{"ring/...", "causal/...", "crdt/...", "replica/..."},
		tests:  []string{"vnode", "storage", "storage/simstore", "quorum"},
	},
	{
		folder: "cluster/...", clock: true,
		why:     "cluster agrees on members, ring and bucket types; data and the client's wire are not its affair, and its transport is handed to it",
		within:  []string{"cluster/...", "ring/...", "replica", "internal/clock"},
		outside: []string{memberlist, raft, raftBolt, hclog, uuid},
	},
	{
		folder: "api/...", clock: true,
		why: "the services in api translate between the wire and the packages below, and nothing more",
		within: []string{
			"api/...", "ring/...", "causal/...", "crdt/...", "replica/...", "storage/...",
			"vnode/...", "cluster/...", "quorum/...", "handoff/...", "internal/clock",
		},
		outside: []string{grpc, protobuf},
	},
	{
		folder:  "api/ringd/v1",
		why:     "generated code, which clients import: it brings nothing of the server with it",
		outside: []string{grpc, protobuf},
	},
	{
		folder:  "client/...",
		why:     "the client is imported by programs that are no members: it brings nothing of the server with it",
		within:  []string{"client/...", "api/ringd/v1", "ring/...", "causal/..."},
		outside: []string{grpc, protobuf},
	},
	{
		folder:  "cmd/ringd/...",
		why:     "ringd wires everything together",
		within:  []string{all},
		outside: []string{all},
	},
	{
		folder:  "cmd/ringctl/...",
		why:     "ringctl is a client that prints: what it needs to know, a member tells it",
		within:  []string{"cmd/ringctl/...", "client/...", "api/ringd/v1"},
		outside: []string{grpc, protobuf, cobra, pflag, goPretty, mpb, term},
	},
	{
		folder: "jepsen/...",
		why:    "jepsen judges ringd from outside: it must not share the code that it judges",
		within: []string{"jepsen/...", "client/...", "api/ringd/v1", "internal/plants", "internal/process"},
		// What reaches members and hosts, and what judges: no part of ringd's own machinery.
		outside: []string{grpc, protobuf, cobra, pflag, goFuse, porcupine, xsys},
	},
	{
		folder: "internal/member/...", clock: true,
		why:     "member wires one member, for ringd and for tests",
		within:  []string{all},
		outside: []string{all},
	},
	{
		folder: "internal/peer/...", clock: true,
		why:     "peer carries messages between members and does not look into what they do to data",
		within:  []string{"internal/peer/...", "ring/...", "causal/...", "crdt/...", "replica/...", "internal/clock"},
		outside: []string{grpc, protobuf},
	},
	{
		folder:  "internal/peer/peerpb",
		why:     "generated code: only what generated code needs",
		outside: []string{grpc, protobuf},
	},
	{
		folder: "internal/sim/...", pure: true, std: pureBans,
		why: "the simulator steps the machines in one thread, so that a seed gives the same history every time",
		within: []string{
			"internal/sim/...", "ring/...", "causal/...", "crdt/...", "replica/...",
			"vnode", "quorum", "handoff", "storage/...",
			"cluster", // for its State, whose commands are functions of state and command; never a Node
		},
		outside: []string{xxhash},
		tests:   []string{"internal/plants"},
	},
	{
		folder: "internal/model/...", pure: true, std: pureBans,
		why:    "the models explore the steps of causal and handoff, and are held against vnodes",
		within: []string{"causal", "handoff"},
		tests:  []string{"replica", "ring", "storage", "storage/simstore", "vnode"},
	},
	{
		folder: "internal/clock",
		why:    "clock is where a member reads the time: whoever imports it brings nothing else in",
	},
	{
		folder: "internal/process",
		why:    "process starts ringd and knows nothing of what it does",
	},
	{
		folder:  "internal/proctest/...",
		why:     "proctest starts real ringd processes and speaks to them as any client does",
		within:  []string{"internal/proctest/...", "internal/process", "client/...", "api/ringd/v1"},
		outside: []string{grpc},
	},
	{
		folder: "internal/plants",
		why:    "plants are edits of source text: they must not need what they break to build",
	},
	{
		folder: "internal/imports",
		why:    "the import test reads source files; it must build when nothing else does",
	},
}
