package sim

import (
	"errors"
	"time"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
	"github.com/ringd/ringd/storage/simstore"
	"github.com/ringd/ringd/vnode"
)

// executorsPerMember is more than one, so that batches of several executors are
// in one log.
const executorsPerMember = 2

// member is a simulated ringd: its disk, its directory and the state that it saved
// outlive its process.
type member struct {
	w     *world
	id    ring.MemberID
	name  string
	disk  *simstore.Store
	dir   directory
	state *cluster.State
	// former is how the disk was when the process before this one ended.
	former copied

	// out: it was removed, or has left. dead: its data are gone, or it is refused, and
	// it never starts again. restored: its disk is a copy from before its last start.
	out, dead, restored bool
	up, booting         bool
	// life counts processes: what was scheduled for an earlier one is dropped.
	life        int
	executors   []*executor
	pausedUntil time.Time
	lagUntil    time.Time // until when it hears nothing of the log
	slow        int       // faults that slow its disk down
	mover       mover
	heardStarts map[*member]uint64
	// hintedAt is when hints were first kept for a partition, by epoch.
	hintedAt map[ring.PartitionID]ring.Epoch
}

// executor is a vnode.Executor and its mailbox.
type executor struct {
	machine *vnode.Executor
	mailbox []vnode.Event
	awake   bool // a step is scheduled
}

func newMember(w *world, id ring.MemberID, name string) *member {
	return &member{w: w, id: id, name: name, disk: simstore.New(), state: w.agreed.state, hintedAt: make(map[ring.PartitionID]ring.Epoch)}
}

func installedOf(s *cluster.State, id ring.MemberID) vnode.Installed {
	types := make(map[string]int, len(s.BucketTypes))
	for name, t := range s.BucketTypes {
		types[name] = t.N
	}
	moves := make(map[ring.PartitionID]replica.Move)
	for _, move := range s.Active() {
		moves[move.Partition] = move
	}
	return vnode.Installed{Ring: s.Ring, Moves: moves, Leaving: s.Members[id].Leaving, Types: types, HintBytesMax: s.Settings.HintBytesMax}
}

// serve opens the disk and begins to answer. Proven: this start was agreed on.
func (m *member) serve(proven bool) {
	m.booting = false
	if m.restored {
		m.w.check.violate("%s serves from a disk that is older than its last start", m.name)
	}
	m.mover = newMover()
	at := installedOf(m.state, m.id)
	for i := range executorsPerMember {
		c := vnode.DefaultConfig()
		c.Self, c.Ring, c.Moves, c.Leaving, c.Types = m.id, at.Ring, at.Moves, at.Leaving, at.Types
		c.Index, c.Of = i, executorsPerMember
		c.StartCount, c.Proven = m.dir.starts, proven
		c.Random = m.w.rng.Uint64
		c.InlineBytes = 8 // so that values apart are common
		m.executors = append(m.executors, &executor{machine: vnode.NewExecutor(c, vnode.NewKV(c))})
	}
	m.w.log("%s serves, start %d, proven %v", m.name, m.dir.starts, proven)
	m.runRepairs()
	m.runMoves()
}

// serving says that a process answers.
func (m *member) serving() bool { return m.up && !m.booting }

// end is what all ends of a process have in common.
func (m *member) end(disk *simstore.Store) {
	m.up, m.booting = false, false
	m.disk = disk
	m.former = copied{m.dir, disk.Crash(0), m.state}
	m.disk = m.former.disk.Crash(0)
}

// crash loses power: of what was not synced, some part survives.
func (m *member) crash() {
	lost, keep := m.disk.Unsynced(), 0
	if lost > 0 {
		m.w.reach("crash with unsynced batches")
		keep = m.w.rng.IntN(lost + 1)
	}
	if keep > 0 && keep < lost {
		m.w.reach("crash between two syncs")
	}
	m.noteCrash()
	m.end(m.disk.Crash(keep))
	m.w.log("%s crashes, %d of %d unsynced batches survive", m.name, keep, lost)
}

// noteCrash counts what the crash interrupts.
func (m *member) noteCrash() {
	if m.booting {
		m.w.reach("crash while starting")
	}
	for _, move := range m.state.Active() {
		switch {
		case move.To == m.id && move.Rebuild:
			m.w.reach("crash of who rebuilds")
		case move.To == m.id:
			m.w.reach("crash of who is to get a slot")
		case move.From == m.id && m.mover.moving[move.Number]:
			m.w.reach("crash of who hands a slot over")
		case move.From == m.id && m.mover.finished[move.Number]:
			m.w.reach("crash while fenced, before it was agreed")
		}
	}
	for p := range m.w.config.Partitions {
		reaped := m.w.reaped[ring.PartitionID(p)]
		for _, id := range m.state.Ring.Owners(ring.PartitionID(p)) {
			if reaped[id] != reaped[m.id] && m.state.Ring.IsOwner(ring.PartitionID(p), m.w.config.Replicas, m.id) {
				m.w.reach("crash while reaping was half done")
				return
			}
		}
	}
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
	m.w.reach("emptied store")
	m.w.log("%s is emptied", m.name)
	m.emptied()
}

