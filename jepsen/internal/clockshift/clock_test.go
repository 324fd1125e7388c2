package clockshift

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/internal/proctest"
)

// program is the ringd whose clock can be shifted.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ringd-clockshift-")
	if err == nil {
		program = filepath.Join(dir, "ringd")
		var out []byte
		out, err = exec.Command("go", "build", "-tags", Tag, "-o", program, "github.com/ringd/ringd/cmd/ringd").CombinedOutput()
		os.Stderr.Write(out)
	}
	code := 1
	if err == nil {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// cluster is three members, of which the first has a clock that can be shifted.
type cluster struct {
	t       *testing.T
	clock   *Clock
	members []*proctest.Process
	kv      []ringdv1.KVClient
}

func start(t *testing.T) *cluster {
	t.Helper()
	dir := t.TempDir()
	clock, err := New(filepath.Join(dir, "clock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := clock.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &cluster{t: t, clock: clock}
	for i := range 3 {
		name := fmt.Sprint("m", i)
		options := []proctest.Option{proctest.Program(program)}
		args := []string{"--bootstrap", "--replicas", "3", "--partitions", "8"}
		if i == 0 {
			options = append(options, proctest.Wrap(clock.Wrap()...))
		} else {
			args = []string{"--join", c.members[0].At.GRPC}
		}
		m := proctest.New(t, name, filepath.Join(dir, name), options...)
		m.Start(args...)
		c.members = append(c.members, m)
	}
	c.serve()
	for _, m := range c.members {
		c.kv = append(c.kv, proctest.KV(t, m))
	}
	return c
}

// serve waits until every member has the ring and sees the others.
func (c *cluster) serve() {
	c.t.Helper()
	for _, m := range c.members {
		admin := proctest.Admin(c.t, m)
		proctest.Wait(c.t, m.Name+" to serve and see the others", func(ctx context.Context) error {
			s, err := admin.Status(ctx, &ringdv1.StatusRequest{})
			if err != nil {
				return err
			}
			if len(s.Members) < len(c.members) {
				return fmt.Errorf("%d members", len(s.Members))
			}
			if !s.HasOwners {
				_, err := admin.Commit(ctx, &ringdv1.CommitRequest{Epoch: s.Epoch})
				return errors.Join(err, errors.New("no owners yet"))
			}
			for _, o := range s.Members {
				if o.Liveness != ringdv1.Member_ALIVE {
					return fmt.Errorf("%s is %v", o.Name, o.Liveness)
				}
			}
			return nil
		})
	}
}

func key(bucketType, k string) *ringdv1.Key {
	return &ringdv1.Key{BucketType: bucketType, Bucket: []byte("b"), Key: []byte(k)}
}

func (c *cluster) put(member int, r *ringdv1.PutRequest, value string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), proctest.Within)
	defer cancel()
	r.Value = []byte(value)
	if _, err := c.kv[member].Put(ctx, r); err != nil {
		c.t.Fatalf("put %s by m%d: %v", r.Key.Key, member, err)
	}
}

// get returns the values of a key, sorted, and its context.
func (c *cluster) get(member int, k *ringdv1.Key) ([]string, []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), proctest.Within)
	defer cancel()
	r, err := c.kv[member].Get(ctx, &ringdv1.GetRequest{Key: k})
	if err != nil {
		c.t.Fatalf("get %s by m%d: %v", k.Key, member, err)
	}
	var values []string
	for _, s := range r.Siblings {
		values = append(values, string(s.Value))
	}
	slices.Sort(values)
	return values, r.Context
}

func (c *cluster) want(member int, k *ringdv1.Key, want string) {
	c.t.Helper()
	if got, _ := c.get(member, k); strings.Join(got, " ") != want {
		c.t.Errorf("m%d reads %q of %s, want %q", member, got, k.Key, want)
	}
}

// ledger is what was acknowledged.
type ledger struct {
	mu struct {
		sync.Mutex
		// values that a key has to have, and that it may have.
		values, unknown map[string][]string
		count           int
	}
}

// put makes one put and notes what became of it.
func (l *ledger) put(ctx context.Context, kv ringdv1.KVClient, k, value string, token []byte) ([]byte, error) {
	call, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := kv.Put(call, &ringdv1.PutRequest{Key: key("", k), Value: []byte(value), Context: token})
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.mu.unknown[k] = append(l.mu.unknown[k], value)
		if token != nil { // it may have replaced the one before
			l.mu.unknown[k] = append(l.mu.unknown[k], l.mu.values[k]...)
			delete(l.mu.values, k)
		}
		return nil, err
	case token != nil:
		l.mu.values[k] = []string{value}
	default:
		l.mu.values[k] = append(l.mu.values[k], value)
	}
	l.mu.count++
	return r.Context, nil
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.count
}

