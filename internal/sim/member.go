package sim

import (
	"time"

	"github.com/ringd/ringd/quorum"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
	"github.com/ringd/ringd/storage/simstore"
	"github.com/ringd/ringd/vnode"
)

// executorsPerMember is more than one, so that batches of several executors are
// in one log.
const executorsPerMember = 2

// member is a simulated ringd: its disk outlives its process.
type member struct {
	w          *world
	id         ring.MemberID
	name       string
	disk       *simstore.Store
	startCount uint64

	up bool
	// life counts processes: what was scheduled for an earlier one is dropped.
	life        int
	executors   []*executor
	pausedUntil time.Time
}

// executor is a vnode.Executor and its mailbox.
type executor struct {
	machine *vnode.Executor
	mailbox []vnode.Event
	awake   bool // a step is scheduled
}

func newMember(w *world, id ring.MemberID, name string) *member {
	return &member{w: w, id: id, name: name, disk: simstore.New()}
}

// start begins a new process on the member's disk. Proven: its start count was
// agreed on in time.
func (m *member) start(proven bool) {
	m.up = true
	m.life++
	if proven {
		m.startCount++
	}
	m.pausedUntil = time.Time{}
	m.executors = nil
	for i := range executorsPerMember {
		c := vnode.DefaultConfig()
		c.Self, c.Ring = m.id, m.w.ring
		c.Types = map[string]int{bucketType: m.w.config.Replicas}
		c.Index, c.Of = i, executorsPerMember
		c.StartCount, c.Proven = m.startCount, proven
		c.Random = m.w.rng.Uint64
		c.InlineBytes = 8 // so that values apart are common
		m.executors = append(m.executors, &executor{machine: vnode.NewExecutor(c, vnode.NewKV(c))})
	}
	m.w.log("%s starts, start count %d, proven %v", m.name, m.startCount, proven)
}

// crash loses power: of what was not synced, some part survives.
func (m *member) crash() {
	m.up = false
	lost := m.disk.Unsynced()
	if lost > 0 {
		m.w.reached["crash with unsynced batches"]++
	}
	keep := 0
	if lost > 0 {
		keep = m.w.rng.IntN(lost + 1)
	}
	m.disk = m.disk.Crash(keep)
	m.w.log("%s crashes, %d of %d unsynced batches survive", m.name, keep, lost)
}

// empty removes what the vnodes of a member that is down stored, which its next
// start finds out.
func (m *member) empty() {
	b := new(storage.Batch)
	for p := range m.w.config.Partitions {
		for _, r := range storage.PartitionRanges(uint32(p)) {
			b.DeleteRange(r.Lower, r.Upper)
		}
	}
	m.apply(b)
	b = new(storage.Batch)
	for p := range m.w.config.Partitions {
		owner := m.w.ring.IsOwner(ring.PartitionID(p), m.w.config.Replicas, m.id)
		if err := vnode.Lose(b, m.disk, ring.PartitionID(p), m.w.config.Replicas, owner, 0, 0); err != nil {
			panic(err)
		}
	}
	m.apply(b)
	m.w.reached["emptied store"]++
	m.w.log("%s is emptied", m.name)
}

func (m *member) apply(b *storage.Batch) {
	if _, err := m.disk.Apply(b); err != nil {
		panic(err)
	}
	m.disk.Sync()
}

// stop ends the process cleanly: the executors' last batches are synced.
func (m *member) stop() {
	for _, x := range m.executors {
		x.mailbox = append(x.mailbox, vnode.Stop{})
		m.step(x)
	}
	m.disk.Sync()
	m.up = false
	m.w.reached["clean stop"]++
	m.w.log("%s stops", m.name)
}

// alive says whether the process that life names still runs.
func (m *member) alive(life int) bool { return m.up && m.life == life }

// later runs do in this process, not while it is paused.
func (m *member) later(d time.Duration, do func()) {
	life := m.life
	m.w.after(d, func() { m.unpaused(life, do) })
}

