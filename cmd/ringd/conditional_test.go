package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/internal/proctest"
)

func TestConditionalWrites(t *testing.T) {
	t.Parallel()
	cluster := proctest.Start(t, 3)
	t.Run("if_absent", func(t *testing.T) { ifAbsent(t, cluster) })
	t.Run("if_match", func(t *testing.T) { ifMatch(t, cluster) })
	t.Run("race at one owner", func(t *testing.T) {
		if won := race(t, cluster.Members[:1], "one"); won != 1 {
			t.Errorf("%d writes had if_absent hold", won)
		}
	})
	t.Run("race at all owners", func(t *testing.T) { race(t, cluster.Members, "all") })
	t.Run("delete", func(t *testing.T) { deleteAndCreate(t, cluster) })
	t.Run("delete siblings", func(t *testing.T) { deleteSiblings(t, cluster) })
	t.Run("client", func(t *testing.T) { conditionsOfClient(t, cluster.Client().Bucket("client")) })
}

func mustPut(t *testing.T, kv ringdv1.KVClient, r *ringdv1.PutRequest) *ringdv1.PutResponse {
	t.Helper()
	w, err := kv.Put(within(t), r)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func mustHold(t *testing.T, kv ringdv1.KVClient, k string, want ...string) *ringdv1.GetResponse {
	t.Helper()
	r := get(t, kv, k)
	if values := valuesOf(r); !slices.Equal(values, want) || r.Found != (len(want) > 0) {
		t.Errorf("%s: found %v, %q, want %q", k, r.Found, values, want)
	}
	return r
}

var precondition = refusal{code: codes.FailedPrecondition}

func ifAbsent(t *testing.T, cluster *proctest.Cluster) {
	one, two := proctest.KV(t, cluster.Members[0]), proctest.KV(t, cluster.Members[1])
	first := &ringdv1.PutRequest{Key: key("absent"), Value: []byte("first"), IfAbsent: true, RequestId: bytes.Repeat([]byte{1}, 16)}
	mustPut(t, one, first)
	for _, kv := range []ringdv1.KVClient{one, two} {
		_, err := kv.Put(within(t), &ringdv1.PutRequest{Key: key("absent"), Value: []byte("second"), IfAbsent: true})
		precondition.check(t, err)
		mustPut(t, kv, first) // as a retry, wherever it arrives
	}
	r := mustHold(t, two, "absent", "first")
	if _, err := one.Delete(within(t), &ringdv1.DeleteRequest{Key: key("absent"), Context: r.Context}); err != nil {
		t.Fatal(err)
	}
	mustPut(t, two, &ringdv1.PutRequest{Key: key("absent"), Value: []byte("third"), IfAbsent: true})
	mustHold(t, one, "absent", "third")
}

func ifMatch(t *testing.T, cluster *proctest.Cluster) {
	one, two := proctest.KV(t, cluster.Members[0]), proctest.KV(t, cluster.Members[1])
	old := mustPut(t, one, &ringdv1.PutRequest{Key: key("match"), Value: []byte("a")}).Context
	second := &ringdv1.PutRequest{Key: key("match"), Value: []byte("b"), IfMatch: true, Context: old, RequestId: bytes.Repeat([]byte{2}, 16)}
	current := mustPut(t, two, second).Context
	mustPut(t, one, second) // a retry
	_, err := one.Put(within(t), &ringdv1.PutRequest{Key: key("match"), Value: []byte("c"), IfMatch: true, Context: old})
	precondition.check(t, err)
	_, err = two.Delete(within(t), &ringdv1.DeleteRequest{Key: key("match"), IfMatch: true, Context: old})
	precondition.check(t, err)
	mustHold(t, one, "match", "b")
	// A sibling that the context doesn't cover.
	mustPut(t, one, &ringdv1.PutRequest{Key: key("match"), Value: []byte("beside")})
	_, err = two.Put(within(t), &ringdv1.PutRequest{Key: key("match"), Value: []byte("c"), IfMatch: true, Context: current})
	precondition.check(t, err)
	both := mustHold(t, two, "match", "b", "beside").Context
	if _, err := two.Delete(within(t), &ringdv1.DeleteRequest{Key: key("match"), IfMatch: true, Context: both}); err != nil {
		t.Fatal(err)
	}
	mustHold(t, one, "match")
	_, err = one.Put(within(t), &ringdv1.PutRequest{Key: key("match"), Value: []byte("c"), IfMatch: true, Context: both})
	precondition.check(t, err)
}

// race writes one key by many clients at once, if it is absent, and returns how
// many were told that it was. What those wrote is there, and nothing else.
func race(t *testing.T, at []*proctest.Process, name string) int {
	const writers = 32
	var running sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		kv := proctest.KV(t, at[i%len(at)])
		running.Go(func() {
			_, errs[i] = kv.Put(within(t), &ringdv1.PutRequest{Key: key("race " + name), Value: fmt.Append(nil, i), IfAbsent: true})
		})
	}
	running.Wait()
	var won []string
	for i, err := range errs {
		switch status.Code(err) {
		case codes.OK:
			won = append(won, fmt.Sprint(i))
		case codes.FailedPrecondition, codes.Aborted:
		default:
			t.Errorf("a write that lost: %v", err)
		}
	}
	if len(won) == 0 {
		t.Fatal("no write had if_absent hold")
	}
	slices.Sort(won)
	mustHold(t, proctest.KV(t, at[0]), "race "+name, won...)
	return len(won)
}

