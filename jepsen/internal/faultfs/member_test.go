package faultfs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/internal/proctest"
)

// member is a ringd process that is a whole cluster, on a file system that forgets.
type member struct {
	*proctest.Process
	t  testing.TB
	fs *FS
}

// startMember starts a new member on the file system.
func startMember(t testing.TB, dir string, f *FS) *member {
	t.Helper()
	m := &member{Process: proctest.New(t, "m0", dir), t: t, fs: f}
	m.Start(first...)
	return m
}

// first are the arguments of the first start.
var first = []string{"--bootstrap", "--replicas", "1", "--partitions", "8"}

// serve waits until it has the partitions.
func (m *member) serve() {
	m.t.Helper()
	admin := proctest.Admin(m.t, m.Process)
	proctest.Wait(m.t, "the member to have the partitions", func(ctx context.Context) error {
		s, err := admin.Status(ctx, &ringdv1.StatusRequest{})
		if err != nil {
			return err
		}
		if !s.HasOwners {
			_, err = admin.Commit(ctx, &ringdv1.CommitRequest{Epoch: s.Epoch})
			return errors.Join(err, errors.New("no owners yet"))
		}
		return nil
	})
}

// crash kills the member as a power failure does.
func (m *member) crash(loss Loss) {
	m.t.Helper()
	m.Kill()
	if err := m.fs.Crash(loss); err != nil {
		m.t.Fatal(err)
	}
}

// puts are what writers put until they are stopped: each its own keys, numbered.
type puts struct {
	stop  context.CancelFunc
	done  sync.WaitGroup
	acked chan struct{}

	mu struct {
		sync.Mutex
		keys map[string]string // acknowledged, with their values
	}
}

// put begins to put values of so many bytes, by so many writers. Round makes the keys new.
func (m *member) put(round, writers, bytes int) *puts {
	ctx, stop := context.WithCancel(context.Background())
	p := &puts{stop: stop, acked: make(chan struct{}, 1<<20)}
	p.mu.keys = make(map[string]string)
	kv := proctest.KV(m.t, m.Process)
	for w := range writers {
		p.done.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				k, v := fmt.Sprintf("%d-%d-%d", round, w, i), fmt.Sprintf("%0*d", bytes, i)
				_, err := kv.Put(ctx, &ringdv1.PutRequest{Key: key(k), Value: []byte(v)})
				if err != nil {
					continue
				}
				p.mu.Lock()
				p.mu.keys[k] = v
				p.mu.Unlock()
				p.acked <- struct{}{}
			}
		})
	}
	return p
}

func key(k string) *ringdv1.Key { return &ringdv1.Key{Bucket: []byte("b"), Key: []byte(k)} }

// await waits until n more are acknowledged.
func (p *puts) await(t testing.TB, n int) {
	t.Helper()
	late := time.After(proctest.Within)
	for i := range n {
		select {
		case <-p.acked:
		case <-late:
			t.Fatalf("%d of %d writes were acknowledged within %v", i, n, proctest.Within)
		}
	}
}

// end stops the writers and returns what was acknowledged.
func (p *puts) end() map[string]string {
	p.stop()
	p.done.Wait()
	return p.mu.keys
}

// lost reads all keys and returns how many are not what they were acknowledged to be.
func (m *member) lost(keys map[string]string) int {
	m.t.Helper()
	kv := proctest.KV(m.t, m.Process)
	lost := 0
	for k, v := range keys {
		ctx, cancel := context.WithTimeout(context.Background(), proctest.Within)
		r, err := kv.Get(ctx, &ringdv1.GetRequest{Key: key(k)})
		cancel()
		if err != nil {
			m.t.Fatalf("get %s: %v", k, err)
		}
		if len(r.Siblings) != 1 || string(r.Siblings[0].Value) != v {
			lost++
		}
	}
	return lost
}

// TestMemberLosesNothing: what a member acknowledged is there after power
// failures under load, whatever they leave of what was not synced.
func TestMemberLosesNothing(t *testing.T) {
	t.Parallel()
	f := mount(t)
	m := startMember(t, f.Dir, f)
	m.serve()
	all := make(map[string]string)
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		loss := Loss{Some: round%3 > 0, Seed: uint64(round)}
		p := m.put(round, 16, 100+1000*(round%2))
		p.await(t, 500)
		m.crash(loss)
		acked := p.end()
		for k, v := range acked {
			all[k] = v
		}
		m.Start()
		m.serve()
		if n := m.lost(all); n > 0 {
			t.Fatalf("after crash %d (%+v) %d of %d acknowledged writes are lost", round, loss, n, len(all))
		}
	}
	t.Logf("%d writes were acknowledged in %d rounds", len(all), rounds)
}

// TestYoungMemberStarts: a member that lost power at any moment of its first start, or
// once it served, starts again as it was to the first time, and serves.
func TestYoungMemberStarts(t *testing.T) {
	type moment struct {
		syncs int64 // that began; 0 is once it serves
		seed  uint64
	}
	moments := []moment{{0, 0}, {5, 1}}
	if !testing.Short() {
		for n := int64(1); n <= 24; n += 1 + n/4 {
			moments = append(moments, moment{n, 0}, moment{n, uint64(n)})
		}
	}
	for _, at := range moments {
		t.Run(fmt.Sprintf("fsync %d, seed %d", at.syncs, at.seed), func(t *testing.T) {
			t.Parallel()
			f := mount(t)
			m := &member{Process: proctest.New(t, "m0", f.Dir), t: t, fs: f}
			m.beginUntil(at.syncs)
			m.crash(Loss{Some: at.seed > 0, Seed: at.seed})
			m.Start(first...)
			m.serve()
			m.Kill()
		})
	}
}

// beginUntil starts a new member, and waits until it has begun so many fsyncs, or serves.
func (m *member) beginUntil(syncs int64) {
	m.t.Helper()
	if syncs == 0 {
		m.Start(first...)
		return
	}
	m.Program = proctest.Binary(m.t, "ringd")
	if err := m.Begin(first...); err != nil {
		m.t.Fatal(err)
	}
	proctest.Wait(m.t, fmt.Sprintf("fsync %d", syncs), func(ctx context.Context) error {
		for m.fs.Syncs() < syncs {
			if !m.Running() || ctx.Err() != nil {
				return fmt.Errorf("%d so far", m.fs.Syncs())
			}
		}
		return nil
	})
}

// TestLyingDiskLosesWrites: on a disk that says that it synced and did not,
// acknowledged writes are lost, and this test sees it.
func TestLyingDiskLosesWrites(t *testing.T) {
	t.Parallel()
	f := mount(t)
	m := startMember(t, f.Dir, f)
	m.serve()
	p := m.put(0, 4, 100)
	p.await(t, 100)
	f.Lie("*")
	p.await(t, 200)
	m.crash(Loss{})
	acked := p.end()
	f.Lie("")
	m.Start()
	m.serve()
	if n := m.lost(acked); n == 0 {
		t.Errorf("all of %d acknowledged writes are there, although the disk did not sync them", len(acked))
	} else {
		t.Logf("%d of %d acknowledged writes are lost", n, len(acked))
	}
}
