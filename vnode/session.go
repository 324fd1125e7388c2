package vnode

import (
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

// session is the comparison with another owner that a vnode is in. One at a
// time, or two owners would send it the same objects.
type session struct {
	with  ring.MemberID
	until time.Time
}

// sessionIdle ends a session of which nothing was heard for so long: its member
// is gone.
const sessionIdle = 15 * time.Second

func (kv *KV) capture(tx *Tx, env replica.Envelope, m replica.Capture) {
	v, err := tx.vnode(env.Partition)
	if err != nil {
		tx.FailRead(err)
		return
	}
	if s := v.session; !m.Look && s.with != env.From && tx.now.Before(s.until) {
		e := replica.Errorf(replica.KindOverloaded, "partition %d is being compared with member %v", env.Partition, s.with)
		e.RetryAfter = time.Second
		tx.Fail(e)
		return
	}
	tr, err := tx.trees(env.Partition)
	if err != nil {
		tx.FailRead(err)
		return
	}
	if _, ok := tx.x.rebuilding(env.Partition); ok {
		// It may have been agreed meanwhile that fewer sources have to do.
		tx.completeIfWhole(env.Partition, v)
	}
	if !m.Look {
		v.session = session{with: env.From, until: tx.now.Add(sessionIdle)}
	}
	tx.AnswerAllCovered(replica.CaptureAnswer{
		Seen: v.own.all(), Life: v.life, Roots: tr.roots(tx.x.leaves()), Incomplete: v.incomplete,
	})
}

// extendSession keeps a session alive that its member goes on with.
func (t *Tx) extendSession(env replica.Envelope) {
	if v, ok := t.x.vnodes[env.Partition]; ok && v.session.with == env.From {
		v.session.until = t.now.Add(sessionIdle)
	}
}

func (kv *KV) release(tx *Tx, env replica.Envelope) {
	if v, ok := tx.x.vnodes[env.Partition]; ok && v.session.with == env.From {
		v.session = session{}
	}
	tx.AnswerNow(replica.ReleaseAnswer{})
}

func (kv *KV) heads(tx *Tx, env replica.Envelope, m replica.Heads) {
	tx.extendSession(env)
	seen, err := tx.seenBy(env.Partition)
	if err != nil {
		tx.FailRead(err)
		return
	}
	if len(m.Keys) > entriesMax {
		tx.Fail(replica.Invalid("keys", "%d keys: ask for at most %d", len(m.Keys), entriesMax))
		return
	}
	answer := replica.HeadsAnswer{Seen: seen, Heads: make([]replica.Head, len(m.Keys))}
	for i, k := range m.Keys {
		r, err := load(tx, env.Partition, k)
		switch {
		case isCorrupt(err):
			answer.Heads[i].Bad = true
		case err != nil:
			tx.FailRead(err)
			return
		default:
			answer.Heads[i].Object = r.object.Header()
		}
	}
	tx.AnswerAllCovered(answer)
}

// scanBytesMax bounds the records that one answer of a scan tells of.
const scanBytesMax = 1 << 20

func (kv *KV) scan(tx *Tx, env replica.Envelope, m replica.Scan) {
	p := env.Partition
	if !tx.isWhole(p) {
		return
	}
	if m.Limit <= 0 || m.Limit > entriesMax {
		m.Limit = entriesMax
	}
	seen, err := tx.seenBy(p)
	if err != nil {
		tx.FailRead(err)
		return
	}
	answer := replica.ScanAnswer{Seen: seen, Done: true}
	bytes := 0
	err = tx.scanRecords(p, m.Started, m.After, func(k replica.Key, value []byte) bool {
		if tx.x.config.Types[k.Type] < m.Class {
			return true
		}
		if len(answer.Keys) == m.Limit || bytes > scanBytesMax {
			answer.Done = false
			return false
		}
		// What is yielded is overwritten.
		o, err := causal.DecodeObject(append([]byte(nil), value...))
		if err != nil {
			tx.damaged(p, k, err)
		}
		answer.Keys = append(answer.Keys, k)
		answer.Heads = append(answer.Heads, replica.Head{Object: o.Header(), Bad: err != nil})
		bytes += len(value)
		return true
	})
	if err != nil {
		tx.FailRead(err)
		return
	}
	tx.AnswerAllCovered(answer)
}

// scanRecords yields the records of a partition after a cursor.
func (t *Tx) scanRecords(p ring.PartitionID, started bool, after replica.Key, yield func(k replica.Key, value []byte) bool) error {
	lower, upper := storage.DataRange(uint32(p))
	if started {
		lower = storage.Successor(dataKey(p, after))
	}
	var bad error
	err := t.Scan(lower, upper, func(key, value []byte) bool {
		parsed, err := storage.ParseDataKey(key)
		if err != nil {
			bad = err
			return false
		}
		return yield(keyOf(parsed), value)
	})
	if err == nil {
		err = bad
	}
	return err
}

// page reads whole objects in order. One that is corrupt is left out: what
// compares the vnodes afterwards finds that.
func (kv *KV) page(tx *Tx, env replica.Envelope, m replica.Page) {
	p := env.Partition
	answer := replica.PageAnswer{Done: true}
	type found struct {
		key    replica.Key
		record record
	}
	var records []found
	size := 0
	err := tx.scanRecords(p, m.Started, m.After, func(k replica.Key, value []byte) bool {
		if len(records) == entriesMax || size > fetchBytesMax {
			answer.Done = false
			return false
		}
		answer.Last = k
		value = append([]byte(nil), value...)
		o, err := causal.DecodeObject(value)
		if err != nil {
			tx.damaged(p, k, err)
			return true
		}
		size += len(value)
		for i := range o.Siblings {
			if o.Siblings[i].Apart {
				size += o.Siblings[i].ValueSize
			}
		}
		records = append(records, found{k, record{object: o, raw: value}})
		return true
	})
	for _, r := range records {
		if err != nil {
			break
		}
		var encoded []byte
		if _, encoded, err = r.record.whole(tx, p, r.key); isCorrupt(err) {
			err = nil
			continue
		}
		answer.Items = append(answer.Items, replica.Item{Key: r.key, Object: encoded})
	}
	if err != nil {
		tx.FailRead(err)
		return
	}
	tx.AnswerAllCovered(answer)
}

// fetchBytesMax is what the objects of one answer may take, unless the first is
// larger by itself.
const fetchBytesMax = 1 << 20

func (kv *KV) fetch(tx *Tx, env replica.Envelope, m replica.Fetch) {
	tx.extendSession(env)
	var answer replica.FetchAnswer
	bytes := 0
	for _, k := range m.Keys {
		r, err := load(tx, env.Partition, k)
		var encoded []byte
		if err == nil {
			_, encoded, err = r.whole(tx, env.Partition, k)
		}
		if err != nil {
			tx.FailRead(err)
			return
		}
		if bytes += len(encoded); bytes > fetchBytesMax && len(answer.Objects) > 0 {
			break
		}
		answer.Objects = append(answer.Objects, encoded)
	}
	tx.AnswerAllCovered(answer)
}
