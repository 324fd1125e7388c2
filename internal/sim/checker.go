package sim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/quorum"
	"github.com/ringd/ringd/replica"
)

// checker holds what the clients saw against what ringd promises:
//
//   - what was acknowledged, or read, is there in the end, or was replaced by a
//     write that built on a read of it;
//   - what an acknowledged write replaced, or deleted, is gone in the end, unless
//     what it replaced was tried more than once: a retry may come after it;
//   - what a context that was given out covers is covered in the end, or was seen;
//   - nothing is read that was not written to that key;
//   - a write that was tried more than once is read once;
//   - no dot names two writes;
//   - once healed and repaired, all owners of a key are equal, and stay so when
//     deletions are forgotten; their hash trees are those of their data.
type checker struct {
	// emptied: what was only read may be lost with one owner's store.
	emptied    bool
	violations []string
	written    map[string]string          // value -> key
	owed       map[string]bool            // values that were acknowledged or read
	replaced   map[string]bool            // values that some write built on
	gone       map[string]bool            // of them, those whose write was acknowledged
	retried    map[string]bool            // values that more than one member may have coordinated
	dots       map[causal.Dot]dotUse      // by what was seen on the wire
	last       map[string]map[string]bool // key -> values read in the end
	given      map[string]causal.Vector   // key -> all contexts given out, joined
}

type dotUse struct{ request causal.RequestID }

// violationsMax keeps a broken run's report readable.
const violationsMax = 20

func newChecker(emptied bool) *checker {
	return &checker{
		emptied: emptied,
		written: make(map[string]string), owed: make(map[string]bool), replaced: make(map[string]bool),
		gone: make(map[string]bool), retried: make(map[string]bool), dots: make(map[causal.Dot]dotUse), last: make(map[string]map[string]bool),
		given: make(map[string]causal.Vector),
	}
}

func (c *checker) violate(format string, args ...any) {
	if len(c.violations) < violationsMax {
		c.violations = append(c.violations, fmt.Sprintf(format, args...))
	}
}

// issued notes a write that may take effect from now on.
func (c *checker) issued(op *operation) {
	if !op.write.Delete {
		c.written[op.value] = op.key
	}
	for _, v := range op.basis.values {
		if v != op.value {
			c.replaced[v] = true
		}
	}
}

func (c *checker) acknowledged(op *operation) {
	if !op.write.Delete {
		c.owed[op.value] = true
	}
	for _, v := range op.basis.values {
		if v != op.value {
			c.gone[v] = true
		}
	}
}

func (c *checker) gaveContext(key string, ctx causal.Context) {
	c.given[key] = c.given[key].Join(ctx.Dots())
}

func (c *checker) read(key string, values []string) {
	for i, v := range values {
		if c.written[v] != key {
			c.violate("%s: read %q, which was never written to it", key, v)
		}
		if slices.Contains(values[:i], v) {
			c.violate("%s: read %q twice: a retry counts as a write of its own", key, v)
		}
		if !c.emptied {
			c.owed[v] = true
		}
	}
}

// message looks at the dots of an object under way.
func (c *checker) message(w *world, m replica.Message) {
	var encoded []byte
	switch m := m.(type) {
	case replica.Store:
		encoded = m.Object
	case replica.Prepared:
		encoded = m.Object
	case replica.ReadAnswer:
		encoded = m.Object
	case replica.Transfer:
		for _, item := range m.Items {
			c.object(m, item.Object)
		}
		return
	}
	c.object(m, encoded)
}

func (c *checker) object(m replica.Message, encoded []byte) {
	if len(encoded) == 0 {
		return
	}
	o, err := causal.DecodeObject(encoded)
	if err == nil {
		err = o.Check()
	}
	if err != nil {
		c.violate("%T: %v", m, err)
		return
	}
	for _, s := range o.Siblings {
		use, ok := c.dots[s.Dot]
		switch {
		case !ok:
			c.dots[s.Dot] = dotUse{request: s.Request}
		case use.request != s.Request:
			c.violate("dot %v names two writes", s.Dot)
		}
	}
}

// final reads every key from all owners, with repair, then looks whether the
// owners are equal and whether something is missing.
func (c *checker) final(w *world) {
	for i := range w.config.Keys {
		k := fmt.Sprintf("k%d", i)
		o, ok := w.finalRead(k)
		if !ok {
			continue
		}
		w.finalCompare(k, o)
		values := make(map[string]bool)
		var list []string
		for _, s := range causal.Fold(o, causal.FoldOptions{}).Siblings {
			if !s.Tombstone {
				values[string(s.Value)] = true
				list = append(list, string(s.Value))
			}
		}
		c.read(k, list)
		c.last[k] = values
	}
	var owed []string
	for v := range c.owed {
		owed = append(owed, v)
	}
	slices.Sort(owed)
	for _, v := range slices.Sorted(maps.Keys(c.gone)) {
		if k := c.written[v]; c.last[k][v] && !c.retried[v] {
			c.violate("%s: %q is back, which an acknowledged write had replaced", k, v)
		}
	}
	for _, v := range owed {
		if k := c.written[v]; c.last[k] != nil && !c.last[k][v] && !c.replaced[v] {
			c.violate("%s: lost %q, which was acknowledged or read", k, v)
		}
	}
}

func (w *world) finalRead(k string) (causal.Object, bool) {
	var result *quorum.Result
	m := w.members[0]
	o := replica.Options{R: replica.All, W: replica.All, RepairBlocking: replica.On}
	v, p := m.view(key(k), o, w.now.Add(time.Minute))
	m.launch(quorum.NewGet(v, key(k)), p, v.Deadline, func(r quorum.Result) { result = &r })
	w.drain()
	if result == nil || result.Err != nil {
		w.check.violate("%s: the last read failed: %+v", k, result)
		return causal.Object{}, false
	}
	return result.Object, true
}

func (w *world) finalCompare(k string, o causal.Object) {
	p := w.ring.Partition(bucketType, bucket, k)
	for _, id := range w.ring.Owners(p) {
		m := w.byID[id]
		m.receive(replica.Envelope{From: id, To: id, Epoch: w.ring.Epoch(), Partition: p, Message: replica.Read{Key: key(k)}}, func(answer replica.Message) {
			a, ok := answer.(replica.ReadAnswer)
			if ok && !w.check.emptied && !a.Context.Join(a.Seen).Dominates(w.check.given[k]) {
				w.check.violate("%s: %s lost some of what clients were told: a context covered %v, in the end there is %v, and %v was seen", k, m.name, w.check.given[k], a.Context, a.Seen)
			}
			if ok && !o.Live() && len(a.Context) == 0 {
				return // forgotten
			}
			if !ok || a.Digest != o.Digest() || !a.Context.Equal(o.Context) {
				w.check.violate("%s: %s differs after repair: %+v", k, m.name, answer)
			}
		})
	}
	w.drain()
}
