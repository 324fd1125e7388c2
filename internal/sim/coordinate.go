package sim

import (
	"slices"
	"time"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/quorum"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/vnode"
)

// flight drives one quorum.Op at this member, until the process ends.
type flight struct {
	m        *member
	life     int
	op       quorum.Op
	p        ring.PartitionID
	epoch    ring.Epoch
	deadline time.Time
	finished bool
	tick     int // counts what was asked for: only the last is due
	done     func(quorum.Result)
}

func (m *member) launch(op quorum.Op, at view, done func(quorum.Result)) {
	f := &flight{m: m, life: m.life, op: op, p: at.partition, epoch: at.epoch, deadline: at.Deadline, done: done}
	f.step(replica.Begin{})
}

func (f *flight) step(e replica.Event) {
	if f.finished || !f.m.alive(f.life) {
		return
	}
	fx := f.op.Step(f.m.w.now, e)
	f.finished = fx.Finished
	if fx.Hedged {
		f.m.w.reach("hedged read")
	}
	if fx.Repairs > 0 {
		f.m.w.reach("read repair")
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
		f.m.ask(replica.Envelope{
			ID: uint64(s.Seq), From: f.m.id, To: s.To, Epoch: f.epoch, Partition: f.p, Fallback: s.Fallback,
			Deadline: f.deadline, Message: s.Message,
		}, s.Seq, f.step)
	}
}

// ask carries a message and its answers over the network, and hands them to then
// while this process lasts. One to a process that is gone is Lost, in time.
func (m *member) ask(env replica.Envelope, seq uint32, then func(replica.Event)) {
	w, from, to, own := m.w, m, m.w.byID[env.To], m.life
	w.check.message(env.Message)
	if to == from {
		from.receive(env, func(m replica.Message) {
			w.check.message(m)
			then(replica.Answer{Seq: seq, Message: m})
		})
		return
	}
	lost := func(sent bool) func() {
		return func() { from.unpaused(own, func() { then(replica.Lost{Seq: seq, Sent: sent}) }) }
	}
	if !to.up {
		w.after(w.upTo(time.Millisecond), lost(false))
		return
	}
	life, starts := to.life, from.dir.starts
	answers, arrived := 0, 0
	w.net.carry(from, to, func() {
		if arrived++; arrived > 1 {
			w.check.doubled(env.Message)
		}
		if !to.alive(life) || to.heardStarts[from] > starts {
			w.after(w.upTo(time.Millisecond), lost(true))
			return
		}
		to.heardStarts[from] = starts
		to.unpaused(life, func() {
			to.receive(env, func(answer replica.Message) {
				w.check.message(answer)
				state := to.state
				w.net.carry(to, from, func() {
					if answers == 1 {
						return // the network may double it
					}
					answers++
					from.unpaused(own, func() {
						if f, ok := answer.(replica.Failure); ok {
							from.learn(f, state)
						}
						then(replica.Answer{Seq: seq, Message: answer})
					})
				}, lost(true))
			})
		})
	}, lost(true))
}

// learn takes over the newer agreed state that stands behind a refusal.
func (m *member) learn(f replica.Failure, state *cluster.State) {
	if f.Err.Kind == replica.KindStaleRing {
		m.w.reach("stale ring refused")
	}
	m.adopt(state)
}

// receive is what a member does with a message.
func (m *member) receive(env replica.Envelope, reply func(replica.Message)) {
	if !m.serving() {
		reply(replica.Failure{Err: replica.Errorf(replica.KindUnavailable, "the member is starting")})
		return
	}
	forward, ok := env.Message.(replica.Forward)
	if !ok {
		m.submit(env.Partition, vnode.Request{Envelope: env, Reply: reply})
		return
	}
	m.write(forward.Write, env.Deadline, true, func(r quorum.Result) {
		if r.Err != nil {
			reply(replica.Failure{Err: r.Err})
			return
		}
		reply(replica.ForwardAnswer{Result: replica.WriteResult{Context: r.Context, Object: r.Object}})
	})
}

// write carries out a put or delete as a member's coordinator does: here if this
// member is an owner, else at one that is. Forwarded: it goes no further.
func (m *member) write(w replica.Write, deadline time.Time, forwarded bool, done func(quorum.Result)) {
	v := m.view(w.Key, w.Options, deadline)
	route := quorum.RouteOf(v.View, forwarded)
	switch route {
	case quorum.RouteRefused:
		done(quorum.Result{Err: replica.Errorf(replica.KindNotOwner, "%s is no owner", m.name)})
		return
	case quorum.RouteForward:
		m.forward(w, v, done)
		return
	case quorum.RouteFallback:
		m.w.reach("coordinated by a fallback")
	}
	m.launch(quorum.NewPut(v.View, w), v, func(r quorum.Result) {
		if route != quorum.RouteOwner || forwarded || r.Err == nil || r.Err.MaybeApplied {
			done(r)
			return
		}
		switch r.Err.Kind {
		case replica.KindStorage, replica.KindCorrupt, replica.KindNotOwner, replica.KindStaleRing:
		default:
			done(r)
			return
		}
		m.w.reach("own vnode refused, another coordinates")
		v.Owners = slices.DeleteFunc(slices.Clone(v.Owners), func(o quorum.Candidate) bool { return o.ID == m.id })
		m.forward(w, v, done)
	})
}

// forward hands a write to one owner after another, more than one of which may apply
// it.
func (m *member) forward(w replica.Write, v view, done func(quorum.Result)) {
	m.w.check.retried[string(w.Value)] = true
	m.launch(quorum.NewForward(v.View, w), v, done)
}

// view is what an op that begins at a member knows.
type view struct {
	quorum.View
	partition ring.PartitionID
	epoch     ring.Epoch
}

// view collects what an op that begins at m knows. Who is up, it knows only roughly.
func (m *member) view(k replica.Key, o replica.Options, deadline time.Time) view {
	p := m.state.Ring.Partition(k.Type, k.Bucket, k.Key)
	q, err := replica.Resolve(m.state.BucketTypes[k.Type], o)
	if err != nil {
		panic(err) // the clients ask for what the type allows
	}
	v := view{partition: p, epoch: m.state.Ring.Epoch(), View: quorum.View{
		Self: m.id, Quorums: q, Deadline: deadline, ReadAfter: 100 * time.Millisecond,
		SloppyAfter: 50 * time.Millisecond,
		HedgeAfter:  15 * time.Millisecond, SiblingsMax: 100, ObjectBytesMax: 1 << 20,
	}}
	candidate := func(id ring.MemberID) quorum.Candidate {
		return quorum.Candidate{ID: id, Up: id == m.id || m.sees(id), Latency: m.w.upTo(time.Millisecond)}
	}
	var others []ring.MemberID
	for _, other := range m.w.members {
		if known, ok := m.state.Members[other.id]; ok && !known.Leaving && !known.Gone {
			others = append(others, other.id)
		}
	}
	pref := m.state.Ring.Preference(p, q.N, others)
	for _, id := range pref.Owners {
		v.Owners = append(v.Owners, candidate(id))
	}
	for _, id := range pref.Fallbacks {
		v.Fallbacks = append(v.Fallbacks, candidate(id))
	}
	return v
}

// sees is what m takes for connected. It is wrong now and then.
func (m *member) sees(id ring.MemberID) bool {
	other := m.w.byID[id]
	up := other.up && m.w.net.connected(m, other)
	if m.w.chance(3) {
		return !up
	}
	return up
}
