package vnode

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

// standing is how a vnode stands to its partition's slot, beyond what the ring says
// (design section 9).
//
// Invariant: an owner whose slot arrived by a move holds what was acknowledged for
// it if and only if arrival is that move, settled, and the vnode is not incomplete; one
// that has had it since the first commit, if it has not dropped it since.
type standing struct {
	// arrival is the move by which the slot came, or is coming; 0 for none.
	arrival uint64
	// settled: the former owner is fenced, and all of its data is here; or the slot
	// is rebuilt, and what lacks is told by incomplete.
	settled bool
	// fence is the move that takes the slot away; 0 for none.
	fence uint64
	// dropped: the vnode gave up what it held. A ring that gives it the slot all the
	// same, as one does that a recovery goes back to, gives it one without data.
	dropped bool
	// copy: the vnode has no slot, and holds a copy of the keys that all members hold;
	// whole once it was compared with an owner, until then incomplete.
	copy bool
	// after, if started, is the last key that the arrival's stream brought.
	started bool
	after   replica.Key
}

// holds says that the vnode has, or is on its own way to, the data of the slot that
// the ring gives it.
func (x *Executor) holds(p ring.PartitionID, slot int, v *vnode) bool {
	arrival, s := x.ring.Arrival(ring.Slot{Partition: p, Index: slot}), v.standing
	if arrival == 0 {
		return !s.dropped && !s.copy && (s.arrival == 0 || s.settled)
	}
	return s.arrival == arrival && s.settled
}

// fenced says that the slot of p is being taken away, and that no decision has
// turned that back.
func (x *Executor) fenced(p ring.PartitionID, v *vnode) bool {
	m, ok := x.config.Moves[p]
	return ok && v.standing.fence == m.Number && m.From == x.config.Self
}

// rebuilding is the move by which this member's slot of p is being rebuilt.
func (x *Executor) rebuilding(p ring.PartitionID) (replica.Move, bool) {
	m, ok := x.config.Moves[p]
	return m, ok && m.Rebuild && m.To == x.config.Self
}

// admit returns why the vnode does not take a request as an owner, nil if it does.
func (x *Executor) admit(v *vnode, env replica.Envelope) *replica.Error {
	p := env.Partition
	switch env.Message.(type) {
	case replica.Inherit, replica.Leftovers, replica.Drop:
		return nil // they decide by themselves
	}
	slot, owner := x.ring.SlotOf(p, x.config.Self)
	switch {
	case !owner:
		if m, ok := x.config.Moves[p]; ok && m.To == x.config.Self && m.From == env.From && v.standing.arrival == m.Number && compares(env.Message) {
			return nil
		}
		if x.mayCopy(p, v, env) {
			return nil
		}
		return replica.Errorf(replica.KindNotOwner, "member %v owns no slot of partition %d", x.config.Self, p)
	case !x.holds(p, slot, v):
		return replica.Errorf(replica.KindNotOwner, "member %v was given a slot of partition %d, but does not have its data yet", x.config.Self, p)
	case x.fenced(p, v):
		if env.From == x.config.Self && compares(env.Message) {
			return nil
		}
		return replica.Errorf(replica.KindNotOwner, "member %v is handing its slot of partition %d over", x.config.Self, p)
	}
	switch env.Message.(type) {
	case replica.Store, replica.Coordinate:
		if m, ok := x.rebuilding(p); ok && !x.enough(p, v.heard, m.Sources) {
			return replica.Errorf(replica.KindNotOwner, "member %v was given a slot of partition %d, and waits for the other owners to know", x.config.Self, p)
		}
	}
	return nil
}

// compares says that a message is of those that bring two vnodes together, and
// answers no client.
func compares(m replica.Message) bool {
	switch m.(type) {
	case replica.Capture, replica.Release, replica.Adopt, replica.Sums, replica.Entries, replica.Heads, replica.Fetch,
		replica.Transfer, replica.Settle, replica.Page, replica.Fence, replica.Restore, replica.CheckTree, replica.CheckSums:
		return true
	}
	return false
}

