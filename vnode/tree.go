package vnode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

// trees are the sums of one vnode's hash trees, by class. A leaf's sum is the
// exclusive or of its entries' hashes, and a range's that of its leaves.
//
// Invariant: they are the sums over the entries in the tree keyspace, open batch
// included.
type trees struct{ sums map[int][]uint64 }

// classes is the highest class of keys that there may be.
func (x *Executor) classes() int { return replica.CopyClass(x.ring.Replicas()) }

func (x *Executor) leaves() uint32 { return replica.Leaves(x.ring.Partitions()) }

// place returns the leaf of a key and the hash that its entries are made with.
func (x *Executor) place(k replica.Key) (leaf uint32, hash uint64) {
	hash = xxhash.Sum64(dataKey(0, k))
	return uint32(hash % uint64(x.leaves())), hash
}

// entryHash mixes key and version, so that sums differ when two keys have each
// other's versions.
func entryHash(key, version uint64) uint64 {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], key)
	binary.BigEndian.PutUint64(b[8:], version)
	return xxhash.Sum64(b[:])
}

// index brings tree, graves and expiry in step with a record that changes from
// before to after. What has a value, or is remembered of a deletion that is not
// covered by seen, is in the tree.
func (t *Tx) index(p ring.PartitionID, k replica.Key, before, after causal.Object, seen causal.Vector) error {
	class, ok := t.x.config.Types[k.Type]
	if !ok {
		return fmt.Errorf("bucket type %q is not known", k.Type)
	}
	old, was := before.Digest(), before.Live()
	if !was && len(before.Context) > 0 {
		// Whether a deletion is in the tree depends on when it was looked at.
		var err error
		if old, was, err = t.entry(p, class, k); err != nil {
			return err
		}
	}
	t.setEntry(p, class, k, old, was, after.Digest(), !after.Forgettable(seen))
	keepsGrave := !after.Live() && !(len(after.Siblings) == 0 && after.Forgettable(seen))
	hadGrave := !before.Live() && len(before.Context) > 0
	switch {
	case keepsGrave && !hadGrave:
		t.Set(graveKey(p, k), nil)
	case hadGrave && !keepsGrave:
		t.Delete(graveKey(p, k))
	}
	t.indexExpiry(p, k, before, after)
	return nil
}

