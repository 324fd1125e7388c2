package peer

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// BenchmarkStore is a ping-pong of 100-byte stores between two members over
// loopback. cpu-us/msg is what a request and its answer cost, both members
// together.
func BenchmarkStore(b *testing.B) {
	for _, workers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("inflight=%d", workers), func(b *testing.B) {
			var n network
			x := startMember(b, &n, 1, echo{}, nil)
			startMember(b, &n, 2, echo{}, nil)
			eventually(b, "connected", func() bool { x.Connected(id(2)); return x.statsOf(2).Connected == 2 })
			b.ReportAllocs()
			cpu := cpuTime()
			b.ResetTimer()
			var left sync.WaitGroup
			for w := range workers {
				left.Go(func() {
					done := make(chan error, 1)
					m := store(100)
					m.Key.Key = fmt.Sprintf("key-%08d", w)
					for i := w; i < b.N; i += workers {
						x.Send(replica.Envelope{To: id(2), Partition: ring.PartitionID(i), Deadline: time.Now().Add(time.Minute), Message: m},
							func(_ replica.Envelope, err error) { done <- err })
						if err := <-done; err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			left.Wait()
			b.StopTimer()
			s := x.statsOf(2)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
			b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "cpu-us/msg")
			b.ReportMetric(float64(s.MessagesSent)/float64(s.FramesSent), "msgs/frame")
		})
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
