package plants

import (
	"fmt"
	"slices"
	"strings"
)

// Plant is one bug.
type Plant struct {
	// Name says what the planted ringd does, in words joined by hyphens.
	Name string
	// Mistake is what was done wrong, and what clients see of it.
	Mistake string
	// Source is where the mistake was made, or is described, in the real world; empty
	// if nothing is known for sure.
	Source string
	Edits  []Edit
	// Simulated, if not nil, is how internal/sim finds it.
	Simulated *Simulated
}

// Edit replaces Old, which occurs exactly once in File, by New.
type Edit struct {
	File     string // from the module's root, with slashes
	Old, New string
}

// Simulated is what the simulation has to say of a ringd with the bug.
type Simulated struct {
	// Soon: within seconds, so that it is tried with every test.
	Soon bool
	// Violations are parts of what it reports, of which any tells the bug.
	Violations []string
}

// stale is what the simulation says of a strict read that misses an acknowledged strict
// write: it sees most bugs so before anything is missing in the end.
const stale = "a strict read is stale"

// All returns the plants, by name.
func All() []Plant {
	all := slices.Concat(causality, durability, quorums, repairs, moves)
	slices.SortFunc(all, func(a, b Plant) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Named returns the plant of that name.
func Named(name string) (Plant, error) {
	all := All()
	names := make([]string, len(all))
	for i, p := range all {
		if p.Name == name {
			return p, nil
		}
		names[i] = p.Name
	}
	return Plant{}, fmt.Errorf("there is no plant %q: use one of %s", name, strings.Join(names, ", "))
}

// Files are the files that the plant edits.
func (p Plant) Files() []string {
	var files []string
	for _, e := range p.Edits {
		if !slices.Contains(files, e.File) {
			files = append(files, e.File)
		}
	}
	return files
}

// Apply returns source, which is that of file, with the plant's edits made. An
// error says that the plant is not for this source any more.
func (p Plant) Apply(file, source string) (string, error) {
	for _, e := range p.Edits {
		if e.File != file {
			continue
		}
		if n := strings.Count(source, e.Old); n != 1 {
			return "", fmt.Errorf("plant %s: %s has %d times, instead of once, what is to be replaced; change the plant with the source:\n%s", p.Name, file, n, e.Old)
		}
		source = strings.Replace(source, e.Old, e.New, 1)
	}
	return source, nil
}
