package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/ring"
)

// membersMax and membersMin bound the members that a run has at a time.
const (
	membersMax = 7
	membersMin = 4
)

// where are the members that is says so of, in the order in which they came.
func (w *world) where(is func(*member) bool) []*member {
	var out []*member
	for _, m := range w.members {
		if is(m) {
			out = append(out, m)
		}
	}
	return out
}

// serving are the members that answer.
func (w *world) serving() []*member { return w.where((*member).serving) }

// join begins a new member, without slots.
func (w *world) join() (*member, error) {
	w.named++
	m := newMember(w, ring.MemberID{15: byte(w.named)}, fmt.Sprintf("m%d", w.named))
	if err := w.agreed.apply(cluster.Command{AddMember: &cluster.AddMember{
		Member: cluster.Member{
			ID: m.id, Name: m.name, GRPC: m.name, Weight: 1, Role: cluster.RoleStorage,
			Wire: wire, Capabilities: cluster.CapabilitiesOf(wire),
		},
	}}); err != nil {
		return nil, err
	}
	m.state = w.agreed.state
	w.members = append(w.members, m)
	w.byID[m.id] = m
	return m, nil
}

// changeTopology does what a person may do with the members.
func (w *world) changeTopology() {
	s := w.agreed.state
	placed := w.where(func(m *member) bool {
		known, ok := s.Members[m.id]
		return ok && known.Placed && !known.Leaving && !known.Gone && !m.dead
	})
	switch n := w.rng.IntN(10); {
	case n < 3 && len(placed) < membersMax:
		m, err := w.join()
		if err != nil {
			w.check.violate("a member can't join: %v", err)
			return
		}
		m.start()
		w.reach("topology: join")
		w.commit(map[ring.MemberID]cluster.Change{m.id: {Join: true}})
	case n < 6 && len(placed) > membersMin:
		w.reach("topology: leave")
		w.commit(map[ring.MemberID]cluster.Change{placed[w.rng.IntN(len(placed))].id: {Leave: true}})
	case n < 8 && len(placed) > 0:
		w.reach("topology: weight")
		w.commit(map[ring.MemberID]cluster.Change{placed[w.rng.IntN(len(placed))].id: {Weight: 1 + w.rng.IntN(3)}})
	case len(s.Moves) > 0:
		w.cancel()
	}
}

// cancel turns back the moves under way.
func (w *world) cancel() {
	for _, move := range w.agreed.state.Active() {
		from := w.byID[move.From]
		if move.Rebuild || !from.up {
			continue
		}
		switch {
		case from.mover.moving[move.Number]:
			w.reach("move cancelled under way")
		case from.mover.finished[move.Number]:
			w.reach("move cancelled when fenced")
		}
	}
	err := w.agreed.apply(cluster.Command{CancelMoves: &cluster.CancelMoves{}})
	w.log("moves are cancelled: %v", err)
}

// commit stages changes and carries them out; it reports whether that was agreed on.
func (w *world) commit(changes map[ring.MemberID]cluster.Change) bool {
	err := w.agreed.apply(cluster.Command{Stage: &cluster.Stage{Changes: changes}})
	var planned *cluster.State
	var placement ring.Placement
	if err == nil {
		planned, err = w.agreed.state.Planned()
	}
	if err == nil {
		placement, err = ring.Plan(planned.Ring, planned.Candidates())
	}
	if err == nil {
		c := w.agreed.state.CommitOf(placement, false)
		err = w.agreed.apply(cluster.Command{CommitPlan: &c})
	}
	w.log("a person commits %v: %d moves, %v", changes, len(w.agreed.state.Moves), err)
	if err != nil {
		w.reach("commit refused")
		_ = w.agreed.apply(cluster.Command{Unstage: &cluster.Unstage{}}) // there may be nothing
		return false
	}
	w.reach("commit")
	return true
}

// replaceLater has a person notice that a member is gone for good.
func (w *world) replaceLater(m *member) {
	w.after(w.upTo(3*time.Second), func() { w.replace(m) })
}

// replace puts a new member into the place of one that is gone, and tries again
// until it may.
func (w *world) replace(m *member) {
	known, ok := w.agreed.state.Members[m.id]
	if !ok || known.Gone {
		return
	}
	next, err := w.join()
	if err != nil {
		w.check.violate("a member can't join: %v", err)
		return
	}
	next.start()
	changes := map[ring.MemberID]cluster.Change{m.id: {Remove: true}, next.id: {Join: true}}
	w.tryReplace(m, changes)
}

func (w *world) tryReplace(m *member, changes map[ring.MemberID]cluster.Change) {
	if w.commit(changes) {
		w.reach("topology: replaced")
		return
	}
	if known, ok := w.agreed.state.Members[m.id]; ok && !known.Gone && !w.settled {
		w.after(w.upTo(time.Second), func() { w.tryReplace(m, changes) })
	}
}

// settle waits until all that was agreed on is carried out, and all members know.
func (w *world) settle() {
	limit := w.now.Add(settleWithin)
	for !w.isSettled() {
		if w.now.After(limit) {
			w.check.violate("after %v without faults: %s", settleWithin, w.unsettled())
			break
		}
		w.drainUntil(w.now.Add(100 * time.Millisecond))
	}
	w.settled = true
	w.drain()
	// A session of a comparison that was cut short ends by itself.
	w.now = w.now.Add(20 * time.Second)
}

// settleWithin is far above what moves take, and above how long a vnode whose disk
// failed, or that is in a comparison which was cut short, refuses.
const settleWithin = 120 * time.Second

func (w *world) isSettled() bool { return w.unsettled() == "" }

// unsettled says what is still to be done.
func (w *world) unsettled() string {
	s := w.agreed.state
	if len(s.Moves) > 0 {
		return fmt.Sprintf("moves are under way: %+v", s.Moves)
	}
	for _, m := range w.members {
		known, in := s.Members[m.id]
		switch {
		case m.dead && in:
			return m.name + " is not replaced"
		case !in && m.up:
			return m.name + " is out, and runs"
		case m.dead || !in:
		case !m.serving():
			return m.name + " does not serve"
		case known.Leaving:
			return m.name + " does not leave"
		case m.state != s:
			return m.name + " does not know what is agreed on"
		case len(m.mover.doubtful) > 0 || len(m.mover.missing) > 0:
			return fmt.Sprintf("%s has doubts about %v, and waits for %v", m.name, m.mover.doubtful, m.mover.missing)
		}
		for _, p := range s.Ring.Members() {
			if !slices.ContainsFunc(w.members, func(o *member) bool { return o.id == p && o.serving() }) {
				return "an owner does not serve"
			}
		}
	}
	return ""
}
