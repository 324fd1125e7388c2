package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/ringd/ringd/internal/proctest"
)

// BenchmarkCluster measures durable puts, and gets, of three members on this
// machine through the client library, and beside them, in the same run, a unary
// gRPC call that does nothing. server-us/op is the processor time of all
// members. What one Pebble does in group commit is BenchmarkGroupCommit of
// storage/pebblestore.
func BenchmarkCluster(b *testing.B) {
	cluster := proctest.Start(b, 3)
	c := cluster.Client()
	for _, workers := range []int{64, 256} {
		b.Run(fmt.Sprintf("echo/workers=%d", workers), func(b *testing.B) {
			conn := proctest.Conn(b, cluster.Members[0])
			health := healthpb.NewHealthClient(conn)
			drive(b, cluster, workers, func(ctx context.Context, _ int64) error {
				_, err := health.Check(ctx, &healthpb.HealthCheckRequest{})
				return err
			})
		})
		for _, size := range []int{100, 1024} {
			bucket := c.Bucket(fmt.Sprintf("b%d-%d", size, workers))
			value := bytes.Repeat([]byte("v"), size)
			var stored atomic.Int64
			b.Run(fmt.Sprintf("put/size=%d/workers=%d", size, workers), func(b *testing.B) {
				drive(b, cluster, workers, func(ctx context.Context, i int64) error {
					_, err := bucket.Put(ctx, strconv.FormatInt(stored.Add(1), 10), value)
					return err
				})
			})
			b.Run(fmt.Sprintf("get/size=%d/workers=%d", size, workers), func(b *testing.B) {
				keys := stored.Load()
				drive(b, cluster, workers, func(ctx context.Context, i int64) error {
					_, err := bucket.Get(ctx, strconv.FormatInt(1+i*7919%keys, 10))
					return err
				})
			})
		}
	}
}

// drive runs b.N operations by a number of workers, and reports operations per
// second and what they cost the members.
func drive(b *testing.B, cluster *proctest.Cluster, workers int, do func(context.Context, int64) error) {
	before := cpu(b, cluster)
	var next atomic.Int64
	var running sync.WaitGroup
	b.ResetTimer()
	for range workers {
		running.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				err := do(ctx, i)
				cancel()
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric(float64((cpu(b, cluster)-before).Microseconds())/float64(b.N), "server-us/op")
	b.ReportMetric(0, "ns/op")
}

// cpu is the processor time that the members used so far.
func cpu(b *testing.B, cluster *proctest.Cluster) (used time.Duration) {
	for _, m := range cluster.Members {
		d, err := cpuOf(m)
		if err != nil {
			b.Skipf("no /proc: %v", err)
		}
		used += d
	}
	return used
}

// cpuOf is the processor time that a process used so far.
func cpuOf(p *proctest.Process) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid()))
	if err != nil {
		return 0, err
	}
	var ticks int
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+2:]))
	for _, f := range fields[11:13] { // user and system
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
