package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// agreedLog stands for the log of the agreed state: commands take effect one after
// the other, as cluster.State says. Which member leads is left out: a member takes
// part as long as it can reach most of the others.
type agreedLog struct {
	w     *world
	state *cluster.State
	// outUntil: nobody leads until then.
	outUntil time.Time
	rings    map[ring.Epoch]*ring.Ring
}

const (
	// logDelay is what a command takes to be agreed on, at the most; proposeWithin
	// is when who proposed it gives up waiting.
	logDelay      = 30 * time.Millisecond
	proposeWithin = time.Second
)

var errFateUnknown = replica.Errorf(replica.KindUnknown, "no leader answered: the fate of the command is unknown")

func newAgreedLog(w *world) (*agreedLog, error) {
	r, err := ring.New(ring.Config{Seed: 7, Partitions: w.config.Partitions, Replicas: w.config.Replicas})
	if err != nil {
		return nil, err
	}
	t := replica.NewBucketType(bucketType, w.config.Replicas)
	first := &cluster.State{
		Format: 3, ClusterID: "simulated", Version: 1, Secret: make([]byte, 32), Ring: r,
		Members:     make(map[ring.MemberID]cluster.Member),
		BucketTypes: map[string]replica.BucketType{t.Name: t},
		Settings:    cluster.DefaultSettings(),
	}
	l := &agreedLog{w: w, rings: make(map[ring.Epoch]*ring.Ring)}
	if l.state, err = (*cluster.State)(nil).Apply(cluster.Command{Bootstrap: first}); err != nil {
		return nil, err
	}
	return l, nil
}

// apply carries out a command now.
func (l *agreedLog) apply(c cluster.Command) error {
	next, err := l.state.Apply(c)
	if err != nil {
		return err
	}
	l.state = next
	if err := next.Ring.Check(); err != nil {
		l.w.check.violate("the agreed ring: %v", err)
	}
	for _, m := range l.w.members {
		l.w.after(l.w.upTo(logDelay), m.followLog)
	}
	return nil
}

// reaches says that m can take part in the log: most members, itself included, are
// connected with it.
func (l *agreedLog) reaches(m *member) bool {
	if l.w.now.Before(l.outUntil) {
		return false
	}
	all, got := 0, 0
	for _, other := range l.w.members {
		if other.out || other.dead {
			continue
		}
		all++
		if other == m || (other.up && l.w.net.connected(m, other)) {
			got++
		}
	}
	return 2*got > all
}

// propose has a member's command agreed on. Done is told the outcome, or that its
// fate is unknown; nothing if the process ends before.
func (l *agreedLog) propose(m *member, c cluster.Command, done func(error)) {
	w, told, life := l.w, false, m.life
	tell := func(err error) {
		if !told && m.alive(life) {
			told = true
			m.unpaused(life, func() { done(err) })
		}
	}
	w.after(proposeWithin, func() { tell(errFateUnknown) })
	if w.chance(5) {
		w.reach("proposal lost")
		m.proposalLost(c)
		return
	}
	w.after(w.upTo(logDelay), func() {
		if !l.reaches(m) {
			w.reach("proposal without a leader")
			m.proposalLost(c)
			return
		}
		err := l.apply(c)
		w.log("%s proposes %s: %v", m.name, describe(c), err)
		if w.chance(10) {
			w.reach("proposal agreed on, and its answer lost")
			return
		}
		w.after(w.upTo(logDelay), func() { tell(err) })
	})
}

// proposalLost notes what was not agreed on.
func (m *member) proposalLost(c cluster.Command) {
	if c.FinishMoves == nil {
		return
	}
	for _, move := range m.state.Active() {
		if !move.Rebuild && slices.Contains(c.FinishMoves.Numbers, move.Number) {
			m.w.reach("fenced, and the proposal lost")
		}
	}
}

func describe(c cluster.Command) string {
	switch {
	case c.AddMember != nil:
		return "a member " + c.AddMember.Member.Name
	case c.StartMember != nil:
		return fmt.Sprintf("start %d", c.StartMember.Before+1)
	case c.RemoveMember != nil:
		return "its leave"
	case c.FinishMoves != nil:
		return fmt.Sprintf("the end of moves %v", c.FinishMoves.Numbers)
	}
	return "a change"
}

// followLog takes over what is agreed, if m hears of it now.
func (m *member) followLog() {
	if m.up && !m.w.now.Before(m.pausedUntil) && !m.w.now.Before(m.lagUntil) && m.w.agreed.reaches(m) {
		m.adopt(m.w.agreed.state)
	}
}

// adopt takes over an agreed state, if it is a newer one.
func (m *member) adopt(s *cluster.State) {
	if !m.up || !s.NewerThan(m.state) {
		return
	}
	w := m.w
	if r, ok := w.agreed.rings[s.Ring.Epoch()]; ok && r != s.Ring {
		w.check.violate("two rings of epoch %v", s.Ring.Epoch())
	}
	w.agreed.rings[s.Ring.Epoch()] = s.Ring
	m.state = s
	if s.IsOut(m.id) {
		w.log("%s is out", m.name)
		w.reach("member that heard that it is out")
		m.out, m.up = true, false
		return
	}
	for _, x := range m.executors {
		x.mailbox = append(x.mailbox, installedOf(s, m.id))
		m.wake(x)
	}
}
