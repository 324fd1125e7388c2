package vnode

import (
	"time"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

// Handler is what lives on the ring: it answers requests for one partition
// through a Tx. The executor has checked ownership, epoch and deadline.
type Handler interface {
	// Handle reads and changes through tx and answers through it exactly as
	// often as the message asks for.
	Handle(tx *Tx, env replica.Envelope)
}

// Executor runs the vnodes of a share of one member's partitions.
//
// Invariant: no answer about stored state leaves before a sync that covers it.
// Answers about keys of batches that are not durable yet are held.
type Executor struct {
	config  Config
	handler Handler
	ring    *ring.Ring
	vnodes  map[ring.PartitionID]*vnode

	applied BatchID // last batch handed out
	synced  BatchID // last batch known durable
	// unsynced has, for every key changed by a batch that is not durable yet,
	// the last such batch; dirty the keys by batch, oldest first.
	unsynced map[string]BatchID
	dirty    []dirtyBatch
	held     []heldAnswer // in the order of their batches
	// waiting for a ring at least as new as their epoch, or for the bucket type
	// that they name. At most HeldMax.
	waiting []Request
	room    RoomLevel
	// hintBytes are those of all hints of this executor's partitions; -1 until
	// they are counted.
	hintBytes int64

	failed  error // the commit error that ended service
	stopped bool
}

var (
	errStopping = replica.Errorf(replica.KindUnavailable, "the member is stopping")
	errLate     = replica.Errorf(replica.KindUnknown, "the deadline passed before the request was begun")
)

type dirtyBatch struct {
	id   BatchID
	keys []string
}

type heldAnswer struct {
	until  BatchID
	answer Answer
}

// NewExecutor returns an executor whose vnodes take up what the engine behind
// view holds of them as they are first used.
func NewExecutor(config Config, handler Handler) *Executor {
	return &Executor{
		config:   config,
		handler:  handler,
		ring:     config.Ring,
		vnodes:   make(map[ring.PartitionID]*vnode),
		unsynced: make(map[string]BatchID),

		hintBytes: -1,
	}
}

// Step takes events in order. View is the engine with all earlier batches
// applied.
func (x *Executor) Step(now time.Time, events []Event, view storage.Reader) Effects {
	tx := &Tx{x: x, now: now, view: view}
	for _, e := range events {
		switch e := e.(type) {
		case Request:
			x.request(tx, e)
		case Synced:
			x.sync(tx, e)
		case Installed:
			x.install(tx, e)
		case Room:
			x.room = e.Level
		case Stop:
			x.stop(tx)
		}
	}
	return tx.finish()
}

func (x *Executor) request(tx *Tx, r Request) {
	env := r.Envelope
	tx.begin(r)
	switch {
	case x.stopped:
		tx.Fail(errStopping)
		return
	case x.failed != nil:
		tx.Fail(replica.Errorf(replica.KindStorage, "a commit failed and its fate is unknown; restart the member: %v", x.failed))
		return
	case !env.Deadline.IsZero() && tx.now.After(env.Deadline):
		tx.Fail(errLate)
		return
	case int(env.Partition) >= x.ring.Partitions():
		tx.Fail(replica.Errorf(replica.KindNotOwner, "there is no partition %d: the ring has %d", env.Partition, x.ring.Partitions()))
		return
	}
	switch env.Epoch.Compare(x.ring.Epoch()) {
	case 1:
		tx.effects.Behind = env.From
		x.wait(tx, r)
		return
	case -1:
		if env.Epoch.Compare(x.ring.OwnersChanged(env.Partition)) < 0 {
			tx.Fail(replica.Errorf(replica.KindStaleRing, "the request was made with ring %v, and the owners of partition %d changed in %v", env.Epoch, env.Partition, x.ring.OwnersChanged(env.Partition)))
			return
		}
	}
	if v, ok := x.vnodes[env.Partition]; ok && !v.failedUntil.IsZero() {
		if tx.now.Before(v.failedUntil) {
			tx.Fail(replica.Errorf(replica.KindStorage, "the disk returned an error for partition %d lately: its vnode refuses requests for %v", env.Partition, failedFor))
			return
		}
		v.failedUntil = time.Time{}
		tx.notice(NoticeVnodeServes, env.Partition, "")
	}
	if !env.Fallback {
		v, err := tx.vnode(env.Partition)
		if err != nil {
			tx.FailRead(err)
			return
		}
		if err := x.admit(v, env); err != nil {
			tx.Fail(err)
			return
		}
		if !tx.beCopy(v, env) {
			return
		}
	}
	x.handler.Handle(tx, env)
}

// sync releases what waited for the batch. After a failed one nothing is
// served: what readers see may not be there after a restart.
func (x *Executor) sync(tx *Tx, s Synced) {
	if s.Err != nil {
		if x.failed == nil {
			x.failed = s.Err
			tx.notice(NoticeCommitFailed, 0, s.Err.Error())
		}
		for _, h := range x.held {
			h.answer.Envelope.Message = replica.Failure{Err: &replica.Error{
				Kind:         replica.KindStorage,
				Message:      "the commit failed and its fate is unknown: " + s.Err.Error(),
				MaybeApplied: true,
			}}
			tx.effects.Answers = append(tx.effects.Answers, h.answer)
		}
		x.held = nil
		return
	}
	if x.failed != nil || s.Batch <= x.synced {
		return
	}
	x.synced = s.Batch
	n := 0
	for ; n < len(x.held) && x.held[n].until <= s.Batch; n++ {
		tx.effects.Answers = append(tx.effects.Answers, x.held[n].answer)
	}
	x.held = append(x.held[:0], x.held[n:]...)
	n = 0
	for ; n < len(x.dirty) && x.dirty[n].id <= s.Batch; n++ {
		for _, key := range x.dirty[n].keys {
			if x.unsynced[key] == x.dirty[n].id {
				delete(x.unsynced, key)
			}
		}
	}
	x.dirty = append(x.dirty[:0], x.dirty[n:]...)
}

func (x *Executor) install(tx *Tx, e Installed) {
	if e.Ring.Epoch().Compare(x.ring.Epoch()) > 0 {
		x.ring = e.Ring
	}
	x.config.Moves, x.config.Leaving = e.Moves, e.Leaving
	x.config.HintBytesMax = e.HintBytesMax
	// Bucket types come, and never go.
	if len(e.Types) > len(x.config.Types) {
		x.config.Types = e.Types
	}
	waiting := x.waiting
	x.waiting = nil
	for _, w := range waiting {
		x.request(tx, w)
	}
}

// wait keeps a request for the ring that its sender has. Those whose deadline
// passed make room.
func (x *Executor) wait(tx *Tx, r Request) {
	kept := x.waiting[:0]
	for _, w := range x.waiting {
		if d := w.Envelope.Deadline; d.IsZero() || !tx.now.After(d) {
			kept = append(kept, w)
			continue
		}
		tx.begin(w)
		tx.Fail(errLate)
	}
	x.waiting = kept
	tx.begin(r)
	if len(x.waiting) >= x.config.HeldMax {
		tx.Fail(replica.Errorf(replica.KindOverloaded, "too many requests wait for a newer ring"))
		return
	}
	x.waiting = append(x.waiting, r)
}

// stop marks every vnode that gave dots, or could go on giving them, as cleanly
// stopped, and saves the sums. Without a proven start nothing is marked: the next
// one could not believe it.
func (x *Executor) stop(tx *Tx) {
	if x.stopped {
		return
	}
	x.stopped = true
	for _, w := range x.waiting {
		tx.begin(w)
		tx.Fail(errStopping)
	}
	x.waiting = nil
	if x.failed != nil {
		return
	}
	tx.markGiven()
	for p := ring.PartitionID(x.config.Index); int(p) < x.ring.Partitions(); p += ring.PartitionID(x.config.Of) {
		v, err := tx.vnode(p)
		if err != nil {
			continue
		}
		if x.config.Proven {
			tx.markClean(p, v)
		}
		tx.saveTrees(p, v)
	}
}
