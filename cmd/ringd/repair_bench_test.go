package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/internal/proctest"
)

var (
	pairs  = flag.Int("ringd.pairs", 5, "pairs of windows that BenchmarkAntiEntropy compares")
	window = flag.Duration("ringd.window", 5*time.Second, "length of each of its windows")
)

// BenchmarkAntiEntropy compares, in one run and in turn, the throughput of 256
// workers (half puts, half gets, of 100 bytes) with anti-entropy as it is by
// default, and with it off. Nothing has to be repaired. A pair is four windows, off,
// on, on and off, or the other way round: what drifts with time, and stores that fill
// up do, is no difference between the two. The metric is the median of the pairs'
// ratios, and the least and the greatest.
func BenchmarkAntiEntropy(b *testing.B) {
	cluster := proctest.Start(b, 3)
	bucket := cluster.Client().Bucket("b")
	value := bytes.Repeat([]byte("v"), 100)
	const keys = 50_000
	var next atomic.Int64
	// Puts replace what their worker's last one of the key left: without that, the
	// keys would gather siblings, and all slow down.
	var contexts [keys]atomic.Pointer[client.Context]
	put := func(ctx context.Context, i int64) error {
		var replaces client.Context
		if known := contexts[i].Load(); known != nil {
			replaces = *known
		}
		o, err := bucket.Put(ctx, strconv.FormatInt(i, 10), value, client.Replaces(replaces))
		if err == nil {
			contexts[i].Store(&o.Context)
		}
		return err
	}
	work := func(total int64, until time.Time) int64 {
		var running sync.WaitGroup
		var done atomic.Int64
		for range 256 {
			running.Go(func() {
				for (total == 0 || done.Load() < total) && (until.IsZero() || time.Now().Before(until)) {
					ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
					i := next.Add(1)
					key := strconv.FormatInt(i*7919%keys, 10)
					var err error
					if i%2 == 0 || total > 0 {
						err = put(ctx, i%keys)
					} else {
						_, err = bucket.Get(ctx, key)
					}
					cancel()
					if err != nil {
						b.Error(err)
						return
					}
					done.Add(1)
				}
			})
		}
		running.Wait()
		return done.Load()
	}
	work(keys+256, time.Time{})
	set := func(every string) {
		ctx, cancel := context.WithTimeout(context.Background(), proctest.Within)
		defer cancel()
		if _, err := proctest.Admin(b, cluster.Members[0]).UpdateSettings(ctx, &ringdv1.UpdateSettingsRequest{
			Values: map[string]string{"anti_entropy_every": every},
		}); err != nil {
			b.Fatal(err)
		}
	}
	work(0, time.Now().Add(*window)) // warm
	var ratios []float64
	b.ResetTimer()
	for i := range *pairs {
		var ops [2]int64
		for j := range 4 {
			on := (i + (j+1)/2) % 2
			set([]string{"0s", "1m"}[on])
			ops[on] += work(0, time.Now().Add(*window))
		}
		ratios = append(ratios, float64(ops[1])/float64(ops[0]))
		b.Logf("on %d, off %d operations in %v each: %.3f", ops[1], ops[0], 2**window, ratios[i])
	}
	b.StopTimer()
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "on/off")
	b.ReportMetric(ratios[0], "least")
	b.ReportMetric(ratios[len(ratios)-1], "most")
	b.ReportMetric(0, "ns/op")
}

var hintBytes = flag.Int64("ringd.hint-bytes", 1<<30, "what BenchmarkHintMemory writes while a member is down")

// BenchmarkHintMemory writes a gigabyte, and then as much again while one of five
// members is down: the memory of the others must not grow by what they keep for
// it. They are warmed up by the first gigabyte, since caches fill whether a
// member is down or not.
func BenchmarkHintMemory(b *testing.B) {
	cluster := proctest.Start(b, 5)
	bucket := cluster.Client().Bucket("b")
	value := bytes.Repeat([]byte("0123456789abcdef"), 1<<10) // 16 KiB
	var next atomic.Int64
	write := func(bytes int64) {
		var running sync.WaitGroup
		last := next.Load() + bytes/int64(len(value))
		for range 16 {
			running.Go(func() {
				for i := next.Add(1); i <= last; i = next.Add(1) {
					ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
					_, err := bucket.Put(ctx, fmt.Sprint("k", i), value)
					cancel()
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		running.Wait()
	}
	b.ResetTimer()
	write(*hintBytes)
	var before, after int
	for _, m := range cluster.Members[:4] {
		before += residentBytes(b, m)
	}
	cluster.Members[4].Kill()
	write(*hintBytes)
	var kept uint64
	for _, m := range cluster.Members[:4] {
		after += residentBytes(b, m)
		ctx, cancel := context.WithTimeout(context.Background(), proctest.Within)
		r, err := proctest.Admin(b, m).Transfers(ctx, &ringdv1.TransfersRequest{})
		cancel()
		if err != nil {
			b.Fatal(err)
		}
		kept += r.Hints.KeptBytes
	}
	b.StopTimer()
	b.ReportMetric(float64(before)/4/(1<<20), "MiB-before")
	b.ReportMetric(float64(after)/4/(1<<20), "MiB-after")
	b.ReportMetric(float64(after)/float64(before), "after/before")
	b.ReportMetric(float64(kept)/(1<<20), "MiB-hints")
	b.ReportMetric(0, "ns/op")
}
