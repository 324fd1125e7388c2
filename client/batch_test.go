package client_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
)

func TestBatches(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		defer c.Close()
		b := c.Bucket("b")
		var items []client.PutItem
		keys := []string{"missing"}
		for i := range 1000 {
			items = append(items, client.PutItem{Key: fmt.Sprint(i), Value: []byte(fmt.Sprint("v", i))})
			keys = append(keys, fmt.Sprint(i))
		}
		items[7].Key = ""
		for i, r := range b.BatchPut(t.Context(), items, client.W(2)) {
			if i == 7 {
				if !errors.Is(r.Err, client.ErrInvalid) {
					t.Errorf("an empty key in a batch: %v", r.Err)
				}
				continue
			}
			if r.Err != nil {
				t.Fatalf("item %d: %v", i, r.Err)
			}
			f.appliedOnce(t, r.Written.RequestID)
		}
		for i, r := range b.BatchGet(t.Context(), keys) {
			if i == 0 || i == 8 {
				if !errors.Is(r.Err, client.ErrNotFound) {
					t.Errorf("missing key: %v", r.Err)
				}
				continue
			}
			if v, err := r.Object.Value(); err != nil || string(v) != fmt.Sprint("v", i-1) {
				t.Errorf("item %d: %q %v", i, v, err)
			}
		}
		for _, r := range f.log() {
			if r.via != "batch" || r.member != f.owner(partitionOf("default", "b", r.key), 0) {
				t.Fatalf("%+v", r)
			}
		}
		if r := b.BatchPut(t.Context(), nil); len(r) != 0 {
			t.Errorf("empty batch: %v", r)
		}
	})
}

func TestBatchItemsAreRetriedOneByOne(t *testing.T) {
	for name, trouble := range map[string]func(*cluster){
		"killed": func(f *cluster) { f.members[1].kill() },
		"paused": func(f *cluster) { f.members[1].pause() },
		"refused": func(f *cluster) {
			f.members[1].setHook(func(context.Context, *member, *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
				return refuse(codes.Unavailable)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, 3, func(t *testing.T, f *cluster) {
				c := f.client(t, nil)
				defer c.Close()
				f.connect(t, c)
				trouble(f)
				var items []client.PutItem
				for i := range 100 {
					items = append(items, client.PutItem{Key: fmt.Sprint("x", i)})
				}
				began := time.Now()
				for i, r := range c.Bucket("b").BatchPut(t.Context(), items) {
					if r.Err != nil {
						t.Fatalf("item %d: %v", i, r.Err)
					}
					f.appliedOnce(t, r.Written.RequestID)
				}
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// An item whose batch went unanswered and whose retry is refused is unknown.
func TestBatchKeepsDoubt(t *testing.T) {
	with(t, 2, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		defer c.Close()
		a, b := f.keyAt(0), f.keyAt(0)+"0"
		for i := 0; f.owner(partitionOf("default", "b", b), 0) != 0; i++ {
			b = fmt.Sprint("z", i)
		}
		var asked sync.Map
		f.setHook(func(_ context.Context, _ *member, r *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
			if _, again := asked.LoadOrStore(string(r.GetPut().GetKey().GetKey()), true); again {
				return refuse(codes.Aborted)
			}
			return refuse(codes.DeadlineExceeded)
		})
		for _, r := range c.Bucket("b").BatchPut(t.Context(), []client.PutItem{{Key: a}, {Key: b}}, client.IfAbsent()) {
			if !errors.Is(r.Err, client.ErrUnknown) {
				t.Errorf("answered %v", r.Err)
			}
		}
	})
}
