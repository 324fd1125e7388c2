package handoff

import (
	"slices"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Verify compares what all owners of a partition, and those who hold copies, have, key by key, from the data
// and not from the trees. Two owners agree if neither has something for the other
// (Compare). A key that differs is looked at again a while later, for it may just
// have been written.
type Verify struct {
	config   VerifyConfig
	calls    calls
	progress Progress
	owners   []scanned // and those with copies

	doubtful []replica.Key
	again    []replica.Key // under way
	heads    []replica.HeadsAnswer
	lookAt   time.Time
	waiting  int
	report   VerifyReport
	finished bool
	err      *replica.Error
}

// VerifyConfig says what is compared.
type VerifyConfig struct {
	Partition ring.PartitionID
	Owners    []ring.MemberID // by slot
	Copies    []ring.MemberID // members that hold one besides
	// Types has the class of the bucket types; keys of others are left out.
	Types map[string]int
	// BucketType, if set, is the only one to be compared.
	BucketType string
	SecondLook time.Duration
	// DifferencesMax bounds the differences that are listed; all are counted.
	DifferencesMax int
}

// VerifyReport is the outcome.
type VerifyReport struct {
	Keys, Differ int
	Differences  []Difference
}

// Difference is a key that owners don't agree on.
type Difference struct {
	Key replica.Key
	// Copies of its owners, by slot; then those of other members, as in
	// VerifyConfig.Copies.
	Copies []Copy
}

// Copy is what one owner has: an object without values, and what its vnode had
// seen; or Bad, a corrupt record.
type Copy struct {
	Owner ring.MemberID
	Side
	Bad bool
}

// scanned is an owner's data as far as it was read.
type scanned struct {
	id      ring.MemberID
	keys    []replica.Key
	heads   []replica.Head
	seen    causal.Vector
	last    replica.Key
	started bool
	done    bool
}

// NewVerify returns the op that compares the owners of a partition.
func NewVerify(c VerifyConfig) *Verify {
	v := &Verify{config: c, progress: Progress{Kind: KindVerify, Partition: c.Partition}}
	for _, id := range slices.Concat(c.Owners, c.Copies) {
		v.owners = append(v.owners, scanned{id: id})
	}
	return v
}

// holders is how many of v.owners hold the keys of a class.
func (v *Verify) holders(class int) int {
	if class > len(v.config.Owners) {
		return len(v.owners)
	}
	return class
}

// Progress implements Op.
func (v *Verify) Progress() Progress { return v.progress }

// Report is what was found so far.
func (v *Verify) Report() VerifyReport { return v.report }

// Step implements Op.
func (v *Verify) Step(now time.Time, e replica.Event) Effects {
	var fx Effects
	v.calls.take(now, e, &fx)
	for v.err == nil && v.waiting == 0 && !v.finished && v.advance(now, &fx) {
	}
	if v.err != nil || v.finished {
		fx.Finished, fx.Err = true, v.err
	}
	return fx
}

// advance takes the next step that needs no answer; false: it waits.
func (v *Verify) advance(now time.Time, fx *Effects) bool {
	switch {
	case len(v.again) > 0:
		if now.Before(v.lookAt) {
			fx.Tick = v.lookAt
			return false
		}
		v.lookAgain(fx)
		return false
	case len(v.doubtful) >= keysAtOnce || (v.scannedAll() && len(v.doubtful) > 0):
		n := min(len(v.doubtful), keysAtOnce)
		v.again, v.doubtful = v.doubtful[:n:n], v.doubtful[n:]
		v.lookAt = now.Add(v.config.SecondLook)
		return true
	case v.scannedAll():
		v.finished = true
		return false
	}
	asked := false
	for i := range v.owners {
		if o := &v.owners[i]; len(o.keys) == 0 && !o.done {
			v.scan(o, i, fx)
			asked = true
		}
	}
	if asked {
		return false
	}
	v.mergeNext()
	return true
}

func (v *Verify) scannedAll() bool {
	return !slices.ContainsFunc(v.owners, func(o scanned) bool { return len(o.keys) > 0 || !o.done })
}

func (v *Verify) ask(to ring.MemberID, m replica.Message, fx *Effects, then func(m replica.Message) bool) {
	v.waiting++
	v.calls.send(fx, replica.Send{To: to, Message: m}, func(_ time.Time, m replica.Message, _ *Effects) {
		v.waiting--
		if !then(m) && v.err == nil {
			v.err = describe(v.config.Partition, "member "+to.String(), wrong(m))
		}
	})
}

func (v *Verify) scan(o *scanned, slot int, fx *Effects) {
	ask := replica.Scan{Class: min(slot, len(v.config.Owners)) + 1, Started: o.started, After: o.last}
	v.ask(o.id, ask, fx, func(m replica.Message) bool {
		a, ok := m.(replica.ScanAnswer)
		if !ok || len(a.Keys) != len(a.Heads) || (len(a.Keys) == 0 && !a.Done) {
			return false
		}
		o.keys, o.heads, o.seen, o.done = a.Keys, a.Heads, a.Seen, a.Done
		if len(a.Keys) > 0 {
			o.started, o.last = true, a.Keys[len(a.Keys)-1]
		}
		for i := range a.Keys {
			v.progress.Read += keyBytes(a.Keys[i]) + headBytes(a.Heads[i].Object)
		}
		return true
	})
}

// mergeNext compares the least key that any owner has next.
func (v *Verify) mergeNext() {
	var least replica.Key
	found := false
	for i := range v.owners {
		if o := &v.owners[i]; len(o.keys) > 0 && (!found || compareKeys(o.keys[0], least) < 0) {
			least, found = o.keys[0], true
		}
	}
	copies := make([]Copy, len(v.owners))
	for i := range v.owners {
		o := &v.owners[i]
		copies[i] = Copy{Owner: o.id, Side: Side{Seen: o.seen}}
		if len(o.keys) > 0 && o.keys[0] == least {
			copies[i].Object, copies[i].Bad = o.heads[0].Object, o.heads[0].Bad
			o.keys, o.heads = o.keys[1:], o.heads[1:]
		}
	}
	class, ok := v.config.Types[least.Type]
	if !ok || (v.config.BucketType != "" && least.Type != v.config.BucketType) {
		return
	}
	v.report.Keys++
	v.progress.Done++
	if !agree(copies[:v.holders(class)]) {
		v.doubtful = append(v.doubtful, least)
	}
}

func agree(copies []Copy) bool {
	for i := range copies {
		if copies[i].Bad {
			return false
		}
		for j := range copies[:i] {
			if toA, toB := Compare(copies[i].Side, copies[j].Side); toA || toB {
				return false
			}
		}
	}
	return true
}

func (v *Verify) lookAgain(fx *Effects) {
	v.heads = make([]replica.HeadsAnswer, len(v.owners))
	for i := range v.owners {
		v.ask(v.owners[i].id, replica.Heads{Keys: v.again}, fx, func(m replica.Message) bool {
			a, ok := m.(replica.HeadsAnswer)
			if !ok || len(a.Heads) != len(v.again) {
				return false
			}
			v.heads[i] = a
			if v.waiting == 0 && v.err == nil {
				v.judge()
			}
			return true
		})
	}
}

func (v *Verify) judge() {
	for j, k := range v.again {
		copies := make([]Copy, v.holders(v.config.Types[k.Type]))
		for i := range copies {
			head := v.heads[i].Heads[j]
			copies[i] = Copy{Owner: v.owners[i].id, Side: Side{head.Object, v.heads[i].Seen}, Bad: head.Bad}
		}
		if agree(copies) {
			continue
		}
		v.report.Differ++
		v.progress.Differed++
		if len(v.report.Differences) < v.config.DifferencesMax {
			v.report.Differences = append(v.report.Differences, Difference{Key: k, Copies: copies})
		}
	}
	v.again, v.heads = nil, nil
}