// entry returns the version that the tree has of a key.
func (t *Tx) entry(p ring.PartitionID, class int, k replica.Key) (version uint64, ok bool, err error) {
	leaf, _ := t.x.place(k)
	raw, err := t.Get(treeKey(p, class, leaf, k))
	if errors.Is(err, storage.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	version, err = decodeVersion(raw)
	return version, true, err
}

// setEntry changes a key's entry from old, if it was there, to new, if it is to
// be there.
func (t *Tx) setEntry(p ring.PartitionID, class int, k replica.Key, old uint64, was bool, version uint64, is bool) {
	if was == is && (!is || old == version) {
		return
	}
	leaf, hash := t.x.place(k)
	key := treeKey(p, class, leaf, k)
	if is {
		t.Set(key, appendVersion(nil, version))
	} else {
		t.Delete(key)
	}
	v := t.x.vnodes[p]
	if v == nil {
		return
	}
	t.forgetSaved(p)
	if v.trees == nil {
		return
	}
	sums := v.trees.of(class, t.x.leaves())
	if was {
		sums[leaf] ^= entryHash(hash, old)
	}
	if is {
		sums[leaf] ^= entryHash(hash, version)
	}
}

// forgetSaved removes sums that were saved, as they are none any more.
func (t *Tx) forgetSaved(p ring.PartitionID) {
	if v := t.x.vnodes[p]; v.saved {
		t.Delete(treesKey(p))
		v.saved = false
	}
}

// dropEntry removes a key from the tree, whatever its version there.
func (t *Tx) dropEntry(p ring.PartitionID, class int, k replica.Key) error {
	old, was, err := t.entry(p, class, k)
	if err == nil {
		t.setEntry(p, class, k, old, was, 0, false)
	}
	return err
}

func (tr *trees) of(class int, leaves uint32) []uint64 {
	sums, ok := tr.sums[class]
	if !ok {
		sums = make([]uint64, leaves)
		tr.sums[class] = sums
	}
	return sums
}

// trees returns the vnode's sums, made from the entries at their first use.
func (t *Tx) trees(p ring.PartitionID) (*trees, error) {
	v, err := t.vnode(p)
	if err != nil || v.trees != nil {
		return v.treesOrNil(), err
	}
	tr := &trees{sums: make(map[int][]uint64)}
	for class := 1; class <= t.x.classes(); class++ {
		if err := t.sumUp(p, class, replica.LeafRange{To: t.x.leaves()}, func(leaf uint32, sum uint64) {
			tr.of(class, t.x.leaves())[leaf] ^= sum
		}); err != nil {
			return nil, err
		}
	}
	v.trees = tr
	return tr, nil
}

func (v *vnode) treesOrNil() *trees {
	if v == nil {
		return nil
	}
	return v.trees
}

// sumUp calls add with the hash of every entry in a range of leaves.
func (t *Tx) sumUp(p ring.PartitionID, class int, r replica.LeafRange, add func(leaf uint32, hash uint64)) error {
	var bad error
	lower, upper := storage.TreeRange(uint32(p), uint8(class), r.From, r.To)
	err := t.Scan(lower, upper, func(key, value []byte) bool {
		parsed, _, leaf, err := storage.ParseTreeKey(key)
		var version uint64
		if err == nil {
			version, err = decodeVersion(value)
		}
		if err == nil && leaf >= t.x.leaves() {
			err = storage.ErrKey
		}
		if err != nil {
			bad = err
			return false
		}
		_, hash := t.x.place(keyOf(parsed))
		add(leaf, entryHash(hash, version))
		return true
	})
	if err == nil {
		err = bad
	}
	return err
}

// sum is over a range of leaves.
func (tr *trees) sum(class int, r replica.LeafRange) uint64 {
	sums := tr.sums[class]
	var sum uint64
	for i := r.From; i < r.To && int(i) < len(sums); i++ {
		sum ^= sums[i]
	}
	return sum
}

// roots of all classes that have keys, in the order of the classes.
func (tr *trees) roots(leaves uint32) []replica.Root {
	var roots []replica.Root
	for class := range tr.sums {
		if sum := tr.sum(class, replica.LeafRange{To: leaves}); sum != 0 {
			roots = append(roots, replica.Root{Class: class, Sum: sum})
		}
	}
	slices.SortFunc(roots, func(a, b replica.Root) int { return a.Class - b.Class })
	return roots
}

func (kv *KV) sums(tx *Tx, env replica.Envelope, m replica.Sums) {
	tr, err := tx.trees(env.Partition)
	if err != nil {
		tx.FailRead(err)
		return
	}
	tx.extendSession(env)
	var answer replica.SumsAnswer
	for _, r := range m.Ranges {
		if r.To > tx.x.leaves() || r.From >= r.To {
			tx.Fail(replica.Invalid("ranges", "leaves %d to %d: a partition has %d", r.From, r.To, tx.x.leaves()))
			return
		}
		for from := r.From; from < r.To; from += r.Part() {
			answer.Sums = append(answer.Sums, tr.sum(m.Class, replica.LeafRange{From: from, To: min(r.To, from+r.Part())}))
		}
	}
	tx.AnswerAllCovered(answer)
}

// entriesMax bounds one answer of entries, heads or a scan.
const entriesMax = 1000

func (kv *KV) entries(tx *Tx, env replica.Envelope, m replica.Entries) {
	if m.Limit <= 0 || m.Limit > entriesMax {
		m.Limit = entriesMax
	}
	tx.extendSession(env)
	var answer replica.EntriesAnswer
	for i, leaf := range m.Leaves {
		lower, upper := storage.TreeRange(uint32(env.Partition), uint8(m.Class), leaf, leaf+1)
		if m.Started && i == 0 {
			lower = storage.Successor(treeKey(env.Partition, m.Class, leaf, m.After))
		}
		var bad error
		err := tx.Scan(lower, upper, func(key, value []byte) bool {
			if len(answer.Entries) == m.Limit {
				answer.More = true
				return false
			}
			parsed, _, _, err := storage.ParseTreeKey(key)
			var version uint64
			if err == nil {
				version, err = decodeVersion(value)
			}
			if err != nil {
				bad = err
				return false
			}
			answer.Entries = append(answer.Entries, replica.Entry{Leaf: leaf, Key: keyOf(parsed), Version: version})
			return true
		})
		if err == nil {
			err = bad
		}
		if err != nil {
			tx.FailRead(err)
			return
		}
		if answer.More {
			break
		}
	}
	tx.AnswerAllCovered(answer)
}

func treeKey(p ring.PartitionID, class int, leaf uint32, k replica.Key) []byte {
	return storage.AppendTreeKey(nil, uint32(p), uint8(class), leaf, []byte(k.Type), []byte(k.Bucket), []byte(k.Key))
}

const versionVersion = 1

// appendVersion encodes an entry's version of a key: version byte, digest.
func appendVersion(dst []byte, version uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, versionVersion), version)
}

func decodeVersion(src []byte) (uint64, error) {
	if len(src) != 9 || src[0] != versionVersion {
		return 0, fmt.Errorf("tree entry of %d bytes: %w", len(src), causal.ErrMalformed)
	}
	return binary.BigEndian.Uint64(src[1:]), nil
}

const treesVersion = 1

func treesKey(p ring.PartitionID) []byte {
	return storage.AppendPartitionMetaKey(nil, uint32(p), "trees")
}

// saveTrees writes the sums at a clean stop: version, number of leaves, then for
// each class its number and sums; CRC-32C. The first change afterwards removes
// them in its batch.
func (t *Tx) saveTrees(p ring.PartitionID, v *vnode) {
	if v.trees == nil {
		return
	}
	b := binary.BigEndian.AppendUint32([]byte{treesVersion}, t.x.leaves())
	for class := 1; class <= t.x.classes(); class++ {
		sums, ok := v.trees.sums[class]
		if !ok {
			continue
		}
		b = append(b, byte(class))
		for _, sum := range sums {
			b = binary.BigEndian.AppendUint64(b, sum)
		}
	}
	v.saved = true
	t.Set(treesKey(p), binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)))
}

// loadTrees takes up the sums that were saved and that nothing was changed since.
// Bad ones are not believed: the entries tell.
func (t *Tx) loadTrees(p ring.PartitionID, v *vnode) error {
	raw, err := t.Get(treesKey(p))
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	v.saved = true
	const head = 1 + 4
	leaves := int(t.x.leaves())
	if len(raw) < head+4 || raw[0] != treesVersion || (len(raw)-head-4)%(1+8*leaves) != 0 {
		return nil
	}
	body := raw[:len(raw)-4]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(raw[len(body):]) ||
		binary.BigEndian.Uint32(body[1:]) != uint32(leaves) {
		return nil
	}
	tr := &trees{sums: make(map[int][]uint64)}
	for body = body[head:]; len(body) > 0; body = body[1+8*leaves:] {
		sums := tr.of(int(body[0]), uint32(leaves))
		for i := range sums {
			sums[i] = binary.BigEndian.Uint64(body[1+8*i:])
		}
	}
	v.trees = tr
	return nil
}
