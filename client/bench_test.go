package client_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/ringd/ringd/client"
)

// BenchmarkPut: puts of 100 B over loopback TCP to three members that do
// nothing but acknowledge: what the client and the stream cost.
func BenchmarkPut(b *testing.B) {
	for _, workers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			f := newCluster(3, true)
			defer f.close()
			for _, m := range f.members {
				m.mu.quick = true
			}
			c, err := client.Dial(b.Context(), f.addresses()...)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			bucket := c.Bucket("b")
			value := make([]byte, 100)
			for i := range 100 { // all connected
				if _, err := bucket.Put(b.Context(), fmt.Sprint(i), value); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					for i := w; i < b.N; i += workers {
						if _, err := bucket.Put(b.Context(), fmt.Sprint(i), value); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
		})
	}
}
