package vnode

import (
	"bytes"
	"slices"
	"sort"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

// Tx is what a Handler sees during one Step: the engine's state, the batch
// being made, and the request at hand.
type Tx struct {
	x    *Executor
	now  time.Time
	view storage.Reader

	batch *storage.Batch
	open  map[string][]byte // the batch's effect by key; nil is deleted
	// dropped are ranges of which the batch leaves only what open has.
	dropped []storage.Range
	dirty   []string // tracked keys of the batch
	// given are the actors that give dots in the batch.
	given []given
	gave  map[given]bool

	request Request
	effects Effects
}

func (t *Tx) begin(r Request) { t.request = r }

// Now is the time of the step.
func (t *Tx) Now() time.Time { return t.now }

// Get returns the value of key, the batch being made included, or
// storage.ErrNotFound. The caller must not change it.
func (t *Tx) Get(key []byte) ([]byte, error) {
	if value, ok := t.open[string(key)]; ok {
		if value == nil {
			return nil, storage.ErrNotFound
		}
		return value, nil
	}
	if t.isDropped(key) {
		return nil, storage.ErrNotFound
	}
	return t.view.Get(key)
}

func (t *Tx) isDropped(key []byte) bool {
	for _, r := range t.dropped {
		if bytes.Compare(key, r.Lower) >= 0 && bytes.Compare(key, r.Upper) < 0 {
			return true
		}
	}
	return false
}

// Scan yields what lies in [lower, upper), in order, the batch being made
// included, until yield returns false. The slices are valid during the call only.
func (t *Tx) Scan(lower, upper []byte, yield func(key, value []byte) bool) error {
	var changed []string
	for key := range t.open {
		if key >= string(lower) && key < string(upper) {
			changed = append(changed, key)
		}
	}
	if len(changed) == 0 && len(t.dropped) == 0 {
		return t.view.Scan(lower, upper, yield)
	}
	slices.Sort(changed)
	more := true
	// upTo yields what the batch puts below key.
	upTo := func(key string) {
		for more && len(changed) > 0 && changed[0] < key {
			if value := t.open[changed[0]]; value != nil {
				more = yield([]byte(changed[0]), value)
			}
			changed = changed[1:]
		}
	}
	err := t.view.Scan(lower, upper, func(key, value []byte) bool {
		upTo(string(key))
		if !more {
			return false
		}
		if _, over := t.open[string(key)]; !over && !t.isDropped(key) {
			more = yield(key, value)
		}
		return more
	})
	if err == nil && more {
		upTo(string(upper))
	}
	return err
}

// Set changes key in the batch being made. Neither may be changed afterwards.
func (t *Tx) Set(key, value []byte) {
	t.openBatch()
	t.batch.Set(key, value)
	t.open[string(key)] = value
}

// Delete removes key in the batch being made.
func (t *Tx) Delete(key []byte) {
	t.openBatch()
	t.batch.Delete(key)
	t.open[string(key)] = nil
}

// DeleteRange removes the keys in [lower, upper) in the batch being made.
func (t *Tx) DeleteRange(lower, upper []byte) {
	t.openBatch()
	t.batch.DeleteRange(lower, upper)
	for key := range t.open {
		if key >= string(lower) && key < string(upper) {
			t.open[key] = nil
		}
	}
	t.dropped = append(t.dropped, storage.Range{Lower: lower, Upper: upper})
}

func (t *Tx) openBatch() {
	if t.batch != nil {
		return
	}
	t.batch = new(storage.Batch)
	t.open = make(map[string][]byte)
}

// Touch says that the batch being made changes what answers about key tell: no
// AnswerCovered for key leaves before the batch is durable.
func (t *Tx) Touch(key []byte) {
	t.openBatch()
	k := string(key)
	if t.x.unsynced[k] == t.x.applied+1 {
		return
	}
	t.x.unsynced[k] = t.x.applied + 1
	t.dirty = append(t.dirty, k)
}

// AnswerNow answers before anything is durable.
func (t *Tx) AnswerNow(m replica.Message) {
	t.effects.Answers = append(t.effects.Answers, t.answer(m))
}

// AnswerCovered answers once all that was ever written to key is durable.
func (t *Tx) AnswerCovered(key []byte, m replica.Message) {
	t.answerAfter(t.x.unsynced[string(key)], m)
}

// AnswerAllCovered answers once all batches so far are durable, the one being
// made included.
func (t *Tx) AnswerAllCovered(m replica.Message) {
	last := t.x.applied
	if t.batch != nil {
		last++
	}
	t.answerAfter(last, m)
}

func (t *Tx) answerAfter(batch BatchID, m replica.Message) {
	if batch <= t.x.synced {
		t.AnswerNow(m)
		return
	}
	// held is ordered by batch; a new entry is for one of the last few.
	held := t.x.held
	i := sort.Search(len(held), func(i int) bool { return held[i].until > batch })
	held = append(held, heldAnswer{})
	copy(held[i+1:], held[i:])
	held[i] = heldAnswer{until: batch, answer: t.answer(m)}
	t.x.held = held
}

// Fail answers that the request could not be done.
func (t *Tx) Fail(err *replica.Error) { t.AnswerNow(replica.Failure{Err: err}) }

// FailRead answers that the disk did not say what is stored, and ends the life
// of the partition's actor: what was lost once may be more than was asked for.
// A disk that returns errors is left alone for a while, and the vnode with it.
func (t *Tx) FailRead(err error) {
	p := t.request.Envelope.Partition
	t.notice(NoticeReadFailed, p, err.Error())
	t.x.dropActors(p)
	if isCorrupt(err) {
		t.Fail(replica.Errorf(replica.KindCorrupt, "partition %d: %v", p, err))
		return
	}
	if v, ok := t.x.vnodes[p]; ok {
		v.failedUntil = t.now.Add(failedFor)
		t.notice(NoticeVnodeFailed, p, err.Error())
	}
	t.Fail(replica.Errorf(replica.KindStorage, "partition %d: %v", p, err))
}

// failedFor is how long a vnode whose disk returned an error refuses requests
// before one of them tries it again.
const failedFor = 10 * time.Second

func (t *Tx) answer(m replica.Message) Answer {
	env := t.request.Envelope
	return Answer{
		Reply: t.request.Reply,
		Envelope: replica.Envelope{
			ID: env.ID, From: t.x.config.Self, To: env.From, Epoch: t.x.ring.Epoch(),
			Partition: env.Partition, Message: m,
		},
	}
}

// Dot gives the partition's next dot for a key of the class: of an object, or, if a
// fallback was asked, of a hint. An error is of the
// disk: no dot can be given, and none was.
func (t *Tx) Dot(p ring.PartitionID, class int) (causal.Dot, error) {
	v, err := t.vnode(p)
	if err != nil {
		return causal.Dot{}, err
	}
	of := given{p, class, t.request.Envelope.Fallback}
	t.markInUse(of, v)
	g := v.giving(of.fallback).giver(class)
	g.counter++
	return causal.Dot{Actor: g.actor, Counter: g.counter}, nil
}

// CheckOwnDots looks for dots of the partition's actors in a vector that came
// from outside. One that was never given means that this vnode's data went back
// in time: it takes new actors.
func (t *Tx) CheckOwnDots(p ring.PartitionID, incoming causal.Vector) error {
	v, err := t.vnode(p)
	if err != nil {
		return err
	}
	ahead := func(g giver) bool { return g.actor != 0 && incoming.Get(g.actor) > g.counter }
	if slices.ContainsFunc(v.own.givers, ahead) || slices.ContainsFunc(v.lent.givers, ahead) {
		t.notice(NoticeOwnDots, p, "")
		t.x.dropActors(p)
	}
	return nil
}

func (t *Tx) notice(kind NoticeKind, p ring.PartitionID, detail string) {
	t.effects.Notices = append(t.effects.Notices, Notice{Kind: kind, Partition: p, Detail: detail})
}

func (t *Tx) finish() Effects {
	t.markGiven()
	if t.batch == nil {
		return t.effects
	}
	t.x.applied++
	t.effects.Batch, t.effects.ID = t.batch, t.x.applied
	t.x.dirty = append(t.x.dirty, dirtyBatch{id: t.x.applied, keys: t.dirty})
	return t.effects
}
