package pebblestore

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ringd/ringd/storage"
)

func openDir(b *testing.B) *Store {
	b.Helper()
	o := DefaultOptions()
	o.Event = func(Event) {}
	s, err := Open(b.TempDir(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

func benchKey(dst []byte, i uint64) []byte {
	var key [8]byte
	// Spread over the keyspace, as hashed partitions are.
	binary.BigEndian.PutUint64(key[:], i*0x9e3779b97f4a7c15)
	return storage.AppendDataKey(dst[:0], uint32(key[0]), []byte("default"), []byte("bench"), key[:])
}

// BenchmarkGroupCommit is writers that each wait for their batch's sync, on a
// real disk.
func BenchmarkGroupCommit(b *testing.B) {
	for _, size := range []int{100, 1 << 10} {
		for _, writers := range []int{64, 256} {
			b.Run(fmt.Sprintf("%dB/%dwriters", size, writers), func(b *testing.B) {
				s := openDir(b)
				var next atomic.Int64
				var running sync.WaitGroup
				before := s.Usage()
				b.ResetTimer()
				for range writers {
					running.Go(func() {
						var batch storage.Batch
						key, value := make([]byte, 0, 64), make([]byte, size)
						for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
							batch.Reset()
							key = benchKey(key, uint64(i))
							batch.Set(key, value)
							c, err := s.Apply(&batch)
							if err == nil {
								err = c.Wait()
							}
							if err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				running.Wait()
				b.StopTimer()
				syncs := s.Usage().WALSyncs - before.WALSyncs
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
				b.ReportMetric(float64(b.N)/float64(max(1, syncs)), "puts/sync")
			})
		}
	}
}

// BenchmarkGetCached reads what is in memory.
func BenchmarkGetCached(b *testing.B) {
	const keys = 10_000
	s := openDir(b)
	var batch storage.Batch
	var key []byte
	for i := range uint64(keys) {
		key = benchKey(key, i)
		batch.Set(key, make([]byte, 100))
	}
	c, err := s.Apply(&batch)
	if err == nil {
		err = c.Wait()
	}
	if err == nil {
		err = s.db.Flush()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var key []byte
		for i := uint64(0); pb.Next(); i++ {
			key = benchKey(key, i%keys)
			if _, err := s.Get(key); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