func (m *member) unpaused(life int, do func()) {
	if !m.alive(life) {
		return
	}
	if m.w.now.Before(m.pausedUntil) {
		m.w.at(m.pausedUntil, func() { m.unpaused(life, do) })
		return
	}
	do()
}

// submit puts an event into the mailbox of p's executor.
func (m *member) submit(p ring.PartitionID, e vnode.Event) {
	x := m.executors[int(p)%executorsPerMember]
	x.mailbox = append(x.mailbox, e)
	m.wake(x)
}

func (m *member) wake(x *executor) {
	if x.awake {
		return
	}
	x.awake = true
	m.later(m.w.upTo(time.Millisecond), func() {
		x.awake = false
		m.step(x)
	})
}

func (m *member) step(x *executor) {
	if len(x.mailbox) == 0 {
		return
	}
	events := x.mailbox
	x.mailbox = nil
	fx := x.machine.Step(m.w.now, events, m.disk)
	if fx.Batch != nil {
		m.commit(x, fx.Batch, fx.ID)
	}
	for _, n := range fx.Notices {
		switch n.Kind {
		case vnode.NoticeNewActor:
			m.w.reached["new actor"]++
		case vnode.NoticeOwnDots:
			m.w.reached["own dots came in"]++
		case vnode.NoticeHintStored:
			m.w.reached["hint stored"]++
		case vnode.NoticeReadFailed, vnode.NoticeCommitFailed:
			m.w.check.violate("%s: %s", m.name, n.Detail)
		}
	}
	for _, a := range fx.Answers {
		a.Reply.(func(replica.Message))(a.Envelope.Message)
	}
}

// commit applies a batch and lets its sync come later. A sync covers all that
// was applied before it, by whichever executor.
func (m *member) commit(x *executor, b *storage.Batch, id vnode.BatchID) {
	c, err := m.disk.Apply(b)
	if err != nil {
		m.w.check.violate("%s: apply: %v", m.name, err)
		return
	}
	m.later(m.w.upTo(m.w.config.SyncMax), func() {
		x.mailbox = append(x.mailbox, vnode.Synced{Batch: id, Err: c.Wait()})
		m.wake(x)
	})
}

// flight drives one quorum.Op at this member, until the process ends.
type flight struct {
	m        *member
	life     int
	op       quorum.Op
	p        ring.PartitionID
	deadline time.Time
	finished bool
	tick     int // counts what was asked for: only the last is due
	done     func(quorum.Result)
}

func (m *member) launch(op quorum.Op, p ring.PartitionID, deadline time.Time, done func(quorum.Result)) {
	f := &flight{m: m, life: m.life, op: op, p: p, deadline: deadline, done: done}
	f.step(replica.Begin{})
}

func (f *flight) step(e replica.Event) {
	if f.finished || !f.m.alive(f.life) {
		return
	}
	fx := f.op.Step(f.m.w.now, e)
	f.finished = fx.Finished
	if fx.Hedged {
		f.m.w.reached["hedged read"]++
	}
	if fx.Repairs > 0 {
		f.m.w.reached["read repair"]++
	}
	if !fx.Tick.IsZero() && !f.finished {
		f.tick++
		due := f.tick
		f.m.later(max(0, fx.Tick.Sub(f.m.w.now)), func() {
			if due == f.tick {
				f.step(replica.Tick{MayHedge: true})
			}
		})
	}
	if fx.Result != nil {
		f.done(*fx.Result)
	}
	for _, s := range fx.Sends {
		f.send(s)
	}
}

func (f *flight) send(s replica.Send) {
	f.m.carry(replica.Envelope{
		ID: uint64(s.Seq), From: f.m.id, To: s.To, Epoch: f.m.w.ring.Epoch(), Partition: f.p, Fallback: s.Fallback,
		Deadline: f.deadline, Message: s.Message,
	}, s.Seq, f.step)
}