// work puts until ctx ends, by all members in turn: half of the writers know what they replace,
// the others add siblings.
func (c *cluster) work(ctx context.Context, l *ledger, writers *sync.WaitGroup) {
	const keys, siblings = 100, 5
	for w := range 6 {
		writers.Go(func() {
			tokens := make(map[string][]byte)
			for i := 0; ctx.Err() == nil; i++ {
				k := fmt.Sprintf("replaced-%d-%d", w, i%keys)
				if w%2 == 0 {
					k = fmt.Sprintf("siblings-%d-%d", w, i/siblings)
				}
				token, err := l.put(ctx, c.kv[(w+i)%len(c.kv)], k, fmt.Sprint(i), tokens[k])
				if err != nil && ctx.Err() == nil {
					c.t.Errorf("put %s: %v", k, err)
				}
				if w%2 == 1 && err == nil {
					tokens[k] = token
				}
			}
		})
	}
}

// TestNothingIsLost: whatever becomes of one member's clock, all that was acknowledged
// is there, nothing that was replaced is, and no write fails.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	c := start(t)
	l := &ledger{}
	l.mu.values, l.mu.unknown = make(map[string][]string), make(map[string][]string)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var writers sync.WaitGroup
	c.work(ctx, l, &writers)
	const day = 24 * time.Hour
	for _, ahead := range []time.Duration{time.Hour, -time.Hour, 0, 10 * time.Minute, day, -time.Minute, 0, -30 * day, 0} {
		c.clock.Set(ahead)
		until := l.count() + 500
		proctest.Wait(t, fmt.Sprintf("writes with a clock %v ahead", ahead), func(context.Context) error {
			if n := l.count(); n < until {
				return fmt.Errorf("%d of %d", n, until)
			}
			return nil
		})
	}
	stop()
	writers.Wait()
	c.serve()
	i := 0
	for k, values := range l.mu.values {
		i++
		got, _ := c.get(i%len(c.kv), key("", k))
		for _, v := range values {
			if !slices.Contains(got, v) {
				t.Errorf("%s has %q, and %q was acknowledged", k, got, v)
			}
		}
		for _, v := range got {
			if !slices.Contains(values, v) && !slices.Contains(l.mu.unknown[k], v) {
				t.Errorf("%s has %q, which was replaced: want %q", k, v, values)
			}
		}
	}
	t.Logf("%d writes were acknowledged", l.mu.count)
}

// TestExpiry: the member that takes a read judges by its own clock, and the one that
// takes a put counts a ttl from its own.
func TestExpiry(t *testing.T) {
	t.Parallel()
	c := start(t)
	half := durationpb.New(30 * time.Minute)
	c.put(1, &ringdv1.PutRequest{Key: key("", "k"), Ttl: half}, "v")
	c.put(1, &ringdv1.PutRequest{Key: key("", "ever")}, "v")
	for m := range c.members {
		c.want(m, key("", "k"), "v")
	}
	c.clock.Set(time.Hour)
	c.want(0, key("", "k"), "")
	c.want(1, key("", "k"), "v")
	c.want(0, key("", "ever"), "v")
	c.put(0, &ringdv1.PutRequest{Key: key("", "later"), Ttl: half}, "v")
	c.want(0, key("", "later"), "v")
	c.want(2, key("", "later"), "v")

	c.clock.Set(-time.Hour)
	c.want(0, key("", "k"), "v")
	c.put(0, &ringdv1.PutRequest{Key: key("", "sooner"), Ttl: half}, "v")
	c.want(0, key("", "sooner"), "v")
	c.want(2, key("", "sooner"), "")

	c.clock.Set(0)
	c.want(0, key("", "k"), "v")
}

// TestLastWriteWins: the newest by clock is what is shown, so that a member whose clock
// is far ahead wins over those that come later, but not over who read what it
// replaces.
func TestLastWriteWins(t *testing.T) {
	t.Parallel()
	c := start(t)
	ctx, cancel := context.WithTimeout(context.Background(), proctest.Within)
	defer cancel()
	bt := &ringdv1.BucketType{Name: "newest", LastWriteWins: new(true)}
	if _, err := proctest.Admin(t, c.members[0]).CreateBucketType(ctx, &ringdv1.CreateBucketTypeRequest{BucketType: bt}); err != nil {
		t.Fatal(err)
	}
	k := key("newest", "k")
	c.put(1, &ringdv1.PutRequest{Key: k}, "1")
	c.put(0, &ringdv1.PutRequest{Key: k}, "2")
	c.want(2, k, "2")
	c.put(1, &ringdv1.PutRequest{Key: k}, "3")
	c.want(0, k, "3")

	c.clock.Set(-time.Hour)
	c.put(0, &ringdv1.PutRequest{Key: k}, "behind")
	got, _ := c.get(2, k)
	t.Logf("after a write by a clock an hour behind: %q", got)

	c.clock.Set(time.Hour)
	c.put(0, &ringdv1.PutRequest{Key: k}, "ahead")
	c.want(2, k, "ahead")
	c.put(1, &ringdv1.PutRequest{Key: k}, "blind")
	got, token := c.get(2, k)
	t.Logf("after a write by a clock an hour ahead, and one that does not know of it: %q", got)
	c.put(1, &ringdv1.PutRequest{Key: k, Context: token}, "knowing")
	for m := range c.members {
		c.want(m, k, "knowing")
	}
}