// emptied does what a member does at its start when it finds that its store lost
// data.
func (m *member) emptied() {
	b := new(storage.Batch)
	leaving := make(map[ring.PartitionID]uint64)
	for _, move := range m.state.Active() {
		if move.From == m.id && !move.Rebuild {
			leaving[move.Partition] = move.Number
		}
	}
	for i := range m.w.config.Partitions {
		p := ring.PartitionID(i)
		slot, owner := m.state.Ring.SlotOf(p, m.id)
		arrival := m.state.Ring.Arrival(ring.Slot{Partition: p, Index: slot})
		if err := vnode.Lose(b, m.disk, p, m.w.config.Replicas, owner, arrival, leaving[p]); err != nil {
			panic(err)
		}
	}
	m.apply(b)
}

func (m *member) apply(b *storage.Batch) {
	if _, err := m.disk.Apply(b); err != nil {
		panic(err)
	}
	if err := m.disk.Sync(); err != nil {
		panic(err)
	}
}

// stop ends the process cleanly: the executors' last batches are synced.
func (m *member) stop() {
	for _, x := range m.executors {
		x.mailbox = append(x.mailbox, vnode.Stop{})
		m.step(x)
	}
	if !m.up {
		return // its disk failed meanwhile
	}
	if err := m.disk.Sync(); err != nil {
		m.crash()
		return
	}
	m.end(m.disk)
	m.w.reach("clean stop")
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
		m.notice(n)
	}
	if !fx.Behind.IsZero() {
		m.catchUp(m.w.byID[fx.Behind])
	}
	for _, a := range fx.Answers {
		a.Reply.(func(replica.Message))(a.Envelope.Message)
	}
}

func (m *member) notice(n vnode.Notice) {
	switch n.Kind {
	case vnode.NoticeNewActor:
		m.w.reach("new actor")
	case vnode.NoticeOwnDots:
		m.w.reach("own dots came in")
	case vnode.NoticeHintStored:
		m.w.reach("hint stored")
		if _, ok := m.hintedAt[n.Partition]; !ok {
			m.hintedAt[n.Partition] = m.state.Ring.Epoch()
		}
	case vnode.NoticeWhole:
		m.w.reach("vnode that has its data again")
	case vnode.NoticeDropped:
		m.w.reach("data of a slot that moved dropped")
	case vnode.NoticeVnodeServes:
		m.w.reach("vnode whose disk was tried again")
	case vnode.NoticeReadFailed:
		m.w.reach("read that failed")
		if !m.readsFail() {
			m.w.check.violate("%s: %s", m.name, n.Detail)
		}
	case vnode.NoticeCommitFailed:
		// The process ends; it is started again by whoever watches it.
		m.w.reach("sync that failed")
		m.w.after(0, func() {
			if m.up {
				m.crash()
				m.w.restart(m)
			}
		})
	}
}

// errDisk is what a disk returns that is made to fail.
var errDisk = errors.New("the simulated disk failed")

// readsFail says whether reads of the disk were made to fail lately.
func (m *member) readsFail() bool { return m.w.faults.readsFail[m] }

// catchUp fetches the state of a member that has a newer ring.
func (m *member) catchUp(from *member) {
	if from == nil {
		return
	}
	m.w.net.carry(m, from, func() {
		if !from.up {
			return
		}
		s := from.state
		m.w.net.carry(from, m, func() {
			m.w.reach("newer ring fetched")
			m.adopt(s)
		}, func() {})
	}, func() {})
}

// commit applies a batch and lets its sync come later. A sync covers all that
// was applied before it, by whichever executor.
func (m *member) commit(x *executor, b *storage.Batch, id vnode.BatchID) {
	c, err := m.disk.Apply(b)
	if err != nil {
		m.w.check.violate("%s: apply: %v", m.name, err)
		return
	}
	most := m.w.config.SyncMax
	if m.slow > 0 {
		m.w.reach("slow sync")
		most *= 12
	}
	m.later(m.w.upTo(most), func() {
		x.mailbox = append(x.mailbox, vnode.Synced{Batch: id, Err: c.Wait()})
		m.wake(x)
	})
}
