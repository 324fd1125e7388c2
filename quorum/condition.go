package quorum

import (
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
)

// lookSeqMax keeps the numbers of the read beforehand apart from the write's.
const lookSeqMax = 1 << 16

// stepLook runs the read beforehand and judges what it found.
func (p *Put) stepLook(now time.Time, e replica.Event, fx *Effects) {
	if p.look == nil {
		p.begin(now, fx)
		return
	}
	*fx = p.look.Step(now, e)
	found := fx.Result
	fx.Result, fx.Finished = nil, false
	if found == nil {
		return
	}
	if found.Err != nil {
		p.finish(fx, Result{Err: found.Err})
		fx.Finished = true
		return
	}
	if err := p.judge(now, found.Object); err != nil {
		p.finish(fx, Result{Err: err})
		fx.Finished = true
		return
	}
	if p.write.Delete && !found.Object.Live() {
		// Nothing to delete: what is there is no value.
		p.finish(fx, Result{Context: found.Context})
		fx.Finished = true
		return
	}
	p.begin(now, fx)
}

// judge checks the write's condition against what a quorum knows, and completes
// the context of a write that replaces all of that. A value that has expired is
// none.
func (p *Put) judge(now time.Time, o causal.Object) *replica.Error {
	w := &p.coordinate.Write
	if _, ok := o.HasRequest(w.Request); ok {
		// An earlier attempt of this very write is there: the condition held.
		return nil
	}
	if w.IfAbsent && o.LiveAt(now.UnixMilli()) {
		return replica.Errorf(replica.KindPrecondition, "if_absent: the key has a value")
	}
	if w.IfMatch {
		if len(o.Siblings) == 0 {
			return replica.Errorf(replica.KindPrecondition, "if_match: the key was never written")
		}
		for _, s := range o.Siblings {
			if !w.Context.Covers(s.Dot) {
				return replica.Errorf(replica.KindPrecondition, "if_match: the key was written since the context was read")
			}
		}
	}
	if w.IfAbsent || (w.Delete && w.Context.Empty()) {
		w.Context.Seen = w.Context.Seen.Join(o.Context)
	}
	if w.IfAbsent || w.IfMatch {
		p.coordinate.Conditional, p.coordinate.Expect = true, o.Context
	}
	return nil
}