func deleteAndCreate(t *testing.T, cluster *proctest.Cluster) {
	one, two := proctest.KV(t, cluster.Members[0]), proctest.KV(t, cluster.Members[1])
	if _, err := one.Delete(within(t), &ringdv1.DeleteRequest{Key: key("never")}); err != nil {
		t.Fatal(err)
	}
	if r := mustHold(t, two, "never"); len(r.Context) > 0 {
		t.Errorf("the deletion of nothing left %v", r)
	}
	mustPut(t, one, &ringdv1.PutRequest{Key: key("del"), Value: []byte("old")})
	read := mustHold(t, two, "del", "old")
	if _, err := two.Delete(within(t), &ringdv1.DeleteRequest{Key: key("del"), Context: read.Context}); err != nil {
		t.Fatal(err)
	}
	for _, m := range cluster.Members {
		if gone := mustHold(t, proctest.KV(t, m), "del"); len(gone.Context) == 0 {
			t.Errorf("%s: a deleted key comes without a context", m.Name)
		}
	}
	gone := mustHold(t, one, "del")
	mustPut(t, one, &ringdv1.PutRequest{Key: key("del"), Value: []byte("new"), Context: gone.Context})
	mustHold(t, two, "del", "new")

	// A write that does not say what it replaces still replaces a deletion: there
	// is no value that could be lost.
	if _, err := one.Delete(within(t), &ringdv1.DeleteRequest{Key: key("del")}); err != nil {
		t.Fatal(err)
	}
	mustHold(t, two, "del")
	mustPut(t, two, &ringdv1.PutRequest{Key: key("del"), Value: []byte("newer")})
	both := mustHold(t, one, "del", "newer")
	mustPut(t, one, &ringdv1.PutRequest{Key: key("del"), Value: []byte("newest"), Context: both.Context})
	mustHold(t, two, "del", "newest")
}

// liveValues are the values of r that are no deletions.
func liveValues(r *ringdv1.GetResponse) []string {
	var out []string
	for _, s := range r.Siblings {
		if !s.Tombstone {
			out = append(out, string(s.Value))
		}
	}
	slices.Sort(out)
	return out
}

func deleteSiblings(t *testing.T, cluster *proctest.Cluster) {
	var kvs []ringdv1.KVClient
	for _, m := range cluster.Members {
		kvs = append(kvs, proctest.KV(t, m))
	}
	for i, kv := range kvs {
		mustPut(t, kv, &ringdv1.PutRequest{Key: key("sib"), Value: fmt.Append(nil, i)})
	}
	read := mustHold(t, kvs[0], "sib", "0", "1", "2")
	mustPut(t, kvs[1], &ringdv1.PutRequest{Key: key("sib"), Value: []byte("unseen")})
	// A deletion takes away what it saw.
	if _, err := kvs[2].Delete(within(t), &ringdv1.DeleteRequest{Key: key("sib"), Context: read.Context}); err != nil {
		t.Fatal(err)
	}
	r := get(t, kvs[0], "sib")
	if live := liveValues(r); !r.Found || !slices.Equal(live, []string{"unseen"}) || len(r.Siblings) > 2 {
		t.Errorf("after a deletion that did not see one sibling: %v", r)
	}
	mustPut(t, kvs[0], &ringdv1.PutRequest{Key: key("sib"), Value: []byte("another")})
	if _, err := kvs[1].Delete(within(t), &ringdv1.DeleteRequest{Key: key("sib")}); err != nil {
		t.Fatal(err)
	}
	for _, kv := range kvs {
		mustHold(t, kv, "sib")
	}
}

func conditionsOfClient(t *testing.T, b *client.Bucket) {
	if _, err := b.Get(within(t), "k"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a key that was never written: %v", err)
	}
	w, err := b.Put(within(t), "k", []byte("a"), client.IfAbsent())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Put(within(t), "k", []byte("a"), client.IfAbsent(), client.WithRequestID(w.RequestID)); err != nil {
		t.Errorf("the same write again: %v", err)
	}
	if _, err := b.Put(within(t), "k", []byte("b"), client.IfAbsent()); !errors.Is(err, client.ErrPrecondition) {
		t.Errorf("if absent, though it isn't: %v", err)
	}
	if _, err := b.Put(within(t), "k", []byte("b"), client.IfMatch(w.Context)); err != nil {
		t.Error(err)
	}
	if _, err := b.Delete(within(t), "k", client.IfMatch(w.Context)); !errors.Is(err, client.ErrPrecondition) {
		t.Errorf("if it matches, though it doesn't: %v", err)
	}
	_, err = b.Put(within(t), "k", []byte("b"), client.IfAbsent(), client.IfMatch(w.Context))
	var e *client.Error
	if !errors.As(err, &e) || e.Code != client.CodeInvalid || e.Field != "if_absent" {
		t.Errorf("both conditions: %v", err)
	}
}
