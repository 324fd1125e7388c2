package sim

import (
	"bytes"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/ring"
)

// Config describes a run. All of it, and the seed, decide the history.
type Config struct {
	Seed       uint64
	Members    int
	Replicas   int
	Partitions int
	Keys       int // contended: few
	Clients    int
	Operations int // over all clients
	// Chances in percent.
	Loss, Duplicate int
	DelayMax        time.Duration
	SyncMax         time.Duration // what a sync takes at the most
	// Crashes and Stops over the run: power loss, and clean shutdown.
	Crashes, Stops int
	// Blackouts are crashes of all members at once.
	Blackouts int
	// Pauses stop a member for a while without it noticing.
	Pauses int
	// Emptied: one member loses all that its vnodes stored. What is promised then is
	// less: what a quorum acknowledged. The clients ask for no less than that.
	Emptied bool
}

// DefaultConfig is five members that a few clients use hard while messages get
// lost and members crash.
func DefaultConfig(seed uint64) Config {
	return Config{
		Seed: seed, Members: 5, Replicas: 3, Partitions: 8, Keys: 3, Clients: 10, Operations: 600,
		Loss: 2, Duplicate: 2, DelayMax: 10 * time.Millisecond, SyncMax: 25 * time.Millisecond,
		Crashes: 8, Stops: 2, Blackouts: 8, Pauses: 3,
	}
}

// Report is the outcome of a run.
type Report struct {
	History    []byte   // what happened, a line each
	Violations []string // of what ringd promises
	// Reached counts the states that a run is meant to get into.
	Reached map[string]int
}

// world is the run under way.
type world struct {
	config  Config
	rng     *rand.Rand
	now     time.Time
	queue   queue
	serial  int
	members []*member
	byID    map[ring.MemberID]*member
	ring    *ring.Ring
	key     causal.ContextKey
	history bytes.Buffer
	check   *checker
	reached map[string]int
	healed  bool
	clients int // that have operations left
}

// Run carries out one run.
func Run(config Config) (Report, error) {
	w := &world{
		config:  config,
		rng:     rand.New(rand.NewPCG(config.Seed, 0x9e3779b97f4a7c15)),
		now:     time.Unix(1_000_000_000, 0),
		byID:    make(map[ring.MemberID]*member),
		check:   newChecker(config.Emptied),
		reached: make(map[string]int),
		key:     causal.NewContextKey([]byte("simulated cluster")),
	}
	if err := w.build(); err != nil {
		return Report{}, err
	}
	w.scheduleFaults()
	w.startClients()
	w.startRepairs()
	w.drain()
	w.heal()
	w.drain()
	w.converge()
	w.checkTrees()
	w.check.final(w)
	w.forget()
	w.check.final(w)
	return Report{History: w.history.Bytes(), Violations: w.check.violations, Reached: w.reached}, nil
}

func (w *world) build() error {
	var planned []ring.Member
	for i := range w.config.Members {
		id := ring.MemberID{15: byte(i + 1)}
		m := newMember(w, id, fmt.Sprintf("m%d", i+1))
		w.members = append(w.members, m)
		w.byID[id] = m
		planned = append(planned, ring.Member{ID: id, Weight: 1})
	}
	empty, err := ring.New(ring.Config{Seed: 7, Partitions: w.config.Partitions, Replicas: w.config.Replicas})
	if err != nil {
		return err
	}
	placement, err := ring.Plan(empty, planned)
	if err != nil {
		return err
	}
	if w.ring, err = empty.WithSlots(ring.Epoch{Generation: 1, Number: 1}, placement.Slots); err != nil {
		return err
	}
	for _, m := range w.members {
		m.start(true)
	}
	return nil
}

// drain runs events until nothing is left to happen.
func (w *world) drain() {
	for w.queue.Len() > 0 {
		e := heap.Pop(&w.queue).(scheduled)
		w.now = e.at
		e.do()
	}
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

func (w *world) log(format string, args ...any) {
	fmt.Fprintf(&w.history, "%v ", w.now.Sub(time.Unix(1_000_000_000, 0)))
	fmt.Fprintf(&w.history, format, args...)
	w.history.WriteByte('\n')
}

// heal ends all faults and starts all members.
func (w *world) heal() {
	w.healed = true
	w.log("heal")
	for _, m := range w.members {
		if !m.up {
			m.start(true)
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
