package causal_test

import (
	"fmt"
	"testing"

	"github.com/ringd/ringd/causal"
)

func valueOf(d causal.Dot, size int) causal.Sibling {
	return causal.Sibling{
		Dot: d, Value: make([]byte, size), ValueSize: size, ContentType: "application/json",
		Time: 1 << 50, Request: causal.RequestID{1},
	}
}

// three owners' objects: newer was written with the context of older, beside
// nothing, and concurrent with other.
func benchmarkObjects(size int) (older, newer, other causal.Object) {
	context := vector(1<<20, 1000, 1<<40, 1000, 1<<60, 1000)
	older = causal.Write(causal.Object{}, causal.Context{Seen: context}, valueOf(causal.Dot{Actor: 1 << 20, Counter: 1001}, size))
	newer = causal.Write(older, causal.Context{Seen: older.Context}, valueOf(causal.Dot{Actor: 1 << 40, Counter: 1001}, size))
	other = causal.Write(older, causal.Context{Seen: older.Context}, valueOf(causal.Dot{Actor: 1 << 60, Counter: 1001}, size))
	return older, newer, other
}

func BenchmarkMerge(b *testing.B) {
	older, newer, other := benchmarkObjects(100)
	for _, c := range []struct {
		name string
		a, b causal.Object
	}{
		{"equal", newer, newer}, {"dominating", newer, older}, {"dominated", older, newer}, {"concurrent", newer, other},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				causal.Merge(c.a, c.b)
			}
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	_, newer, _ := benchmarkObjects(100)
	s := valueOf(causal.Dot{Actor: 1 << 40, Counter: 1002}, 100)
	b.ReportAllocs()
	for b.Loop() {
		causal.Write(newer, causal.Context{Seen: newer.Context}, s)
	}
}

func BenchmarkDigest(b *testing.B) {
	_, o, _ := benchmarkObjects(100)
	b.ReportAllocs()
	for b.Loop() {
		o.Digest()
	}
}

func BenchmarkAppendObject(b *testing.B) {
	for _, size := range []int{100, 1024} {
		_, o, _ := benchmarkObjects(size)
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				causal.AppendObject(nil, o)
			}
		})
	}
}

func BenchmarkDecodeObject(b *testing.B) {
	for _, size := range []int{100, 1024} {
		_, o, _ := benchmarkObjects(size)
		src := causal.AppendObject(nil, o)
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := causal.DecodeObject(src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkContext(b *testing.B) {
	_, o, _ := benchmarkObjects(100)
	b.Run("Seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			causal.Seal(clusterKey, "default", "users", "a key of some length", causal.Context{Seen: o.Context})
		}
	})
	given := causal.Seal(clusterKey, "default", "users", "a key of some length", causal.Context{Seen: o.Context})
	b.Run("Open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := causal.Open(clusterKey, "default", "users", "a key of some length", given); err != nil {
				b.Fatal(err)
			}
		}
	})
}
