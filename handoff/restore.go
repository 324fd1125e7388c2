package handoff

import (
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Restore replaces a corrupt record of this member's vnode by what the other
// owners have. It takes so many of them that every write that was acknowledged by
// a quorum with the corrupt record's help is among what they have.
type Restore struct {
	self     ring.MemberID
	key      replica.Key
	calls    calls
	progress Progress
	sources  []ring.MemberID
	need     int

	got      int
	asked    int
	merged   causal.Object // as if its context included what the sources had seen
	context  causal.Vector // without that
	restored bool
	finished bool
	err      *replica.Error
}

// NewRestore returns the op that restores key, whose class has the given owners.
func NewRestore(self ring.MemberID, p ring.PartitionID, key replica.Key, owners []ring.MemberID) *Restore {
	r := &Restore{
		self: self, key: key, need: len(owners) - len(owners)/2,
		progress: Progress{Kind: KindRestore, Partition: p, From: self, To: self, Total: 1},
	}
	for _, id := range owners {
		if id != self {
			r.sources = append(r.sources, id)
		}
	}
	return r
}

// Progress implements Op.
func (r *Restore) Progress() Progress { return r.progress }

// Step implements Op.
func (r *Restore) Step(now time.Time, e replica.Event) Effects {
	var fx Effects
	if _, ok := e.(replica.Begin); ok {
		if len(r.sources) < r.need {
			r.err = replica.Errorf(replica.KindCorrupt, "the record of bucket %q, key %q is corrupt, and its bucket type keeps no other copy: write or delete it anew after removing it by hand", r.key.Bucket, r.key.Key)
		}
		for _, id := range r.sources {
			r.asked++
			r.calls.send(&fx, replica.Send{To: id, Message: replica.Read{Key: r.key, Full: true}}, r.take)
		}
	}
	r.calls.take(now, e, &fx)
	if r.asked == 0 && r.err == nil && !r.restored {
		r.restore(&fx)
	}
	if r.finished || r.err != nil {
		if r.err != nil {
			r.err = describe(r.progress.Partition, "restoring a corrupt record", r.err)
		}
		fx.Finished, fx.Err = true, r.err
	}
	return fx
}

func (r *Restore) take(_ time.Time, m replica.Message, _ *Effects) {
	r.asked--
	a, ok := m.(replica.ReadAnswer)
	var o causal.Object
	var err error
	if ok && len(a.Object) > 0 {
		o, err = causal.DecodeObject(a.Object)
	}
	if !ok || err != nil {
		if r.asked == 0 && r.got < r.need {
			r.err = wrong(m)
		}
		return
	}
	r.got++
	r.context = r.context.Join(o.Context)
	o.Context = o.Context.Join(a.Seen)
	r.merged = causal.Merge(r.merged, o)
}

func (r *Restore) restore(fx *Effects) {
	if r.got < r.need {
		r.err = replica.Errorf(replica.KindUnavailable, "%d of the %d owners that are needed answered", r.got, r.need)
		return
	}
	r.restored = true
	m := replica.Restore{Key: r.key}
	if len(r.context) > 0 {
		m.Object = causal.AppendObject(nil, causal.Object{Context: r.context, Siblings: r.merged.Siblings})
	}
	r.calls.send(fx, replica.Send{To: r.self, Message: m}, func(_ time.Time, a replica.Message, _ *Effects) {
		if _, ok := a.(replica.RestoreAnswer); !ok {
			r.err = wrong(a)
			return
		}
		r.progress.Done, r.finished = 1, true
		r.progress.Bytes = int64(len(m.Object))
	})
}
