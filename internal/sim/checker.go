package sim

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/quorum"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// checker holds what the clients saw against what ringd promises:
//
//   - what was acknowledged, or read, is there in the end, or was replaced by a
//     write that built on a read of it;
//   - what an acknowledged write replaced, or deleted, is gone in the end, unless
//     what it replaced was tried more than once: a retry may come after it;
//   - both hold at once for reads from two owners, of what two owners acknowledged,
//     or a blocking repair gave to two, before the read began: so clients read their
//     writes, and never go back in time;
//   - what a context that was given out covers is covered in the end, or was seen;
//   - nothing is read that was not written to that key, or that was refused as
//     certainly not applied;
//   - no sibling is read beside a write that replaced it;
//   - a write that was tried more than once is read once;
//   - no dot names two writes;
//   - once healed and repaired, all owners of a key are equal, byte for byte, and stay
//     so when deletions are forgotten; their hash trees are those of their data.
//
// Where a member's data are lost, one owner's word is not enough: what it alone
// acknowledged, or was read, may be gone.
type checker struct {
	w *world
	// loses: one member's data are lost in this run.
	loses      bool
	violations []string
	keys       map[string]bool
	operations int
	unknown    int                 // of them; their outcome is
	written    map[string]string   // value -> key
	bases      map[string][]string // value -> values that it replaced
	owed       map[string]bool     // values that were acknowledged or read
	replaced   map[string]bool     // values that some write built on
	gone       map[string]bool     // of them, those whose write was acknowledged
	retried    map[string]bool     // values that more than one member may have coordinated
	not        map[string]bool     // values that were certainly not written
	twice      map[string]bool     // values whose write the network doubled
	// strict and strictGone have what two owners know of, by key, and since when.
	strict, strictGone map[string]map[string]time.Time
	dots               map[causal.Dot]causal.RequestID // by what was seen on the wire
	last               map[string]map[string]bool      // key -> values read in the end
	given              map[string]causal.Vector        // key -> all contexts given out, joined
}

// violationsMax keeps a broken run's report readable.
const violationsMax = 20

func newChecker(w *world) *checker {
	return &checker{
		w: w, loses: w.loses(), keys: make(map[string]bool),
		written: make(map[string]string), bases: make(map[string][]string), owed: make(map[string]bool), replaced: make(map[string]bool),
		gone: make(map[string]bool), retried: make(map[string]bool), not: make(map[string]bool), twice: make(map[string]bool),
		strict: make(map[string]map[string]time.Time), strictGone: make(map[string]map[string]time.Time),
		dots: make(map[causal.Dot]causal.RequestID), last: make(map[string]map[string]bool),
		given: make(map[string]causal.Vector),
	}
}

func (c *checker) violate(format string, args ...any) {
	if len(c.violations) < violationsMax {
		c.violations = append(c.violations, fmt.Sprintf(format, args...))
		c.w.log("VIOLATION "+format, args...)
	}
}

// violateKey names the key whose history tells.
func (c *checker) violateKey(k, format string, args ...any) {
	c.keys[k] = true
	c.violate(k+": "+format, args...)
}

// issued notes a write that may take effect from now on.
func (c *checker) issued(op *operation) {
	if !op.write.Delete {
		c.written[op.value] = op.key
		c.bases[op.value] = op.basis.sure
	}
	for _, v := range op.basis.values {
		if v != op.value {
			c.replaced[v] = true
			delete(c.strict[op.key], v)
		}
	}
}

func (c *checker) acknowledged(op *operation) {
	two := op.quorums.W >= 2
	if !op.write.Delete && (two || !c.loses) {
		c.owed[op.value] = true
	}
	for _, v := range op.basis.sure {
		if v != op.value && (two || !c.loses) {
			c.gone[v] = true
		}
	}
	if !op.strictWrite() {
		return
	}
	if !op.write.Delete {
		c.knownToTwo(op.key, op.value)
	}
	for _, v := range op.basis.sure {
		if v != op.value {
			note(c.strictGone, op.key, v, c.w.now)
		}
	}
}

func (c *checker) knownToTwo(k, v string) {
	if !c.replaced[v] {
		note(c.strict, k, v, c.w.now)
	}
}

// note keeps the first time.
func note(m map[string]map[string]time.Time, k, v string, at time.Time) {
	if m[k] == nil {
		m[k] = make(map[string]time.Time)
	}
	if _, ok := m[k][v]; !ok {
		m[k][v] = at
	}
}

// refused notes a write that was certainly not applied.
func (c *checker) refused(op *operation) {
	if !op.write.Delete && !c.twice[op.value] {
		c.not[op.value] = true
	}
}

