package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/internal/proctest"
)

// strictLoad writes keys by owners only, and reads, by owners only, each key that was
// acknowledged before the read began: it has to be there.
type strictLoad struct {
	bucket  *client.Bucket
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu struct {
		sync.Mutex
		acked  []string
		reads  int
		failed []error
	}
}

func loadStrictly(c *client.Client) *strictLoad {
	l := &strictLoad{bucket: c.Bucket("strict")}
	l.ctx, l.stop = context.WithCancel(context.Background())
	for n := range 4 {
		l.running.Go(func() {
			for i := 0; l.ctx.Err() == nil; i++ {
				l.write(fmt.Sprintf("key-%d-%d", n, i))
				for range readsPerWrite {
					l.read()
				}
			}
		})
	}
	return l
}

// readsPerWrite leaves the members time for what is tested.
const readsPerWrite = 3

func (l *strictLoad) write(key string) {
	ctx, cancel := context.WithTimeout(l.ctx, proctest.Within)
	defer cancel()
	_, err := l.bucket.Put(ctx, key, []byte("value of "+key), client.PW(2), client.Sloppy(false))
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.mu.acked = append(l.mu.acked, key)
	case l.ctx.Err() == nil:
		l.mu.failed = append(l.mu.failed, fmt.Errorf("put %s: %w", key, err))
	}
}

func (l *strictLoad) read() {
	l.mu.Lock()
	n := len(l.mu.acked)
	if n == 0 {
		l.mu.Unlock()
		return
	}
	key := l.mu.acked[rand.IntN(n)]
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(l.ctx, proctest.Within)
	defer cancel()
	o, err := l.bucket.Get(ctx, key, client.PR(2), client.Sloppy(false))
	if l.ctx.Err() != nil {
		return
	}
	value, verr := o.Value()
	if err = errors.Join(err, verr); err == nil && string(value) != "value of "+key {
		err = fmt.Errorf("it is %q", value)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.reads++
	if err != nil {
		l.mu.failed = append(l.mu.failed, fmt.Errorf("get %s: %w", key, err))
	}
}

// until waits for n more acknowledged writes.
func (l *strictLoad) until(t *testing.T, n int) {
	t.Helper()
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.mu.acked)
	}
	goal := count() + n
	proctest.Wait(t, "more acknowledged writes", func(context.Context) error {
		if got := count(); got < goal {
			return fmt.Errorf("%d of %d", got, goal)
		}
		return nil
	})
}

// end stops the load, and checks what it saw and that all of it is there.
func (l *strictLoad) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.running.Wait()
	for _, err := range l.mu.failed[:min(5, len(l.mu.failed))] {
		t.Error(err)
	}
	t.Logf("%d writes, %d reads, %d failed", len(l.mu.acked), l.mu.reads, len(l.mu.failed))
	readAll(t, l.bucket, l.mu.acked, client.PR(2), client.Sloppy(false))
}

// owning waits until there are so many members, of whom each owns its share of the
// slots within one, as one of them sees it.
func owning(t *testing.T, by *proctest.Process, members int) {
	t.Helper()
	proctest.Wait(t, fmt.Sprintf("%d members to share the slots", members), func(ctx context.Context) error {
		s, err := proctest.Admin(t, by).Status(ctx, &ringdv1.StatusRequest{})
		if err != nil {
			return err
		}
		share := int(s.Partitions*s.Replicas) / members
		for _, m := range s.Members {
			if off := int(m.Slots) - share; len(s.Members) != members || off < -1 || off > 1 {
				return fmt.Errorf("%s of %d members owns %d slots, and a share is %d", m.Name, len(s.Members), m.Slots, share)
			}
		}
		return nil
	})
}

// says waits until a process has logged something.
func says(t *testing.T, p *proctest.Process, words string) {
	t.Helper()
	proctest.Wait(t, fmt.Sprintf("%s to log %q", p.Name, words), func(context.Context) error {
		if !strings.Contains(p.Log(), words) {
			return errors.New(p.Log())
		}
		return nil
	})
}

// TestElastic: a member takes its share by itself once it may, and hands it over
// before it stops; nothing is lost, and strict reads miss nothing meanwhile.
func TestElastic(t *testing.T) {
	t.Parallel()
	cluster := proctest.Start(t, 3)
	load := loadStrictly(cluster.Client())
	load.until(t, 200)
	fourth := proctest.New(t, "m3", filepath.Join(t.TempDir(), "m3"), proctest.Args("--auto-commit", "--drain"))
	fourth.Start("--join", cluster.Members[0].At.GRPC)
	says(t, fourth, "ringctl join m3")
	if m := seen(t, cluster.Members[0], "m3"); m.Slots != 0 {
		t.Errorf("it took %d slots that it was not allowed to", m.Slots)
	}

	set(t, cluster, map[string]string{"elastic": "true"})
	owning(t, cluster.Members[0], 4)
	says(t, fourth, "this member has joined")
	load.until(t, 100)

	fourth.Signal(syscall.SIGTERM)
	fourth.Ended()
	mustSay(t, fourth.Log(), "drained")
	owning(t, cluster.Members[1], 3)
	load.until(t, 100)
	load.end(t)
	repair(t, cluster) // the third owner of a write is not waited for
	if n := differing(t, cluster.Members[2]); n > 0 {
		t.Errorf("owners differ on %d keys", n)
	}
	mustSay(t, fourth.StartRefused(), "another name")
}

// TestDrainGivesUp: with too few members left, with the setting off, at the timeout and
// at a second signal, the member stops as usual, and says what it still has.
func TestDrainGivesUp(t *testing.T) {
	t.Parallel()
	cluster := proctest.Start(t, 3, "--drain")
	m := cluster.Members[2]
	m.Stop()
	mustSay(t, m.Log(), "the setting elastic is off", "32 slots are still its own")

	set(t, cluster, map[string]string{"elastic": "true"})
	m.Start()
	proctest.Wait(t, "it to know the setting", func(ctx context.Context) error {
		r, err := proctest.Admin(t, m).GetSettings(ctx, &ringdv1.GetSettingsRequest{})
		if err != nil {
			return err
		}
		for _, s := range r.Settings {
			if s.Name == "elastic" && s.Value == "true" {
				return nil
			}
		}
		return errors.New("elastic is off")
	})
	m.Signal(syscall.SIGTERM)
	says(t, m, "can't leave by itself yet")
	kv := proctest.KV(t, m)
	mustPut(t, kv, &ringdv1.PutRequest{Key: key("while it drains"), Value: []byte("v")})
	m.Stop()
	mustSay(t, m.Log(), "32 slots are still its own")

	m.Start("--drain-timeout", "500ms")
	cluster.WaitServing()
	m.Stop()
	mustSay(t, m.Log(), "can't leave by itself yet", "32 slots are still its own")
}
