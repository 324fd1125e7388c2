package enginetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/ringd/ringd/storage"
)

// Writers each keep two keys equal while readers look: a batch is seen whole.
func testConcurrent(t *testing.T, s Subject) {
	const writers, rounds = 8, 50
	e := open(t, s)
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			left, right := fmt.Sprintf("w%d/left", w), fmt.Sprintf("w%d/right", w)
			for i := range rounds {
				v := fmt.Sprint(i)
				c, err := e.Apply(set(left, v, right, v))
				if err == nil {
					err = c.Wait()
				}
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				want(t, e, left, v)
			}
		})
		running.Go(func() {
			for range rounds {
				if err := seenWhole(e, fmt.Sprintf("w%d/", w)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	after := closing(t, s.Crash(t, e))
	for w := range writers {
		want(t, after, fmt.Sprintf("w%d/left", w), fmt.Sprint(rounds-1))
	}
}

func seenWhole(e storage.Engine, prefix string) error {
	snap, err := e.Snapshot()
	if err != nil {
		return err
	}
	left, errLeft := snap.Get([]byte(prefix + "left"))
	right, errRight := snap.Get([]byte(prefix + "right"))
	if string(left) != string(right) || errors.Is(errLeft, storage.ErrNotFound) != errors.Is(errRight, storage.ErrNotFound) {
		return fmt.Errorf("half a batch of %s: %q, %v and %q, %v", prefix, left, errLeft, right, errRight)
	}
	return snap.Close()
}

// A plain map says what has to be there after random operations.
func testModel(t *testing.T, s Subject) {
	rng := rand.New(rand.NewPCG(1, 2))
	e, model := open(t, s), map[string]string{}
	name := func() string { return fmt.Sprintf("%c%c", 'a'+rng.IntN(6), rng.IntN(3)) }
	for range 300 {
		b := new(storage.Batch)
		for range 1 + rng.IntN(5) {
			key := name()
			switch rng.IntN(6) {
			case 0:
				b.Delete([]byte(key))
				delete(model, key)
			case 1:
				upper := name()
				b.DeleteRange([]byte(key), []byte(upper))
				for k := range model {
					if k >= key && k < upper {
						delete(model, k)
					}
				}
			default:
				value := fmt.Sprint(rng.Uint32())
				b.Set([]byte(key), []byte(value))
				model[key] = value
			}
		}
		apply(t, e, b)
		key := name()
		if v, ok := model[key]; ok {
			want(t, e, key, v)
		} else {
			want(t, e, key, absent)
		}
	}
	if got := all(t, e); len(got) != len(model) {
		t.Errorf("%d keys, want %d", len(got), len(model))
	}
	for k, v := range model {
		want(t, e, k, v)
	}
}
