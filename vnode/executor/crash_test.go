package executor_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage/pebblestore"
	"github.com/ringd/ringd/vnode/executor"
)

var (
	self  = ring.MemberID{15: 1}
	epoch = ring.Epoch{Generation: 1, Number: 1}
)

const partitions = 8

func testRing(t testing.TB) *ring.Ring {
	t.Helper()
	r, err := ring.New(ring.Config{Seed: 1, Partitions: partitions, Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	slots := make([][]ring.MemberID, partitions)
	for p := range slots {
		slots[p] = []ring.MemberID{self}
	}
	if r, err = r.WithSlots(epoch, slots); err != nil {
		t.Fatal(err)
	}
	return r
}

func config(t testing.TB, startCount uint64) executor.Config {
	c := executor.DefaultConfig()
	c.Executors = 2
	c.Vnode.Self, c.Vnode.Ring, c.Vnode.Types = self, testRing(t), map[string]int{"default": 1}
	c.Vnode.StartCount, c.Vnode.Proven = startCount, true
	c.Vnode.Random = rand.Uint64
	c.Vnode.InlineBytes = 32 // so that some values are apart
	return c
}

func open(t testing.TB, fs vfs.FS) *pebblestore.Store {
	t.Helper()
	o := pebblestore.DefaultOptions()
	o.FS, o.CacheBytes, o.MemtableBytes = fs, 1<<20, 64<<10
	s, err := pebblestore.Open("db", o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask submits a message and returns its first answer; each further one goes to
// more, if that is not nil.
func ask(t testing.TB, pool *executor.Pool, p ring.PartitionID, m replica.Message, more func(replica.Message)) replica.Message {
	t.Helper()
	first := make(chan replica.Message, 1)
	var answers int
	env := replica.Envelope{From: self, To: self, Epoch: epoch, Partition: p, Message: m}
	err := pool.Submit(env, func(a replica.Envelope) {
		// All answers to a request come from one goroutine.
		if answers++; answers == 1 {
			first <- a.Message
		} else if more != nil {
			more(a.Message)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-first:
		return m
	case <-time.After(time.Minute):
		t.Fatal("no answer")
		return nil
	}
}

func put(i int) (ring.PartitionID, replica.Coordinate) {
	value := fmt.Sprintf("value %d", i)
	if i%3 == 0 {
		value += fmt.Sprintf("%060d", i)
	}
	w := replica.Write{Key: replica.Key{Type: "default", Bucket: "b", Key: fmt.Sprintf("key %d", i)}, Value: []byte(value)}
	w.Request = causal.RequestID{1, byte(i), byte(i >> 8)}
	return ring.PartitionID(i % partitions), replica.Coordinate{Write: w}
}

// crashed is the disk as a crash at some moment leaves it, and what had been
// acknowledged by then.
type crashed struct {
	fs    *vfs.MemFS
	acked []int
}

// TestCrashAtEverySync cuts the power at every sync of the disk. Whatever was
// acknowledged by then is there afterwards, and no dot that was given before is
// given again.
func TestCrashAtEverySync(t *testing.T) {
	const writes = 120
	var mu struct {
		sync.Mutex
		acked   []int
		crashes []crashed
		dots    map[causal.Dot]bool
		// on while crashes are taken: not while the store is made, when there is
		// nothing to lose yet, nor while it is closed.
		on bool
	}
	mu.dots = make(map[causal.Dot]bool)
	rng := rand.New(rand.NewPCG(1, 2))
	mem := vfs.NewCrashableMem()
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind != errorfs.OpFileSync && op.Kind != errorfs.OpFileSyncData {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if !mu.on {
			return nil
		}
		clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		mu.crashes = append(mu.crashes, crashed{clone, mu.acked[:len(mu.acked):len(mu.acked)]})
		return nil
	}))
	store := open(t, fs)
	pool, err := executor.Open(config(t, 1), store)
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	mu.on = true
	mu.Unlock()
	var acks sync.WaitGroup
	for i := range writes {
		p, m := put(i)
		acks.Add(1)
		prepared := ask(t, pool, p, m, func(second replica.Message) {
			defer acks.Done()
			if _, ok := second.(replica.Committed); !ok {
				t.Errorf("write %d: %#v", i, second)
			}
			mu.Lock()
			defer mu.Unlock()
			mu.acked = append(mu.acked, i)
		})
		o := decode(t, prepared.(replica.Prepared).Object)
		mu.Lock()
		for _, s := range o.Siblings {
			mu.dots[s.Dot] = true
		}
		mu.Unlock()
		if i < 40 || i%10 == 9 {
			acks.Wait() // some batches of one write, some of several
		}
	}
	acks.Wait()
	mu.Lock()
	mu.on = false
	mu.Unlock()
	if err := pool.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if len(mu.crashes) < 30 {
		t.Fatalf("only %d syncs", len(mu.crashes))
	}
	for n, c := range mu.crashes {
		checkAfterCrash(t, n, c, mu.dots)
	}
	t.Logf("%d crashes, the last with %d acknowledged writes", len(mu.crashes), len(mu.crashes[len(mu.crashes)-1].acked))
}

func decode(t testing.TB, encoded []byte) causal.Object {
	t.Helper()
	o, err := causal.DecodeObject(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func checkAfterCrash(t *testing.T, n int, c crashed, given map[causal.Dot]bool) {
	t.Helper()
	store := open(t, c.fs)
	pool, err := executor.Open(config(t, 2), store)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range c.acked {
		p, m := put(i)
		answer, ok := ask(t, pool, p, replica.Read{Key: m.Write.Key, Full: true}, nil).(replica.ReadAnswer)
		if !ok || len(answer.Object) == 0 {
			t.Fatalf("crash %d: acknowledged write %d is lost: %#v", n, i, answer)
		}
		if o := decode(t, answer.Object); len(o.Siblings) != 1 || string(o.Siblings[0].Value) != string(m.Write.Value) {
			t.Fatalf("crash %d: acknowledged write %d is now %+v", n, i, o)
		}
	}
	for i := 1000; i < 1000+partitions; i++ {
		p, m := put(i)
		prepared := ask(t, pool, p, m, nil).(replica.Prepared)
		for _, s := range decode(t, prepared.Object).Siblings {
			if given[s.Dot] {
				t.Fatalf("crash %d: dot %v is given a second time", n, s.Dot)
			}
		}
	}
	if err := pool.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}
