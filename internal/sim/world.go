package sim

import (
	"bytes"
	"container/heap"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/ring"
)

// Config describes a run. All of it, and the seed, decide the history.
type Config struct {
	Seed       uint64
	Members    int // at the beginning
	Replicas   int
	Partitions int
	Keys       int // contended: few
	Clients    int
	Operations int           // over all clients
	Length     time.Duration // at the least, before all is healed
	SyncMax    time.Duration // what a sync takes at the most
	DelayMax   time.Duration // what a message takes at the most
	// Faults are the kinds of fault; none leaves them to the seed.
	Faults []Fault
}

// DefaultConfig is five members that a few clients use hard for a minute, while
// whatever the seed says goes wrong.
func DefaultConfig(seed uint64) Config {
	return Config{
		Seed: seed, Members: 5, Replicas: 3, Partitions: 8, Keys: 6, Clients: 10, Operations: 1000,
		Length: time.Minute, SyncMax: 25 * time.Millisecond, DelayMax: 10 * time.Millisecond,
	}
}

// Report is the outcome of a run.
type Report struct {
	History    []byte   // what happened, a line each
	Faults     []Fault  // the kinds of them
	Violations []string // of what ringd promises
	// Keys are those that violations name.
	Keys []string
	// Operations that clients made; of Unknown ones nobody can tell the outcome.
	Operations, Unknown int
	// Reached counts the states that a run is meant to get into.
	Reached map[string]int
}

// unknownMax is the share of operations, in percent, above which a run tells nothing.
const unknownMax = 20

// TellsNothing says that of too many operations the outcome is unknown.
func (r Report) TellsNothing() bool { return r.Unknown*100 > r.Operations*unknownMax }

// world is the run under way.
type world struct {
	config  Config
	rng     *rand.Rand
	now     time.Time
	queue   queue
	serial  int
	members []*member // that ever were
	named   int
	byID    map[ring.MemberID]*member
	agreed  *agreedLog
	net     *network
	faults  faults
	key     causal.ContextKey
	history bytes.Buffer
	check   *checker
	reached map[string]int
	// reaped counts what owners have forgotten.
	reaped map[ring.PartitionID]map[ring.MemberID]int
	// healed: nothing goes wrong any more. settled: nothing is begun any more.
	healed, settled bool
	clients         int // that have operations left
}

var begin = time.Unix(1_000_000_000, 0)

// Run carries out one run.
func Run(config Config) (Report, error) {
	w := &world{
		config:  config,
		rng:     rand.New(rand.NewPCG(config.Seed, 0x9e3779b97f4a7c15)),
		now:     begin,
		byID:    make(map[ring.MemberID]*member),
		reached: make(map[string]int),
		reaped:  make(map[ring.PartitionID]map[ring.MemberID]int),
		key:     causal.NewContextKey([]byte("simulated cluster")),
	}
	w.net = &network{w: w, links: make(map[[2]*member]*link), delayMax: config.DelayMax}
	w.drawFaults()
	w.check = newChecker(w)
	if err := w.build(); err != nil {
		return Report{}, err
	}
	w.scheduleFaults()
	w.startClients()
	for w.clients > 0 || w.now.Before(begin.Add(config.Length)) {
		w.drainUntil(w.now.Add(100 * time.Millisecond))
	}
	w.heal()
	w.settle()
	w.converge()
	w.checkTrees()
	w.check.final()
	w.forget()
	w.check.final()
	return Report{
		History: w.history.Bytes(), Faults: w.faults.kinds, Violations: w.check.violations,
		Keys:       slices.Sorted(maps.Keys(w.check.keys)),
		Operations: w.check.operations, Unknown: w.check.unknown, Reached: w.reached,
	}, nil
}

// build starts the first members, and gives them the slots.
func (w *world) build() error {
	var err error
	if w.agreed, err = newAgreedLog(w); err != nil {
		return err
	}
	for range w.config.Members {
		if _, err := w.join(); err != nil {
			return err
		}
	}
	planned, err := w.agreed.state.Planned()
	if err != nil {
		return err
	}
	placement, err := ring.Plan(planned.Ring, planned.Candidates())
	if err != nil {
		return err
	}
	c := w.agreed.state.CommitOf(placement, false)
	if err := w.agreed.apply(cluster.Command{CommitPlan: &c}); err != nil {
		return err
	}
	for _, m := range w.members {
		m.state = w.agreed.state
		m.start()
	}
	w.drainUntil(w.now.Add(time.Second))
	return nil
}

// drain runs events until nothing is left to happen.
func (w *world) drain() {
	for w.queue.Len() > 0 {
		w.next()
	}
}

// drainUntil runs the events up to a time.
func (w *world) drainUntil(t time.Time) {
	for w.queue.Len() > 0 && !w.queue[0].at.After(t) {
		w.next()
	}
	w.now = t
}

func (w *world) next() {
	e := heap.Pop(&w.queue).(scheduled)
	if e.at.After(w.now) {
		w.now = e.at
	}
	e.do()
}

func (w *world) after(d time.Duration, do func()) { w.at(w.now.Add(d), do) }

func (w *world) at(t time.Time, do func()) {
	w.serial++
	heap.Push(&w.queue, scheduled{at: t, serial: w.serial, do: do})
}

// upTo draws a duration in (0, most].
func (w *world) upTo(most time.Duration) time.Duration {
	return time.Duration(w.rng.Int64N(int64(most))) + 1
}

func (w *world) chance(percent int) bool { return !w.healed && w.rng.IntN(100) < percent }

// reach counts that the run got into a state.
func (w *world) reach(state string) { w.reached[state]++ }

func (w *world) log(format string, args ...any) {
	fmt.Fprintf(&w.history, "%v ", w.now.Sub(begin))
	fmt.Fprintf(&w.history, format, args...)
	w.history.WriteByte('\n')
}

// heal ends all faults and starts all members.
func (w *world) heal() {
	w.healed = true
	w.log("heal")
	for _, number := range slices.Sorted(maps.Keys(w.faults.undo)) {
		w.close(number)
	}
	for _, l := range w.net.links {
		l.cuts = 0
	}
	w.agreed.outUntil = time.Time{}
	for _, m := range w.members {
		m.lagUntil, m.pausedUntil = time.Time{}, time.Time{}
		m.disk.FailNextSync(nil)
		if !m.restored {
			m.start()
		}
		if m.dead {
			w.replaceLater(m)
		}
	}
}

// scheduled is something that happens at a time; what was scheduled first goes
// first among equals.
type scheduled struct {
	at     time.Time
	serial int
	do     func()
}

type queue []scheduled

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if !q[i].at.Equal(q[j].at) {
		return q[i].at.Before(q[j].at)
	}
	return q[i].serial < q[j].serial
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(scheduled)) }
func (q *queue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}
