package faultfs

import (
	"testing"
)

// BenchmarkMemberPuts is what a member takes on the file system, and on a plain
// directory, whose fsyncs go to the disk.
func BenchmarkMemberPuts(b *testing.B) {
	for _, on := range []string{"plain", "faultfs"} {
		b.Run(on, func(b *testing.B) {
			f := mount(b)
			dir := f.Dir
			if on == "plain" {
				dir = b.TempDir()
			}
			m := startMember(b, dir, f)
			m.serve()
			p := m.put(0, 64, 100)
			p.await(b, 1000)
			b.ResetTimer()
			p.await(b, b.N)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
			b.StopTimer()
			p.end()
			m.Kill()
		})
	}
}
