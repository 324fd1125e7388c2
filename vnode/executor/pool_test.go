package executor_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
	"github.com/ringd/ringd/storage/simstore"
	"github.com/ringd/ringd/vnode/executor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestCloseAnswersEverything: who was let in gets an answer, and the next start
// goes on with the actors.
func TestCloseAnswersEverything(t *testing.T) {
	mem := vfs.NewMem()
	var actors [2]causal.Actor
	for life := range 2 {
		store := open(t, mem)
		pool, err := executor.Open(config(t, uint64(life+1)), store)
		if err != nil {
			t.Fatal(err)
		}
		var answers sync.WaitGroup
		var last causal.Dot
		for i := range 500 {
			_, m := put(i + 1000*life)
			first := true
			answers.Add(1)
			err := pool.Submit(replica.Envelope{From: self, To: self, Epoch: epoch, Partition: 3, Message: m}, func(a replica.Envelope) {
				if prepared, ok := a.Message.(replica.Prepared); ok && first {
					last = decode(t, prepared.Object).Siblings[0].Dot
					first = false
					return
				}
				answers.Done()
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := pool.Close(); err != nil {
			t.Fatal(err)
		}
		answers.Wait()
		if err := pool.Submit(replica.Envelope{}, nil); !errors.Is(err, executor.ErrClosed) {
			t.Fatalf("after Close: %v", err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		actors[life] = last.Actor
		if last.Counter != uint64(500*(life+1)) {
			t.Fatalf("life %d ended at dot %v", life, last)
		}
	}
	if actors[0] != actors[1] {
		t.Fatal("the second life has another actor")
	}
}

// gated is an engine whose syncs wait for the gate.
type gated struct {
	*simstore.Store
	gate chan struct{}
}

type gatedCommit struct {
	storage.Commit
	gate chan struct{}
}

func (g gated) Apply(b *storage.Batch) (storage.Commit, error) {
	c, err := g.Store.Apply(b)
	return gatedCommit{c, g.gate}, err
}

func (c gatedCommit) Wait() error {
	<-c.gate
	return c.Commit.Wait()
}

// TestFullMailboxRefusesAtOnce: with the disk stuck, requests fill the mailbox
// and are then refused, and all that were taken are answered once it moves.
func TestFullMailboxRefusesAtOnce(t *testing.T) {
	engine := gated{simstore.New(), make(chan struct{})}
	c := config(t, 1)
	c.MailboxMax, c.SyncsMax, c.Executors = 4, 2, 1
	pool, err := executor.Open(c, engine)
	if err != nil {
		t.Fatal(err)
	}
	var answers sync.WaitGroup
	taken := 0
	for i := 0; ; i++ {
		if i > 10000 {
			t.Fatal("nothing is ever refused")
		}
		_, m := put(i)
		answers.Add(1)
		err := pool.Submit(replica.Envelope{From: self, To: self, Epoch: epoch, Partition: ring.PartitionID(i % partitions), Message: m}, func(a replica.Envelope) {
			switch a.Message.(type) {
			case replica.Prepared:
			case replica.Committed:
				answers.Done()
			default:
				t.Errorf("%#v", a.Message)
				answers.Done()
			}
		})
		if errors.Is(err, executor.ErrFull) {
			answers.Done()
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		taken++
	}
	close(engine.gate)
	answers.Wait()
	if err := pool.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d requests were taken before one was refused", taken)
}
