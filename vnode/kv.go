package vnode

import (
	"bytes"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

// KV is the Handler that stores objects: it reads, merges, and gives writes
// their dots.
type KV struct {
	// InlineBytes and MaxSkew as in Config.
	InlineBytes int
	MaxSkew     time.Duration
}

// NewKV returns the handler that config describes.
func NewKV(config Config) *KV {
	return &KV{InlineBytes: config.InlineBytes, MaxSkew: config.MaxSkew}
}

// Handle implements Handler.
func (kv *KV) Handle(tx *Tx, env replica.Envelope) {
	switch m := env.Message.(type) {
	case replica.Read:
		kv.read(tx, env, m)
	case replica.Store:
		kv.store(tx, env, m)
	case replica.Coordinate:
		if env.Fallback || tx.knows(m.Write.Key.Type) {
			kv.coordinate(tx, env, m)
		}
	case replica.List:
		kv.list(tx, env, m)
	case replica.Transfer:
		kv.transfer(tx, env, m)
	case replica.Capture:
		kv.capture(tx, env, m)
	case replica.Release:
		kv.release(tx, env)
	case replica.Adopt:
		kv.adopt(tx, env, m)
	case replica.Sums:
		kv.sums(tx, env, m)
	case replica.Entries:
		kv.entries(tx, env, m)
	case replica.Heads:
		kv.heads(tx, env, m)
	case replica.Scan:
		kv.scan(tx, env, m)
	case replica.Fetch:
		kv.fetch(tx, env, m)
	case replica.Inherit:
		kv.inherit(tx, env, m)
	case replica.Settle:
		kv.settle(tx, env, m)
	default:
		kv.handleOwn(tx, env)
	}
}

// handleOwn answers what only this member asks of its vnodes.
func (kv *KV) handleOwn(tx *Tx, env replica.Envelope) {
	switch m := env.Message.(type) {
	case replica.Hints:
		kv.listHints(tx, env, m)
	case replica.DropHints:
		kv.dropHints(tx, env, m)
	case replica.HintCount:
		kv.hintCount(tx, env)
	case replica.Reap:
		kv.reap(tx, env, m)
	case replica.Expired:
		kv.expired(tx, env, m)
	case replica.CheckTree:
		kv.checkTree(tx, env, m)
	case replica.CheckSums:
		kv.checkSums(tx, env, m)
	case replica.Restore:
		kv.restore(tx, env, m)
	case replica.Page:
		kv.page(tx, env, m)
	case replica.Fence:
		kv.fence(tx, env, m)
	case replica.Heard:
		kv.heard(tx, env, m)
	case replica.Leftovers:
		kv.leftovers(tx, env)
	case replica.Drop:
		kv.drop(tx, env)
	default:
		tx.Fail(replica.Errorf(replica.KindInternal, "%T is no message for a vnode", m))
	}
}

func (kv *KV) read(tx *Tx, env replica.Envelope, m replica.Read) {
	if env.Fallback {
		kv.readHints(tx, env, m)
		return
	}
	if !tx.isWhole(env.Partition) {
		return
	}
	seen, err := tx.seenBy(env.Partition)
	if err != nil {
		tx.FailRead(err)
		return
	}
	r, err := load(tx, env.Partition, m.Key)
	if err != nil {
		tx.FailRead(err)
		return
	}
	answer := replica.ReadAnswer{Context: r.object.Context, Digest: r.object.Digest(), Seen: seen}
	if m.Full && len(r.object.Context) > 0 {
		if _, answer.Object, err = r.whole(tx, env.Partition, m.Key); err != nil {
			tx.FailRead(err)
			return
		}
	}
	tx.AnswerCovered(r.key, answer)
}

// isWhole answers, if the vnode of p lost data and has not got it back, that it
// does not know.
func (t *Tx) isWhole(p ring.PartitionID) bool {
	v, err := t.vnode(p)
	if err != nil {
		t.FailRead(err)
		return false
	}
	switch {
	case v.incomplete && v.standing.copy:
		t.Fail(replica.Errorf(replica.KindUnavailable, "member %v has not been given all of its copy of partition %d yet", t.x.config.Self, p))
	case v.incomplete:
		t.Fail(replica.Errorf(replica.KindUnavailable, "member %v lost its data of partition %d and has not got all of it back from the other owners yet", t.x.config.Self, p))
	}
	return !v.incomplete
}

// knows reports whether the bucket type is known. If not, the request waits for
// a state that names it.
func (t *Tx) knows(bucketType string) bool {
	if _, ok := t.x.config.Types[bucketType]; ok {
		return true
	}
	t.effects.Behind = t.request.Envelope.From
	t.x.wait(t, t.request)
	return false
}

// refuseWrite answers, if there is no room for it, that nothing is written.
func (t *Tx) refuseWrite(isDelete bool) bool {
	if t.x.room == RoomEnough || (t.x.room == RoomReserve && isDelete) {
		return false
	}
	e := replica.Errorf(replica.KindOverloaded, "the disk of member %v is nearly full: it takes no writes until there is room (disk_reserve_bytes)", t.x.config.Self)
	e.RetryAfter = time.Second
	t.Fail(e)
	return true
}

func (kv *KV) store(tx *Tx, env replica.Envelope, m replica.Store) {
	if env.Fallback {
		kv.storeHint(tx, env, m)
		return
	}
	if !tx.knows(m.Key.Type) {
		return
	}
	incoming, err := causal.DecodeObject(m.Object)
	if err != nil {
		tx.Fail(replica.Errorf(replica.KindInvalid, "object to store: %v", err))
		return
	}
	if tx.refuseWrite(!incoming.Live()) {
		return
	}
	changed, err := kv.receive(tx, env.Partition, m.Key, incoming, m.Object)
	if err != nil {
		tx.FailRead(err)
		return
	}
	tx.AnswerCovered(dataKey(env.Partition, m.Key), replica.StoreAnswer{Durable: true, Changed: changed})
}

// receive merges an object, whose encoding is given, into what the vnode has. An
// error is of the disk.
func (kv *KV) receive(tx *Tx, p ring.PartitionID, k replica.Key, incoming causal.Object, encoded []byte) (changed bool, err error) {
	r, err := load(tx, p, k)
	if err != nil {
		return false, err
	}
	return kv.receiveOver(tx, p, k, r, incoming, encoded)
}

// receiveOver is receive with the record that the vnode has.
func (kv *KV) receiveOver(tx *Tx, p ring.PartitionID, k replica.Key, r record, incoming causal.Object, encoded []byte) (changed bool, err error) {
	v, err := tx.vnode(p)
	if err == nil {
		err = tx.CheckOwnDots(p, incoming.Context)
	}
	if err != nil {
		return false, err
	}
	after, outcome := causal.Receive(r.object, v.own.all(), incoming)
	if v.standing.copy && outcome != causal.Unchanged {
		// What a copy left out because it has seen it would stay in the context of what it
		// keeps, and an owner that is given that would take it for overwritten.
		after, outcome = causal.MergeOutcome(r.object, incoming)
	}
	if outcome == causal.Unchanged {
		return false, nil
	}
	if outcome != causal.Replaced {
		// Something older or nothing is replaced by the bytes as they came.
		encoded = nil
	}
	return true, r.save(tx, p, k, after, encoded, kv.InlineBytes)
}

// transfer merges objects that another vnode has, all or, if one can't be, none
// that is acknowledged.
func (kv *KV) transfer(tx *Tx, env replica.Envelope, m replica.Transfer) {
	tx.extendSession(env)
	v, err := tx.vnode(env.Partition)
	if err != nil {
		tx.FailRead(err)
		return
	}
	if m.Move != 0 && v.standing.arrival != m.Move {
		tx.Fail(replica.Errorf(replica.KindAborted, "move %d of partition %d is not under way here", m.Move, env.Partition))
		return
	}
	var answer replica.TransferAnswer
	for _, item := range m.Items {
		if !tx.knows(item.Key.Type) {
			return
		}
	}
	fresh, err := tx.hasNothingAmong(env.Partition, m.Items)
	if err != nil {
		tx.FailRead(err)
		return
	}
	for _, item := range m.Items {
		incoming, err := causal.DecodeObject(item.Object)
		if err != nil {
			tx.Fail(replica.Errorf(replica.KindInvalid, "object to store: %v", err))
			return
		}
		if tx.refuseWrite(!incoming.Live()) {
			return
		}
		r := record{key: dataKey(env.Partition, item.Key)}
		if !fresh {
			r, err = load(tx, env.Partition, item.Key)
		}
		changed := false
		if err == nil {
			changed, err = kv.receiveOver(tx, env.Partition, item.Key, r, incoming, item.Object)
		}
		if err != nil {
			tx.FailRead(err)
			return
		}
		if changed {
			answer.Changed++
		}
	}
	if m.Move != 0 && len(m.Items) > 0 {
		tx.noteCursor(env.Partition, v, m.Items[len(m.Items)-1].Key)
	}
	tx.AnswerAllCovered(answer)
}

// hasNothingAmong reports that the vnode has none of the items, and nothing between
// them. It is always false for items that are not in the order of their keys. The
// stream of a move is, and comes to where nothing is: one look spares as many as
// there are items.
func (t *Tx) hasNothingAmong(p ring.PartitionID, items []replica.Item) (bool, error) {
	if len(items) < 2 {
		return false, nil
	}
	first := dataKey(p, items[0].Key)
	last := first
	for _, item := range items[1:] {
		key := dataKey(p, item.Key)
		if bytes.Compare(last, key) >= 0 {
			return false, nil
		}
		last = key
	}
	nothing := true
	err := t.Scan(first, storage.Successor(last), func(_, _ []byte) bool {
		nothing = false
		return false
	})
	return nothing, err
}