// carry carries a message and its answers over the network, and hands them to
// then while this process lasts. A message that is lost is not answered; one to a
// process that is gone is Lost, in time.
func (m *member) carry(env replica.Envelope, seq uint32, then func(replica.Event)) {
	w, from, to, own := m.w, m, m.w.byID[env.To], m.life
	w.check.message(w, env.Message)
	if to == from {
		from.receive(env, func(m replica.Message) {
			w.check.message(w, m)
			then(replica.Answer{Seq: seq, Message: m})
		})
		return
	}
	if !to.up {
		from.later(w.upTo(time.Millisecond), func() { then(replica.Lost{Seq: seq}) })
		return
	}
	life := to.life
	answers := 0
	w.carry(from, func() {
		if !to.alive(life) {
			from.later(w.upTo(time.Millisecond), func() { then(replica.Lost{Seq: seq, Sent: true}) })
			return
		}
		to.unpaused(life, func() {
			to.receive(env, func(m replica.Message) {
				w.check.message(w, m)
				w.carry(to, func() {
					if answers > 0 {
						return
					}
					answers++
					from.unpaused(own, func() { then(replica.Answer{Seq: seq, Message: m}) })
				})
			})
		})
	})
}

// carry delivers something over the network: after a delay, or never, or twice.
// What a member sent shortly before it crashed is lost with it.
func (w *world) carry(from *member, deliver func()) {
	times := 1
	switch {
	case w.chance(w.config.Loss):
		w.reached["message lost"]++
		return
	case w.chance(w.config.Duplicate):
		w.reached["message doubled"]++
		times = 2
	}
	life := from.life
	for range times {
		w.after(w.upTo(w.config.DelayMax), func() {
			if !from.alive(life) {
				w.reached["message lost with its sender"]++
				return
			}
			deliver()
		})
	}
}

// receive is what a member does with a message.
func (m *member) receive(env replica.Envelope, reply func(replica.Message)) {
	forward, ok := env.Message.(replica.Forward)
	if !ok {
		m.submit(env.Partition, vnode.Request{Envelope: env, Reply: reply})
		return
	}
	v, p := m.view(forward.Write.Key, forward.Write.Options, env.Deadline)
	if quorum.RouteOf(v, true) == quorum.RouteRefused {
		reply(replica.Failure{Err: replica.Errorf(replica.KindNotOwner, "%s is no owner", m.name)})
		return
	}
	m.launch(quorum.NewPut(v, forward.Write), p, v.Deadline, func(r quorum.Result) {
		if r.Err != nil {
			reply(replica.Failure{Err: r.Err})
			return
		}
		reply(replica.ForwardAnswer{Result: replica.WriteResult{Context: r.Context, Object: r.Object}})
	})
}

// view is what an op that begins at m knows. Who is up, it knows only roughly.
func (m *member) view(k replica.Key, o replica.Options, deadline time.Time) (quorum.View, ring.PartitionID) {
	p := m.w.ring.Partition(k.Type, k.Bucket, k.Key)
	q, err := replica.Resolve(replica.NewBucketType(k.Type, m.w.config.Replicas), o)
	if err != nil {
		panic(err) // the clients ask for what the type allows
	}
	v := quorum.View{
		Self: m.id, Quorums: q, Deadline: deadline, ReadAfter: 100 * time.Millisecond,
		SloppyAfter: 50 * time.Millisecond,
		HedgeAfter:  15 * time.Millisecond, SiblingsMax: 100, ObjectBytesMax: 1 << 20,
	}
	candidate := func(id ring.MemberID) quorum.Candidate {
		up := m.w.byID[id].up
		if m.w.chance(3) {
			up = !up
		}
		return quorum.Candidate{ID: id, Up: up || id == m.id, Latency: m.w.upTo(time.Millisecond)}
	}
	var all []ring.MemberID
	for _, other := range m.w.members {
		all = append(all, other.id)
	}
	pref := m.w.ring.Preference(p, m.w.config.Replicas, all)
	for _, id := range pref.Owners {
		v.Owners = append(v.Owners, candidate(id))
	}
	for _, id := range pref.Fallbacks {
		v.Fallbacks = append(v.Fallbacks, candidate(id))
	}
	return v, p
}