// inherit begins, or goes on with, a move at the vnode that is to have the slot.
func (kv *KV) inherit(tx *Tx, env replica.Envelope, m replica.Inherit) {
	x, p := tx.x, env.Partition
	v, err := tx.vnode(p)
	if err != nil {
		tx.FailRead(err)
		return
	}
	slot, owner := x.ring.SlotOf(p, x.config.Self)
	move, ok := x.config.Moves[p]
	underway := ok && move.Number == m.Move && move.To == x.config.Self && move.From == env.From && !owner
	if m.Rebuild {
		underway = owner && env.From == x.config.Self && x.ring.Arrival(ring.Slot{Partition: p, Index: slot}) == m.Move
	}
	if !underway {
		tx.Fail(replica.Errorf(replica.KindAborted, "move %d of partition %d to member %v is not under way", m.Move, p, x.config.Self))
		return
	}
	if m.Move == 0 && x.holds(p, slot, v) {
		tx.AnswerAllCovered(replica.InheritAnswer{}) // as since the first commit
		return
	}
	if v.standing.arrival != m.Move || v.standing.dropped || v.standing.copy {
		tx.dropHeld(p, v)
		v.standing = standing{arrival: m.Move}
		tx.saveStanding(p, v)
	}
	if m.Rebuild && !v.standing.settled {
		v.standing.settled = true
		tx.saveStanding(p, v)
		v.sources = make(map[ring.MemberID]bool)
		if v.incomplete = !x.isWhole(p, v); v.incomplete {
			tx.Set(incompleteKey(p), []byte{seenVersion})
		}
	}
	tx.AnswerAllCovered(replica.InheritAnswer{Started: v.standing.started, After: v.standing.after})
}

// settle makes the vnode one that may own the slot.
func (kv *KV) settle(tx *Tx, env replica.Envelope, m replica.Settle) {
	v, err := tx.vnode(env.Partition)
	if err != nil {
		tx.FailRead(err)
		return
	}
	if v.standing.arrival != m.Move || v.life != m.Life {
		tx.Fail(replica.Errorf(replica.KindAborted, "partition %d lost data, or its member started again, since move %d was compared", env.Partition, m.Move))
		return
	}
	if !v.standing.settled {
		v.standing.settled = true
		tx.saveStanding(env.Partition, v)
	}
	tx.AnswerAllCovered(replica.SettleAnswer{})
}

// noteCursor writes how far the stream of a move has come, in the batch of what it
// brought.
func (t *Tx) noteCursor(p ring.PartitionID, v *vnode, after replica.Key) {
	v.standing.started, v.standing.after = true, after
	t.saveStanding(p, v)
}

// fence ends what this vnode acknowledges and answers of its slot.
func (kv *KV) fence(tx *Tx, env replica.Envelope, m replica.Fence) {
	x, p := tx.x, env.Partition
	v, err := tx.vnode(p)
	if err != nil {
		tx.FailRead(err)
		return
	}
	if move, ok := x.config.Moves[p]; !ok || move.Number != m.Move || move.From != x.config.Self || move.Rebuild {
		tx.Fail(replica.Errorf(replica.KindAborted, "move %d of partition %d from member %v is not under way", m.Move, p, x.config.Self))
		return
	}
	if v.standing.fence != m.Move {
		v.standing.fence = m.Move
		tx.saveStanding(p, v)
	}
	tx.AnswerAllCovered(replica.FenceAnswer{})
}

// heard takes note that another owner refuses what rings before a rebuild's ask.
func (kv *KV) heard(tx *Tx, env replica.Envelope, m replica.Heard) {
	v, err := tx.vnode(env.Partition)
	if err != nil {
		tx.FailRead(err)
		return
	}
	if v.heard == nil {
		v.heard = make(map[ring.MemberID]bool)
	}
	v.heard[m.From] = true
	tx.AnswerNow(replica.HeardAnswer{})
}

// ownsNothing says that the ring neither gives this member a slot of p nor is about
// to.
func (x *Executor) ownsNothing(p ring.PartitionID) bool {
	_, owner := x.ring.SlotOf(p, x.config.Self)
	m, ok := x.config.Moves[p]
	return !owner && !(ok && m.To == x.config.Self)
}

func (kv *KV) leftovers(tx *Tx, env replica.Envelope) {
	p := env.Partition
	v, err := tx.vnode(p)
	any := false
	if err == nil && tx.x.ownsNothing(p) {
		any, err = tx.hasLeftovers(p, v)
	}
	if err != nil {
		tx.FailRead(err)
		return
	}
	s := v.standing
	tx.AnswerNow(replica.LeftoversAnswer{Any: any, Owned: any && (s.arrival == 0 || s.settled), Fence: s.fence})
}

// hasLeftovers says that a vnode without a slot has something of one that it had, or was
// to have.
func (t *Tx) hasLeftovers(p ring.PartitionID, v *vnode) (bool, error) {
	if v.standing.copy {
		return false, nil
	}
	any := v.standing != standing{} && v.standing != standing{dropped: true}
	lower, upper := storage.DataRange(uint32(p))
	err := t.Scan(lower, upper, func(_, _ []byte) bool { any = true; return false })
	return any, err
}

