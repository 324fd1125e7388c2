package moves_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
	"github.com/ringd/ringd/storage/simstore"
	"github.com/ringd/ringd/vnode"
)

// twin is the vnodes of A and D, stepped beside the model.
type twin struct {
	t     *testing.T
	run   *run
	base  *ring.Ring
	hosts [memberX]*host
	lives map[[2]uint8]uint64 // by member and the model's life
	way   []what              // taken so far
}

type host struct {
	id      uint8
	disk    *simstore.Store
	machine *vnode.Executor
	ring    *ring.Ring
	moves   map[ring.PartitionID]replica.Move
}

const part = ring.PartitionID(0)

var idOf = [members]ring.MemberID{{15: 1}, {15: 2}, {15: 3}, {15: 4}}

func newTwin(t *testing.T, r *run, s *state) *twin {
	t.Helper()
	tw := &twin{t: t, run: r, lives: make(map[[2]uint8]uint64)}
	empty, err := ring.New(ring.Config{Seed: 1, Partitions: 8, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	slots := make([][]ring.MemberID, empty.Partitions())
	for p := range slots {
		slots[p] = []ring.MemberID{idOf[memberA], idOf[memberX], idOf[memberY]}
	}
	if tw.base, err = empty.WithSlots(ring.Epoch{Generation: 1, Number: 1}, slots); err != nil {
		t.Fatal(err)
	}
	for m := range memberX {
		h := &host{id: m, disk: simstore.New()}
		h.ring, h.moves = tw.view(s, s.m[m].view)
		tw.hosts[m] = h
		tw.start(h)
	}
	return tw
}

var drawn uint64

func (tw *twin) start(h *host) {
	c := vnode.DefaultConfig()
	c.Self, c.Ring, c.Moves, c.Types = idOf[h.id], h.ring, h.moves, map[string]int{"default": 3}
	c.StartCount, c.HintBytesMax = 1, 1<<30
	c.Random = func() uint64 { drawn++; return 1000 + drawn }
	h.machine = vnode.NewExecutor(c, vnode.NewKV(c))
}

// view is the ring after so many entries of the log, and the moves under way then.
func (tw *twin) view(s *state, entry uint8) (*ring.Ring, map[ring.PartitionID]replica.Move) {
	tw.t.Helper()
	r := tw.base
	for i := uint8(1); i <= entry; i++ {
		e := s.log[i]
		if e.epoch == s.log[i-1].epoch {
			continue
		}
		next, err := r.WithArrivals(ring.Epoch{Generation: 1, Number: uint64(e.epoch)}, []ring.Arrived{{
			Slot: ring.Slot{Partition: part}, Owner: idOf[e.owner], Number: uint64(e.arrival),
		}})
		if err != nil {
			tw.t.Fatal(err)
		}
		r = next
	}
	moves := make(map[ring.PartitionID]replica.Move)
	if m, ok := tw.run.under(s.log[entry]); ok {
		moves[part] = replica.Move{
			Number: uint64(s.log[entry].move), Partition: part, From: idOf[m.from], To: idOf[m.to], Rebuild: m.rebuild, Sources: replica.AllSources,
		}
	}
	return r, moves
}

func (h *host) step(events ...vnode.Event) replica.Message {
	now := time.Unix(1_000_000, 0)
	fx := h.machine.Step(now, events, h.disk)
	answers := fx.Answers
	if fx.Batch != nil {
		if _, err := h.disk.Apply(fx.Batch); err != nil {
			panic(err)
		}
		h.disk.Sync()
		answers = append(answers, h.machine.Step(now, []vnode.Event{vnode.Synced{Batch: fx.ID}}, h.disk).Answers...)
	}
	if len(answers) == 0 {
		return nil
	}
	return answers[len(answers)-1].Envelope.Message
}

// ask has a vnode take a message, made with the ring that it knows, and says whether
// it did.
func (h *host) ask(from uint8, m replica.Message) (replica.Message, bool) {
	answer := h.step(vnode.Request{Reply: "r", Envelope: replica.Envelope{
		From: idOf[from], To: idOf[h.id], Epoch: h.ring.Epoch(), Partition: part, Message: m,
	}})
	_, failed := answer.(replica.Failure)
	return answer, !failed && answer != nil
}

// life has a vnode that lets itself be compared tell its life.
func (tw *twin) life(s *state, m, from uint8) uint64 {
	tw.t.Helper()
	a, _ := tw.hosts[m].ask(from, replica.Capture{Look: true})
	captured, ok := a.(replica.CaptureAnswer)
	if !ok {
		tw.t.Fatalf("%s is not compared: %v", names[m], a)
	}
	tw.lives[[2]uint8{m, s.m[m].life}] = captured.Life
	return captured.Life
}

// follow does at the vnodes what a step of the model does.
func (tw *twin) follow(w what, before, after *state) {
	tw.t.Helper()
	expect := func(m, from uint8, message replica.Message, want bool) {
		tw.t.Helper()
		if a, ok := tw.hosts[m].ask(from, message); ok != want {
			tw.t.Fatalf("%s answers %T of %s with %+v; the model's takes it: %v, after %q", names[m], message, names[from], a, want, tw.way)
		}
	}
	message, taken := before.op.message, after.op.answered
	switch w.kind {
	case lateArrives[inheriting], lateArrives[settling]:
		message = before.late
		next := *before
		taken, _ = tw.run.take(&next, message)
		fallthrough
	case arrives[inheriting], arrives[settling]:
		move := tw.run.moves[message.number]
		if before.at(move.to).epoch != message.epoch {
			break // refused for its ring
		}
		if message.stage == inheriting {
			expect(move.to, move.from, replica.Inherit{Move: uint64(message.number)}, taken)
		} else {
			expect(move.to, move.from, replica.Settle{Move: uint64(message.number), Life: tw.lives[[2]uint8{move.to, message.life}]}, taken)
		}
	case stepCompare:
		tw.life(after, tw.run.moves[after.op.number].to, tw.run.moves[after.op.number].from)
	case stepFence:
		expect(w.who, w.who, replica.Fence{Move: uint64(w.number)}, after.op.stage == fenced)
	case stepInherit:
		expect(w.who, w.who, replica.Inherit{Move: uint64(before.at(w.who).arrival), Rebuild: true}, true)
	case stepHeard:
		for m := range memberX {
			if before.m[m].heard != after.m[m].heard {
				expect(m, m, replica.Heard{From: idOf[w.who]}, true)
			}
		}
	case stepRestore:
		for m := range memberX {
			if before.m[m].sources != after.m[m].sources {
				expect(m, m, replica.Adopt{From: idOf[w.who], Life: tw.life(after, m, m), Complete: true}, true)
			}
		}
	case stepDrop:
		expect(w.who, w.who, replica.Drop{}, true)
	case stepCrash, stepWipe:
		if w.who < memberX {
			tw.restart(tw.hosts[w.who], before, w.kind == stepWipe)
		}
	}
	for m, h := range tw.hosts {
		for view := before.m[m].view; view < after.m[m].view; view++ {
			h.ring, h.moves = tw.view(after, view+1)
			h.step(vnode.Installed{Ring: h.ring, Moves: h.moves, HintBytesMax: 1 << 30})
		}
	}
}

func (tw *twin) restart(h *host, s *state, wiped bool) {
	h.disk = h.disk.Crash(0)
	if wiped {
		b := new(storage.Batch)
		for _, r := range storage.PartitionRanges(uint32(part)) {
			b.DeleteRange(r.Lower, r.Upper)
		}
		e := s.at(h.id)
		leaving := uint64(0)
		if m, ok := tw.run.under(e); ok && m.from == h.id && !m.rebuild {
			leaving = uint64(e.move)
		}
		if err := vnode.Lose(b, simstore.New(), part, 3, e.owner == h.id, uint64(e.arrival), leaving); err != nil {
			tw.t.Fatal(err)
		}
		if _, err := h.disk.Apply(b); err != nil {
			tw.t.Fatal(err)
		}
		h.disk.Sync()
	}
	tw.start(h)
}

// compare holds what the vnodes take against what the model's do.
func (tw *twin) compare(s *state) {
	tw.t.Helper()
	object := causal.AppendObject(nil, object{live: 1, covered: 1}.causal())
	k := replica.Key{Type: "default", Bucket: "b", Key: "k"}
	for m, h := range tw.hosts {
		for _, c := range []struct {
			kind    kind
			message replica.Message
		}{
			{reads, replica.Read{Key: k}},
			{stores, replica.Store{Key: k, Object: object}},
			{compares, replica.Capture{Look: true}},
		} {
			for from := range members {
				want := tw.run.admit(s, uint8(m), c.kind, from)
				if a, ok := h.ask(from, c.message); ok != want {
					tw.t.Fatalf("%s answers %T of %s with %+v; the model's takes it: %v, after %q", names[m], c.message, names[from], a, want, tw.way)
				}
			}
		}
	}
}

// TestTheModelIsTheVnodes walks through the narrow scenarios at random, and has
// vnodes of the project take the same steps: after each, they have to admit what
// those of the model do, and refuse what those refuse.
func TestTheModelIsTheVnodes(t *testing.T) {
	for name, sc := range narrow {
		if sc.damage != 0 {
			continue // vnodes have no such thing
		}
		t.Run(name, func(t *testing.T) {
			sc.lazy, sc.reads = 0, false
			r := &run{&sc, allRules}
			rng := rand.New(rand.NewPCG(1, 2))
			steps := 0
			for range 25 {
				s := r.start()
				tw := newTwin(t, r, &s)
				var way []what
				for range 80 {
					var next []state
					var taken []what
					r.steps(&s, func(w what, to *state) { next, taken = append(next, *to), append(taken, w) })
					if len(next) == 0 {
						break
					}
					i := rng.IntN(len(next))
					way = append(way, taken[i])
					tw.way = way
					tw.follow(taken[i], &s, &next[i])
					s = next[i]
					tw.compare(&s)
					steps++
				}
			}
			t.Logf("%d steps", steps)
		})
	}
}
