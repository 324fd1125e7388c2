package nemesis

import (
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// How long it is calm between two faults of a kind, and how long a fault lasts:
// long enough for members to notice each, short enough for several in a minute.
const (
	calmMin, calmMax = 1 * time.Second, 5 * time.Second
	holdMin, holdMax = 2 * time.Second, 12 * time.Second
	// tail at the end of a run has no faults, so that what comes back does so
	// under load.
	tail = 3 * time.Second
	// atLeast is what a run has to last to have a fault in it.
	atLeast = 2 * tail
)

// Step is one fault to come. What it does to whom is up to Seed and to the members
// that there are by then.
type Step struct {
	At   time.Duration
	For  time.Duration
	Seed uint64
}

// Schedule returns when one nemesis of a run breaks something: a function of its
// arguments. Steps don't overlap and end before total. Each nemesis of a mix has
// a schedule of its own, so that faults of different kinds meet.
func Schedule(seed uint64, name string, total time.Duration) []Step {
	rng := rand.New(rand.NewPCG(seed, hash(name)))
	var steps []Step
	for at := between(rng, calmMin, calmMax); ; at += between(rng, calmMin, calmMax) {
		s := Step{At: at, For: between(rng, holdMin, holdMax), Seed: rng.Uint64()}
		if len(steps) == 0 && total >= atLeast && s.At+s.For > total-tail {
			s.At = min(s.At, (total-tail)/3)
			s.For = total - tail - s.At
		}
		if s.At+s.For > total-tail {
			return steps
		}
		steps = append(steps, s)
		at = s.At + s.For
	}
}

func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least))).Round(time.Millisecond)
}

func hash(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return h.Sum64()
}
