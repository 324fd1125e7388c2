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
	clock causal.HLC // last timestamp given
	// own is of the objects that the vnode holds, lent of those that it coordinated
	// as a fallback and keeps as hints. What one has seen, the other has not.
	own, lent giving

	// life is another one in every process, and after data was lost.
	life uint64
	// peers have what other owners had durably seen when they were last compared
	// with this vnode.
	peers    map[ring.MemberID]causal.Vector
	compared map[ring.MemberID]time.Time // when that was
	// incomplete: data was lost, and not all of it has come back from sources.
	incomplete bool
	sources    map[ring.MemberID]bool
	standing   standing
	// heard are the other owners that refuse messages of rings before a rebuild's.
	heard map[ring.MemberID]bool

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

// giving is what a vnode gives dots for: its objects, or its hints.
type giving struct {
	givers []giver // by class
	// seen, with the givers' dots up to their counters: every dot up to there was
	// merged, of the keys that are owned or lent (design section 7).
	// Invariant: it is written no earlier than the data, and emptied when data is
	// lost.
	seen causal.Vector
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
func (g *giving) giver(class int) *giver {
	for len(g.givers) <= class {
		g.givers = append(g.givers, giver{})
	}
	return &g.givers[class]
}

// gives says that a giver has given dots that ctx covers.
func (g *giving) gives(ctx causal.Vector) bool {
	return slices.ContainsFunc(g.givers, func(g giver) bool { return g.actor != 0 && ctx.Get(g.actor) > 0 })
}

// all is what was merged, the givers' dots included.
func (g *giving) all() causal.Vector {
	seen := g.seen
	for _, g := range g.givers {
		if g.actor != 0 && g.counter > 0 {
			seen = seen.With(causal.Dot{Actor: g.actor, Counter: g.counter})
		}
	}
	return seen
}

// retire ends the lives of the actors.
func (g *giving) retire() { g.seen, g.givers = g.all(), nil }

// giving is the one that a request asks for.
func (v *vnode) giving(fallback bool) *giving {
	if fallback {
		return &v.lent
	}
	return &v.own
}

// vnode returns the state of p, taken up from disk at its first use.
func (t *Tx) vnode(p ring.PartitionID) (*vnode, error) {
	if v, ok := t.x.vnodes[p]; ok {
		return v, nil
	}
	v := &vnode{life: t.x.config.Random(), peers: make(map[ring.MemberID]causal.Vector)}
	if err := t.loadSeen(p, v); err != nil {
		return nil, err
	}
	if err := t.loadTrees(p, v); err != nil {
		return nil, err
	}
	if err := t.loadStanding(p, v); err != nil {
		return nil, err
	}
	for class := 1; class <= t.x.classes(); class++ {
		for _, fallback := range [...]bool{false, true} {
			if err := t.loadGiver(given{p, class, fallback}, v); err != nil {
				return nil, err
			}
		}
	}
	t.x.vnodes[p] = v
	return v, nil
}

// loadGiver takes up the actor of a class, or what it had given.
func (t *Tx) loadGiver(of given, v *vnode) error {
	raw, err := t.Get(of.key())
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	rec, err := decodeActorRecord(raw)
	if err != nil {
		// It proves nothing, which is all that a new actor needs.
		t.notice(NoticeReadFailed, of.partition, "actor record: "+err.Error())
	}
	v.clock = max(v.clock, rec.clock)
	if rec.actor != 0 && of.fallback {
		v.knows(rec.actor)
	}
	giving := v.giving(of.fallback)
	if rec.clean && t.x.config.Proven && rec.startCount+1 == t.x.config.StartCount {
		g := giving.giver(of.class)
		g.actor, g.counter = rec.actor, rec.counter
	} else if rec.counter > 0 {
		// What was given and not lost was merged.
		giving.seen = giving.seen.With(causal.Dot{Actor: rec.actor, Counter: rec.counter})
	}
	return nil
}

// dropActors ends the lives of p's actors: the next dots are others'.
func (x *Executor) dropActors(p ring.PartitionID) {
	if v, ok := x.vnodes[p]; ok {
		v.own.retire()
		v.lent.retire()
	}
}

// given is an actor that gives dots in a batch.
type given struct {
	partition ring.PartitionID
	class     int
	fallback  bool
}

// key of the actor's record.
func (g given) key() []byte {
	name := "actor."
	if g.fallback {
		name = "lent."
	}
	return storage.AppendPartitionMetaKey(nil, uint32(g.partition), name+strconv.Itoa(g.class))
}

// markInUse takes note that the actor of a class gives a dot, so that the batch
// says so, and up to which.
func (t *Tx) markInUse(of given, v *vnode) {
	g := v.giving(of.fallback).giver(of.class)
	if g.actor == 0 {
		g.actor, g.counter = replica.NewActor(t.x.config.Random(), of.class), 0
		if of.fallback {
			v.knows(g.actor)
		}
		// The record of the actor before this one is replaced by the batch, and
		// with it how far its dots go.
		t.saveSeen(of.partition, v)
		t.notice(NoticeNewActor, of.partition, "")
	}
	g.inUse = true
	if t.gave == nil {
		t.gave = make(map[given]bool)
	}
	if !t.gave[of] {
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
		if g := v.giving(of.fallback).giver(of.class); g.inUse {
			t.setActorRecord(of, v, false)
		}
	}
	t.given, t.gave = nil, nil
}

// markClean, after markGiven, writes that v stopped cleanly and gave no dots above
// its counters.
func (t *Tx) markClean(p ring.PartitionID, v *vnode) {
	for _, fallback := range [...]bool{false, true} {
		for class, g := range v.giving(fallback).givers {
			if g.actor != 0 {
				t.setActorRecord(given{p, class, fallback}, v, true)
			}
		}
	}
}

func (t *Tx) setActorRecord(of given, v *vnode, clean bool) {
	g := v.giving(of.fallback).giver(of.class)
	t.Set(of.key(), actorRecord{
		clean: clean, actor: g.actor, counter: g.counter, clock: v.clock, startCount: t.x.config.StartCount,
	}.append(nil))
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
