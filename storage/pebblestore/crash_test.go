package pebblestore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringd/ringd/storage"
)

// lastKey holds the number of the batch that wrote it; every batch does.
const lastKey = "last"

// randomBatch makes batch number n of a workload, and applies it to the model.
func randomBatch(rng *rand.Rand, n int, model map[string]string) *storage.Batch {
	b := new(storage.Batch)
	set := func(key, value string) {
		b.Set([]byte(key), []byte(value))
		model[key] = value
	}
	set(lastKey, fmt.Sprint(n))
	for range 1 + rng.IntN(6) {
		key := fmt.Sprintf("k%02d", rng.IntN(40))
		switch rng.IntN(8) {
		case 0:
			b.Delete([]byte(key))
			delete(model, key)
		case 1:
			upper := fmt.Sprintf("k%02d", rng.IntN(40))
			b.DeleteRange([]byte(key), []byte(upper))
			for k := range model {
				if k >= key && k < upper {
					delete(model, k)
				}
			}
		default:
			size := rng.IntN(6000)
			if rng.IntN(40) == 0 {
				size = 50_000 // more than half a memtable: Pebble flushes it by itself
			}
			set(key, string(bytes.Repeat([]byte{byte('a' + n%26)}, size)))
		}
	}
	return b
}

// digest tells contents apart, given in the order of their keys.
type digest struct{ sum uint32 }

func (d *digest) add(key, value []byte) {
	for _, s := range [][]byte{key, value} {
		d.sum = crc32.Update(d.sum, crc32.IEEETable, binary.BigEndian.AppendUint32(nil, uint32(len(s))))
		d.sum = crc32.Update(d.sum, crc32.IEEETable, s)
	}
}

func digestOf(model map[string]string) uint32 {
	var keys []string
	for k := range model {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var d digest
	for _, k := range keys {
		d.add([]byte(k), []byte(model[k]))
	}
	return d.sum
}

// found returns the number of the last batch in e, and the digest of what it has.
func found(t *testing.T, e storage.Engine) (last int, sum uint32) {
	t.Helper()
	var d digest
	err := e.Scan([]byte("a"), []byte("z"), func(key, value []byte) bool {
		d.add(key, value)
		if string(key) == lastKey {
			if _, err := fmt.Sscan(string(value), &last); err != nil {
				t.Errorf("the last batch's number: %v", err)
			}
		}
		return true
	})
	if err != nil {
		t.Errorf("scan after a crash: %v", err)
	}
	return last, d.sum
}

// crash is a disk as a loss of power leaves it.
type crash struct {
	disk *vfs.MemFS
	// acked is the highest number of a batch that was acknowledged before the
	// crash, percent how much of what was not synced survives.
	acked, percent int
}

// A workload is crashed before and after every sync of anything. What is found
// has to be what the first batches made, whole, and no fewer of them than were
// acknowledged.
func TestCrashAtEverySync(t *testing.T) {
	seeds := 4
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			crashAtEverySync(t, uint64(seed))
		})
	}
}

func crashAtEverySync(t *testing.T, seed uint64) {
	const batches = 80
	rng, unsynced := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
	var acked atomic.Int64
	var opened atomic.Bool
	var mu sync.Mutex
	var crashes []crash
	disk := vfs.NewCrashableMem()
	store := openOn(t, &hookFS{disk, func() {
		mu.Lock()
		defer mu.Unlock()
		for _, percent := range []int{0, 50} {
			// Of a directory being made, Pebble's pointer to the manifest may survive
			// without the manifest. Nothing was acknowledged; it doesn't open.
			if percent > 0 && !opened.Load() {
				continue
			}
			before := int(acked.Load())
			cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: unsynced}
			crashes = append(crashes, crash{disk.CrashClone(cfg), before, percent})
		}
	}})
	opened.Store(true)

	model := map[string]string{}
	sums := []uint32{digestOf(model)} // by number of batches
	var waiting sync.WaitGroup
	for n := 1; n <= batches; n++ {
		b := randomBatch(rng, n, model)
		sums = append(sums, digestOf(model))
		c, err := store.Apply(b)
		if err != nil {
			t.Fatal(err)
		}
		wait := func() {
			if err := c.Wait(); err != nil {
				t.Errorf("batch %d: %v", n, err)
			}
			raise(&acked, int64(n))
		}
		switch rng.IntN(3) {
		case 0:
			wait()
		case 1:
			waiting.Go(wait)
		}
	}
	waiting.Wait()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	crashes = append(crashes, crash{disk.CrashClone(vfs.CrashCloneCfg{}), batches, 0})

	partial := 0
	for i, c := range crashes {
		again := openOn(t, c.disk)
		last, sum := found(t, again)
		if last < c.acked {
			t.Errorf("crash %d (%d%%): batch %d was acknowledged, only %d are there", i, c.percent, c.acked, last)
		}
		if last >= len(sums) || sum != sums[last] {
			t.Errorf("crash %d (%d%%): what is there is not what the first %d batches make", i, c.percent, last)
		}
		if last > c.acked {
			partial++
		}
		// Recovery is crashed, too: it must not lose what it found.
		twice := openOn(t, c.disk.CrashClone(vfs.CrashCloneCfg{}))
		if again, sumAgain := found(t, twice); again != last || sumAgain != sum {
			t.Errorf("crash %d (%d%%): %d batches after recovery, %d after a crash of that", i, c.percent, last, again)
		}
		for _, s := range []*Store{again, twice} {
			if err := s.Close(); err != nil {
				t.Errorf("crash %d: close: %v", i, err)
			}
		}
	}
	t.Logf("%d crashes, in %d of them more survived than was acknowledged", len(crashes), partial)
	if len(crashes) < 2*batches/3 || partial == 0 {
		t.Errorf("%d crashes, %d with unacknowledged batches: the workload tests too little", len(crashes), partial)
	}
}

func raise(to *atomic.Int64, n int64) {
	for {
		old := to.Load()
		if old >= n || to.CompareAndSwap(old, n) {
			return
		}
	}
}