func (kv *KV) drop(tx *Tx, env replica.Envelope) {
	p := env.Partition
	v, err := tx.vnode(p)
	if err != nil {
		tx.FailRead(err)
		return
	}
	if !tx.x.ownsNothing(p) {
		tx.Fail(replica.Errorf(replica.KindAborted, "member %v owns a slot of partition %d, or is to get one: its data stay", tx.x.config.Self, p))
		return
	}
	tx.dropHeld(p, v)
	v.standing.dropped = true
	tx.saveStanding(p, v)
	tx.notice(NoticeDropped, p, "")
	tx.AnswerAllCovered(replica.DropAnswer{})
}

// dropHeld gives up all that the vnode holds as an owner, or as who was to be one.
// What it keeps for others stays.
func (t *Tx) dropHeld(p ring.PartitionID, v *vnode) {
	for _, held := range storage.HeldRanges(uint32(p)) {
		t.DeleteRange(held.Lower, held.Upper)
	}
	for _, key := range [][]byte{incompleteKey(p), treesKey(p), standingKey(p)} {
		t.Delete(key)
	}
	v.incomplete, v.sources, v.heard = false, nil, nil
	v.standing, v.session, v.trees, v.saved = standing{}, session{}, nil, false
	v.peers, v.compared = make(map[ring.MemberID]causal.Vector), nil
	v.life = t.x.config.Random()
	t.forgetSeen(p, v, false)
}

func standingKey(p ring.PartitionID) []byte {
	return storage.AppendPartitionMetaKey(nil, uint32(p), "standing")
}

const standingVersion = 1

func (t *Tx) saveStanding(p ring.PartitionID, v *vnode) {
	t.Set(standingKey(p), v.standing.append(nil))
}

func (t *Tx) loadStanding(p ring.PartitionID, v *vnode) error {
	raw, err := t.Get(standingKey(p))
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if v.standing, err = decodeStanding(raw); err != nil {
		t.notice(NoticeReadFailed, p, "standing: "+err.Error())
		t.doubtStanding(p, v)
	}
	return nil
}

// doubtStanding takes the place of a standing that is corrupt, as of one that went
// with the store (see Lose): an owner keeps what it has, and is compared with others
// before it answers reads; the move that takes its slot away may have fenced it.
// Who was to own a slot begins anew.
func (t *Tx) doubtStanding(p ring.PartitionID, v *vnode) {
	x := t.x
	v.standing = standing{}
	if slot, owner := x.ring.SlotOf(p, x.config.Self); owner {
		v.standing = standing{arrival: x.ring.Arrival(ring.Slot{Partition: p, Index: slot}), settled: true}
		if m, ok := x.config.Moves[p]; ok && m.From == x.config.Self && !m.Rebuild {
			v.standing.fence = m.Number
		}
		v.incomplete, v.sources = true, make(map[ring.MemberID]bool)
		t.Set(incompleteKey(p), []byte{seenVersion})
	}
	t.saveStanding(p, v)
}

// append encodes s: version, flags, arrival, fence, the parts of the cursor behind
// their lengths, CRC-32C.
func (s standing) append(dst []byte) []byte {
	from := len(dst)
	var flags byte
	if s.settled {
		flags |= 1
	}
	if s.started {
		flags |= 2
	}
	if s.copy {
		flags |= 4
	}
	if s.dropped {
		flags |= 8
	}
	dst = append(dst, standingVersion, flags)
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, s.arrival), s.fence)
	for _, part := range []string{s.after.Type, s.after.Bucket, s.after.Key} {
		dst = append(binary.AppendUvarint(dst, uint64(len(part))), part...)
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli))
}

func decodeStanding(src []byte) (standing, error) {
	var s standing
	rest, err := unseal(src, standingVersion, 1)
	if err != nil {
		return s, err
	}
	s.settled, s.started, s.copy, s.dropped = rest[0]&1 != 0, rest[0]&2 != 0, rest[0]&4 != 0, rest[0]&8 != 0
	rest = rest[1:]
	number := func() uint64 {
		n, size := binary.Uvarint(rest)
		if size <= 0 {
			rest = nil
			return 0
		}
		rest = rest[size:]
		return n
	}
	s.arrival, s.fence = number(), number()
	for _, part := range []*string{&s.after.Type, &s.after.Bucket, &s.after.Key} {
		n := number()
		if n > uint64(len(rest)) {
			return standing{}, causal.ErrMalformed
		}
		*part, rest = string(rest[:n]), rest[n:]
	}
	if len(rest) > 0 {
		return standing{}, causal.ErrMalformed
	}
	return s, nil
}
