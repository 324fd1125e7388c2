package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/internal/proctest"
)

var (
	moveBytes    = flag.Int64("ringd.movebytes", 1e9, "bytes of values that BenchmarkMove moves")
	moveProfiles = flag.String("ringd.moveprofiles", "", "directory for processor profiles of both sides of BenchmarkMove")
)

const (
	smallValue, largeValue = 1 << 10, 64 << 10
	// largeEvery has half of the bytes in large values.
	largeEvery = largeValue/smallValue + 1
	// movePartitions are those of the clusters of package proctest.
	movePartitions = 32
	// transferBurst is what a member sends at once before transfer_rate holds it back,
	// as long as the rate is no more.
	transferBurst = 32 << 20
)

// noise is what values are cut from: it can't be compressed.
var noise = func() []byte {
	b := make([]byte, 1<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(b)
	return b
}()

func moveKey(i int64) string { return fmt.Sprintf("key-%08d", i) }

func moveValue(i int64) []byte {
	size := smallValue
	if i%largeEvery == 0 {
		size = largeValue
	}
	at := int(i * 7919 % int64(len(noise)-largeValue))
	return noise[at : at+size]
}

// BenchmarkMove has one member hand over all it has to another: by default a
// gigabyte, half in values of 1 KiB, half in values of 64 KiB. It compares the
// rate with that of a plain copy of as many bytes between two processes, made
// before and after, and looks at the memory of both members. Then the data move
// on to a third at a tenth of that rate, and the throughput of clients (64
// workers, half puts, half gets, of the small values) is compared, in pairs of
// windows, with that while nothing moves.
//
// It takes minutes: give -timeout 60m.
func BenchmarkMove(b *testing.B) {
	c := proctest.Start(b, 1)
	keys := fillForMove(b, c)
	set(b, c, map[string]string{"transfer_rate": "1TiB"})
	rate := moveAll(b, c)
	set(b, c, map[string]string{"transfer_rate": fmt.Sprint(int64(rate / 10))})
	keptWhileMoving(b, c, keys, int64(rate/10))
	b.ReportMetric(0, "ns/op")
}

// fillForMove writes what is to move, and returns the number of keys.
func fillForMove(b *testing.B, c *proctest.Cluster) (keys int64) {
	bucket := c.Client().Bucket("b")
	keys = *moveBytes / (largeValue + (largeEvery-1)*smallValue) * largeEvery
	began := time.Now()
	var next atomic.Int64
	var running sync.WaitGroup
	for range 256 {
		running.Go(func() {
			for i := next.Add(1) - 1; i < keys; i = next.Add(1) - 1 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				_, err := bucket.Put(ctx, moveKey(i), moveValue(i))
				cancel()
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	if b.Failed() {
		b.FailNow()
	}
	b.Logf("%d keys written in %v", keys, time.Since(began).Round(time.Second))
	return keys
}

// oneMore starts a member that is to take the place of the one that there is.
func oneMore(b *testing.B, c *proctest.Cluster) (from, to *proctest.Process) {
	b.Helper()
	from = c.Members[0]
	joining(b, c, from.Name+"+")
	return from, c.Members[1]
}

// beginMoves has all that a member has move to another. It ends by itself once it has
// nothing any more.
func beginMoves(b *testing.B, from, to *proctest.Process) {
	b.Helper()
	changes := []*ringdv1.MemberChange{change(from.Name, ringdv1.MemberChange_LEAVE)}
	for _, m := range proctest.Status(b, from).Members {
		if m.Name == to.Name && m.State == "new" {
			changes = append(changes, change(to.Name, ringdv1.MemberChange_JOIN))
		}
	}
	stage(b, from, changes...)
	commit(b, from)
}

// moveAll moves everything at full rate, and returns the bytes of values per second.
func moveAll(b *testing.B, c *proctest.Cluster) (rate float64) {
	from, to := oneMore(b, c)
	calm(b, from, to)
	plain, plainCPU := plainCopy(b, *moveBytes)
	source, target := observe(b, from), observe(b, to)
	profiled := profile(b, from, to)
	admin := proctest.Admin(b, to)
	began := time.Now()
	beginMoves(b, from, to)
	waitLong(b, func(ctx context.Context) bool {
		s, err := admin.Status(ctx, &ringdv1.StatusRequest{})
		if err != nil {
			b.Fatal(err)
		}
		return slices.ContainsFunc(s.Members, func(m *ringdv1.Member) bool { return m.Name == to.Name && m.Slots == movePartitions })
	})
	took := time.Since(began)
	source.end()
	target.end()
	profiled()
	from.Ended()
	c.Members = []*proctest.Process{to}
	again, againCPU := plainCopy(b, *moveBytes)
	plain, plainCPU = (plain+again)/2, (plainCPU+againCPU)/2

	gigabytes := float64(*moveBytes) / 1e9
	cpu := source.cpu + target.cpu
	rate = float64(*moveBytes) / took.Seconds()
	b.Logf("moved in %v with %v of processor time (source %v, target %v); plain copy in %v with %v",
		took, cpu, source.cpu, target.cpu, plain, plainCPU)
	b.ReportMetric(rate/1e6, "MB/s")
	b.ReportMetric(float64(*moveBytes)/1e6/plain.Seconds(), "plain-MB/s")
	b.ReportMetric(plain.Seconds()/took.Seconds(), "move/plain")
	b.ReportMetric(cpu.Seconds()/gigabytes, "cpu-s/GB")
	b.ReportMetric(plainCPU.Seconds()/gigabytes, "plain-cpu-s/GB")
	b.ReportMetric(float64(target.written)/float64(*moveBytes), "written/moved")
	for _, side := range []struct {
		name string
		*observed
	}{{"source", source}, {"target", target}} {
		b.ReportMetric(float64(side.before)/1e6, side.name+"-MB-before")
		b.ReportMetric(float64(side.most-side.before)/1e6, side.name+"-MB-more")
	}
	return rate
}

// keptWhileMoving compares the throughput of clients while all moves on at a rate
// with that while nothing moves. The data differ in where they are as little as they
// can: the windows of a pair follow each other.
func keptWhileMoving(b *testing.B, c *proctest.Cluster, keys, rate int64) {
	from, to := oneMore(b, c)
	admin := proctest.Admin(b, from)
	bucket := c.Client().Bucket("b")
	moving := false
	move := func() {
		beginMoves(b, from, to)
		moving = true
		// What goes through at once is no part of the rate.
		waitLong(b, func(context.Context) bool {
			moved, _ := bytesMoved(b, admin)
			return moved >= max(transferBurst, rate)+rate
		})
	}
	hold := func() {
		if _, err := admin.Cancel(within(b), &ringdv1.CancelRequest{}); err != nil {
			b.Fatal(err)
		}
		moving = false
		settled(b, from, to)
		calm(b, from, to)
	}
	calm(b, from, to)
	throughput(b, bucket, keys) // warm
	var kept []float64
	var moved, elapsed float64
	for i := range *pairs {
		var ops [2]float64
		for j := range 2 {
			on := (i + j) % 2 // who goes first takes turns
			switch {
			case on == 1 && !moving:
				move()
			case on == 0 && moving:
				hold()
			}
			before, _ := bytesMoved(b, admin)
			began := time.Now()
			ops[on] = throughput(b, bucket, keys)
			if on == 0 {
				continue
			}
			after, active := bytesMoved(b, admin)
			moved += float64(after - before)
			elapsed += time.Since(began).Seconds()
			if active == 0 {
				b.Fatal("everything has moved before the window ended: use a larger -ringd.movebytes, or a shorter -ringd.window")
			}
		}
		kept = append(kept, ops[1]/ops[0])
		b.Logf("moving %.0f, not moving %.0f operations per second: %.3f", ops[1], ops[0], kept[i])
	}
	slices.Sort(kept)
	b.ReportMetric(float64(rate)/1e6, "slow-MB/s-set")
	b.ReportMetric(moved/1e6/elapsed, "slow-MB/s")
	b.ReportMetric(kept[len(kept)/2], "kept")
	b.ReportMetric(kept[0], "kept-least")
	b.ReportMetric(kept[len(kept)-1], "kept-most")
}

// calm waits until processes do next to nothing: a store that was written to goes on
// rearranging it for a while.
func calm(b *testing.B, processes ...*proctest.Process) {
	b.Helper()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var before time.Duration
	for {
		var used time.Duration
		for _, p := range processes {
			d, err := cpuOf(p)
			if err != nil {
				b.Skipf("no /proc: %v", err)
			}
			used += d
		}
		if used-before < 100*time.Millisecond {
			return
		}
		before = used
		<-tick.C
	}
}

// throughput is operations per second in one window.
func throughput(b *testing.B, bucket *client.Bucket, keys int64) float64 {
	var done atomic.Int64
	var running sync.WaitGroup
	began := time.Now()
	until := began.Add(*window)
	for w := range 64 {
		random := rand.New(rand.NewPCG(uint64(w), uint64(began.UnixNano())))
		running.Go(func() {
			for time.Now().Before(until) {
				i := random.Int64N(keys)
				if i%largeEvery == 0 {
					continue
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				var err error
				if random.IntN(2) == 0 {
					_, err = bucket.Put(ctx, moveKey(i), moveValue(i))
				} else {
					_, err = bucket.Get(ctx, moveKey(i))
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
	return float64(done.Load()) / time.Since(began).Seconds()
}

// bytesMoved are about those that have left a member since nothing moved, and the
// moves that are under way.
func bytesMoved(b *testing.B, from ringdv1.AdminClient) (moved int64, active int) {
	ctx, cancel := context.WithTimeout(context.Background(), proctest.Within)
	defer cancel()
	s, err := from.Status(ctx, &ringdv1.StatusRequest{})
	if err != nil {
		b.Fatal(err)
	}
	r, err := from.Transfers(ctx, &ringdv1.TransfersRequest{})
	if err != nil {
		b.Fatal(err)
	}
	moved = *moveBytes / movePartitions * int64(s.Moves.GetDone())
	for _, t := range r.Transfers {
		if t.Kind == "move" {
			moved += int64(t.BytesDone)
		}
	}
	return moved, len(s.Moves.GetActive())
}

// waitLong asks again and again until it is so. There is no other bound than that of
// go test: how long a move takes is what is measured.
func waitLong(b *testing.B, ask func(context.Context) bool) {
	b.Helper()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), proctest.Within)
		done := ask(ctx)
		cancel()
		if done {
			return
		}
		<-tick.C
	}
}

// observed is what a process takes up while it is watched.
type observed struct {
	before, most int           // resident bytes
	cpu          time.Duration // used meanwhile
	written      int64         // bytes, to disks, meanwhile
	end          func()
}

// observe watches a process until end is called, or it ends.
func observe(b *testing.B, p *proctest.Process) *observed {
	o := &observed{before: residentBytes(b, p)}
	o.most = o.before
	used, err := cpuOf(p)
	wrote, ioErr := writtenBy(p)
	if err := errors.Join(err, ioErr); err != nil {
		b.Skipf("no /proc: %v", err)
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			resident, err := residentOf(p)
			now, cpuErr := cpuOf(p)
			written, ioErr := writtenBy(p)
			if errors.Join(err, cpuErr, ioErr) != nil || resident == 0 {
				return // it has ended
			}
			o.most, o.cpu, o.written = max(o.most, resident), now-used, written-wrote
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	})
	o.end = func() {
		close(stop)
		running.Wait()
	}
	return o
}

// writtenBy are the bytes that a process has had written to disks so far.
func writtenBy(p *proctest.Process) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", p.Pid()))
	if err != nil {
		return 0, err
	}
	_, after, ok := strings.Cut(string(raw), "\nwrite_bytes: ")
	if !ok {
		return 0, errors.New("no write_bytes")
	}
	first, _, _ := strings.Cut(after, "\n")
	return strconv.ParseInt(first, 10, 64)
}

// profile takes processor profiles of the first seconds, if they are wanted.
func profile(b *testing.B, processes ...*proctest.Process) (wait func()) {
	if *moveProfiles == "" {
		return func() {}
	}
	var running sync.WaitGroup
	for _, p := range processes {
		running.Go(func() {
			r, err := http.Get("http://" + p.At.HTTP + "/debug/pprof/profile?seconds=5")
			if err != nil {
				b.Error(err)
				return
			}
			defer r.Body.Close()
			raw, err := io.ReadAll(r.Body)
			if err == nil {
				err = os.WriteFile(filepath.Join(*moveProfiles, p.Name+".pprof"), raw, 0o600)
			}
			if err != nil {
				b.Error(err)
			}
		})
	}
	return running.Wait
}
