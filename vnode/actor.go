package vnode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

// vnode is the part of a partition's state that decides which dots it gives.
//
// Invariant: (actor, counter+1) was never given, by this life of the member or
// an earlier one. It rests on this: a record on disk that says "clean" is
// replaced in the batch of the first dot of each life, and is only believed if
// the member's start count, committed after this start, follows the one in the
// record. Any other start draws a new actor.
type vnode struct {
	actor   causal.Actor // zero: to be drawn with the next dot
	counter uint64       // last one given
	// inUse: the record on disk, open batch included, says that dots of actor
	// were given in this life.
	inUse bool
	clock causal.HLC // last timestamp given
}

// vnode returns the state of p, taken up from disk at its first use.
func (t *Tx) vnode(p ring.PartitionID) (*vnode, error) {
	if v, ok := t.x.vnodes[p]; ok {
		return v, nil
	}
	raw, err := t.Get(actorKey(p))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return nil, err
	}
	v := new(vnode)
	if err == nil {
		rec, err := decodeActorRecord(raw)
		if err != nil {
			// It proves nothing, which is all that a new actor needs.
			t.notice(NoticeReadFailed, p, "actor record: "+err.Error())
		}
		v.clock = rec.clock
		if rec.clean && t.x.config.Proven && rec.startCount+1 == t.x.config.StartCount {
			v.actor, v.counter = rec.actor, rec.counter
		}
	}
	t.x.vnodes[p] = v
	return v, nil
}

// dropActor ends the life of p's actor: the next dot is another's.
func (x *Executor) dropActor(p ring.PartitionID) {
	if v, ok := x.vnodes[p]; ok {
		v.actor, v.counter, v.inUse = 0, 0, false
	}
}

// markInUse writes, with the first dot of a life, that the actor is in use.
func (t *Tx) markInUse(p ring.PartitionID, v *vnode) {
	if v.actor == 0 {
		for v.actor == 0 {
			v.actor = causal.Actor(t.x.config.Random())
		}
		v.counter = 0
		t.notice(NoticeNewActor, p, "")
	}
	if v.inUse {
		return
	}
	v.inUse = true
	t.Set(actorKey(p), actorRecord{actor: v.actor, clock: v.clock, startCount: t.x.config.StartCount}.append(nil))
}

// markClean writes that v stopped cleanly and gave no dot above its counter.
func (t *Tx) markClean(p ring.PartitionID, v *vnode) {
	t.Set(actorKey(p), actorRecord{
		clean: true, actor: v.actor, counter: v.counter, clock: v.clock,
		startCount: t.x.config.StartCount,
	}.append(nil))
}

func actorKey(p ring.PartitionID) []byte {
	return storage.AppendPartitionMetaKey(nil, uint32(p), "actor")
}

// actorRecord is the durable form of a vnode's actor.
type actorRecord struct {
	clean      bool
	actor      causal.Actor
	counter    uint64 // if clean
	clock      causal.HLC
	startCount uint64 // of the life that wrote it
}

const (
	actorVersion     = 1
	actorRecordBytes = 1 + 1 + 4*8 + 4
)

var errActorRecord = errors.New("malformed")

// append encodes the record: version, clean, four big-endian numbers, CRC-32C.
func (r actorRecord) append(dst []byte) []byte {
	from := len(dst)
	dst = append(dst, actorVersion, 0)
	if r.clean {
		dst[from+1] = 1
	}
	for _, n := range [...]uint64{uint64(r.actor), r.counter, uint64(r.clock), r.startCount} {
		dst = binary.BigEndian.AppendUint64(dst, n)
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli))
}

func decodeActorRecord(src []byte) (actorRecord, error) {
	if len(src) > 0 && src[0] != actorVersion {
		return actorRecord{}, fmt.Errorf("version %d is not known", src[0])
	}
	if len(src) != actorRecordBytes || src[1] > 1 {
		return actorRecord{}, errActorRecord
	}
	body := src[:actorRecordBytes-4]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(src[actorRecordBytes-4:]) {
		return actorRecord{}, causal.ErrChecksum
	}
	return actorRecord{
		clean:      src[1] == 1,
		actor:      causal.Actor(binary.BigEndian.Uint64(src[2:])),
		counter:    binary.BigEndian.Uint64(src[10:]),
		clock:      causal.HLC(binary.BigEndian.Uint64(src[18:])),
		startCount: binary.BigEndian.Uint64(src[26:]),
	}, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func isCorrupt(err error) bool {
	return errors.Is(err, causal.ErrChecksum) || errors.Is(err, causal.ErrMalformed)
}