// doubled notes what comes a second time. One of two forwards may be refused, and the
// other not: streams, which ringd's members talk over, double nothing.
func (c *checker) doubled(m replica.Message) {
	if f, ok := m.(replica.Forward); ok {
		value := string(f.Write.Value)
		c.twice[value], c.retried[value] = true, true
		delete(c.not, value)
	}
}

func (c *checker) gaveContext(key string, ctx causal.Context) {
	c.given[key] = c.given[key].Join(ctx.Dots())
}

func (c *checker) read(key string, values []string) {
	for i, v := range values {
		if c.written[v] != key {
			c.violateKey(key, "read %q, which was never written to it", v)
		}
		if c.not[v] {
			c.violateKey(key, "read %q, which was refused as certainly not applied", v)
		}
		if slices.Contains(values[:i], v) {
			c.violateKey(key, "read %q twice: a retry counts as a write of its own", v)
		}
		for _, old := range c.bases[v] {
			if old != v && !c.retried[old] && slices.Contains(values, old) {
				c.violateKey(key, "read %q beside %q, which replaced it", old, v)
			}
		}
		if !c.loses {
			c.owed[v] = true
		}
	}
}

// readBy judges a read by what was known to two owners when it began.
func (c *checker) readBy(op *operation, values []string) {
	if !op.strictRead() {
		return
	}
	for _, v := range slices.Sorted(maps.Keys(c.strict[op.key])) {
		if c.strict[op.key][v].Before(op.began) && !slices.Contains(values, v) {
			c.violateKey(op.key, "a strict read is stale: it lacks %q, which two owners had", v)
		}
	}
	for _, v := range values {
		if at, ok := c.strictGone[op.key][v]; ok && at.Before(op.began) && !c.retried[v] {
			c.violateKey(op.key, "a strict read is stale: it has %q, which was replaced at two owners", v)
		}
		if op.quorums.RepairBlocking && op.quorums.W >= 2 {
			c.w.reach("strict read with blocking repair")
			c.knownToTwo(op.key, v)
		}
	}
	c.w.reach("strict read")
}

// message looks at the dots of an object under way.
func (c *checker) message(m replica.Message) {
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
		request, ok := c.dots[s.Dot]
		switch {
		case !ok:
			c.dots[s.Dot] = s.Request
		case request != s.Request:
			c.violate("dot %v names two writes", s.Dot)
		}
	}
}

// final reads every key from all owners, with repair, then looks whether the
// owners are equal and whether something is missing.
func (c *checker) final() {
	w := c.w
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
	for _, v := range slices.Sorted(maps.Keys(c.gone)) {
		if k := c.written[v]; c.last[k][v] && !c.retried[v] {
			c.violateKey(k, "%q is back, which an acknowledged write had replaced", v)
		}
	}
	for _, v := range slices.Sorted(maps.Keys(c.owed)) {
		if k := c.written[v]; c.last[k] != nil && !c.last[k][v] && !c.replaced[v] {
			c.violateKey(k, "lost %q, which was acknowledged or read", v)
		}
	}
}

func (w *world) finalRead(k string) (causal.Object, bool) {
	var result *quorum.Result
	serving := w.serving()
	if len(serving) == 0 {
		return causal.Object{}, false
	}
	m := serving[0]
	o := replica.Options{R: replica.All, W: replica.All, RepairBlocking: replica.On}
	v := m.view(key(k), o, w.now.Add(time.Minute))
	m.launch(quorum.NewGet(v.View, key(k)), v, func(r quorum.Result) { result = &r })
	w.drain()
	if result == nil || result.Err != nil {
		w.check.violateKey(k, "the last read failed: %+v", result)
		return causal.Object{}, false
	}
	return result.Object, true
}

func (w *world) finalCompare(k string, o causal.Object) {
	r := w.agreed.state.Ring
	p := r.Partition(bucketType, bucket, k)
	var first []byte
	var from ring.MemberID
	for _, id := range r.Owners(p) {
		m := w.byID[id]
		m.own(p, false, replica.Read{Key: key(k), Full: true}, func(answer replica.Message) {
			a, ok := answer.(replica.ReadAnswer)
			if ok && !w.check.loses && !a.Context.Join(a.Seen).Dominates(w.check.given[k]) {
				w.check.violateKey(k, "%s lost some of what clients were told: a context covered %v, in the end there is %v, and %v was seen", m.name, w.check.given[k], a.Context, a.Seen)
			}
			if ok && !o.Live() && len(a.Context) == 0 {
				return // forgotten
			}
			if !ok || a.Digest != o.Digest() || !a.Context.Equal(o.Context) {
				w.check.violateKey(k, "%s differs after repair: %+v", m.name, answer)
				return
			}
			if first == nil {
				first, from = a.Object, id
			} else if !bytes.Equal(first, a.Object) {
				w.check.violateKey(k, "%s and %s have other bytes", w.byID[from].name, m.name)
			}
		})
	}
	w.drain()
}
