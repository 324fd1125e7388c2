package vnode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

// vnode is the part of a partition's state that decides which dots it gives.
//
// Invariant: (actor, counter+1) of a giver was never given, by this life of the
// member or an earlier one. It rests on this: a record on disk that says "clean" is
// replaced in the batch of the first dot of each life, and is only believed if
// the member's start count, committed after this start, follows the one in the
// record. Any other start draws a new actor.
type vnode struct {
	givers []giver    // by class
	clock  causal.HLC // last timestamp given

	// seen, with the own actors' dots up to their counters: the vnode has merged
	// every dot up to there of the keys that it owns (design section 7).
	// Invariant: it is written no earlier than the data, and emptied when data is
	// lost.
	seen causal.Vector
	// life is another one in every process, and after data was lost.
	life uint64
	// peers have what other owners had durably seen when they were last compared
	// with this vnode.
	peers    map[ring.MemberID]causal.Vector
	compared map[ring.MemberID]time.Time // when that was
	// incomplete: data was lost, and not all of it has come back from sources.
	incomplete bool
	sources    map[ring.MemberID]bool

	session session
	trees   *trees // nil until somebody asks for a sum
	// saved: sums may be on disk that no change was made since.
	saved bool
	hints *hintTotals
	// known are the actors of which handed tells who got their hints.
	known  map[causal.Actor]bool
	handed map[handed]uint64 // life of the owner; severalLives
	// failedUntil is when the disk is tried again after it returned an error.
	failedUntil time.Time
}

// giver gives the dots of the keys of one class.
type giver struct {
	actor   causal.Actor // zero: to be drawn with the next dot
	counter uint64       // last one given
	// inUse: the record on disk, open batch included, says that dots of actor
	// were given in this life.
	inUse bool
}

// giver is the one of a class.
func (v *vnode) giver(class int) *giver {
	for len(v.givers) <= class {
		v.givers = append(v.givers, giver{})
	}
	return &v.givers[class]
}

// gives says that an actor of this vnode has given dots that ctx covers.
func (v *vnode) gives(ctx causal.Vector) bool {
	return slices.ContainsFunc(v.givers, func(g giver) bool { return g.actor != 0 && ctx.Get(g.actor) > 0 })
}

// vnode returns the state of p, taken up from disk at its first use.
func (t *Tx) vnode(p ring.PartitionID) (*vnode, error) {
	if v, ok := t.x.vnodes[p]; ok {
		return v, nil
	}
	v := &vnode{life: t.x.config.Random(), peers: make(map[ring.MemberID]causal.Vector), compared: make(map[ring.MemberID]time.Time)}
	if err := t.loadSeen(p, v); err != nil {
		return nil, err
	}
	if err := t.loadTrees(p, v); err != nil {
		return nil, err
	}
	for class := 1; class <= t.x.ring.Replicas(); class++ {
		if err := t.loadGiver(p, class, v); err != nil {
			return nil, err
		}
	}
	t.x.vnodes[p] = v
	return v, nil
}

// loadGiver takes up the actor of a class, or what it had given.
func (t *Tx) loadGiver(p ring.PartitionID, class int, v *vnode) error {
	raw, err := t.Get(actorKey(p, class))
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	rec, err := decodeActorRecord(raw)
	if err != nil {
		// It proves nothing, which is all that a new actor needs.
		t.notice(NoticeReadFailed, p, "actor record: "+err.Error())
	}
	v.clock = max(v.clock, rec.clock)
	if rec.actor != 0 {
		v.knows(rec.actor)
	}
	if rec.clean && t.x.config.Proven && rec.startCount+1 == t.x.config.StartCount {
		g := v.giver(class)
		g.actor, g.counter = rec.actor, rec.counter
	} else if rec.counter > 0 {
		// What was given and not lost was merged.
		v.seen = v.seen.With(causal.Dot{Actor: rec.actor, Counter: rec.counter})
	}
	return nil
}

// dropActors ends the lives of p's actors: the next dots are others'.
func (x *Executor) dropActors(p ring.PartitionID) {
	if v, ok := x.vnodes[p]; ok {
		v.seen, v.givers = v.allSeen(), nil
	}
}

// given is an actor that gives dots in a batch.
type given struct {
	partition ring.PartitionID
	class     int
}

// markInUse takes note that the actor of a class gives a dot, so that the batch
// says so, and up to which.
func (t *Tx) markInUse(p ring.PartitionID, class int, v *vnode) {
	g := v.giver(class)
	if g.actor == 0 {
		g.actor, g.counter = replica.NewActor(t.x.config.Random(), class), 0
		v.knows(g.actor)
		// The record of the actor before this one is replaced by the batch, and
		// with it how far its dots go.
		t.saveSeen(p, v)
		t.notice(NoticeNewActor, p, "")
	}
	g.inUse = true
	if t.gave == nil {
		t.gave = make(map[given]bool)
	}
	if of := (given{p, class}); !t.gave[of] {
		t.openBatch()
		t.gave[of] = true
		t.given = append(t.given, of)
	}
}

// markGiven writes how far the actors of the batch's dots have come: what a
// crash leaves of the batch, it leaves of this.
func (t *Tx) markGiven() {
	for _, of := range t.given {
		v := t.x.vnodes[of.partition]
		if g := v.giver(of.class); g.inUse {
			t.setActorRecord(of.partition, of.class, v, false)
		}
	}
	t.given, t.gave = nil, nil
}

// markClean, after markGiven, writes that v stopped cleanly and gave no dots above
// its counters.
func (t *Tx) markClean(p ring.PartitionID, v *vnode) {
	for class, g := range v.givers {
		if g.actor != 0 {
			t.setActorRecord(p, class, v, true)
		}
	}
}

func (t *Tx) setActorRecord(p ring.PartitionID, class int, v *vnode, clean bool) {
	g := v.giver(class)
	t.Set(actorKey(p, class), actorRecord{
		clean: clean, actor: g.actor, counter: g.counter, clock: v.clock, startCount: t.x.config.StartCount,
	}.append(nil))
}

func actorKey(p ring.PartitionID, class int) []byte {
	return storage.AppendPartitionMetaKey(nil, uint32(p), "actor."+strconv.Itoa(class))
}

// actorRecord is the durable form of a vnode's actor.
type actorRecord struct {
	clean      bool
	actor      causal.Actor
	counter    uint64 // the last one given, as far as batches up to this one say
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
