package main

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/internal/proctest"
)

func TestSiblingsAndContexts(t *testing.T) {
	cluster := proctest.Start(t, 3)
	one, two := proctest.KV(t, cluster.Members[0]), proctest.KV(t, cluster.Members[1])
	put := func(kv ringdv1.KVClient, r *ringdv1.PutRequest) (*ringdv1.PutResponse, error) {
		return kv.Put(within(t), r)
	}
	for kv, value := range map[ringdv1.KVClient]string{one: "x", two: "y"} {
		if _, err := put(kv, &ringdv1.PutRequest{Key: key("k"), Value: []byte(value)}); err != nil {
			t.Fatal(err)
		}
	}
	read := get(t, one, "k")
	if values := valuesOf(read); !slices.Equal(values, []string{"x", "y"}) {
		t.Fatalf("after two writes without a context: %q", values)
	}
	if _, err := put(two, &ringdv1.PutRequest{Key: key("other"), Value: []byte("z"), Context: read.Context}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("the context of another key: %v", err)
	}
	read.Context[len(read.Context)-1] ^= 1
	if _, err := put(two, &ringdv1.PutRequest{Key: key("k"), Value: []byte("z"), Context: read.Context}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a forged context: %v", err)
	}
	read.Context[len(read.Context)-1] ^= 1
	if _, err := put(two, &ringdv1.PutRequest{Key: key("k"), Value: []byte("z"), Context: read.Context}); err != nil {
		t.Fatal(err)
	}
	if values := valuesOf(get(t, one, "k")); !slices.Equal(values, []string{"z"}) {
		t.Fatalf("after a write with the context of both: %q", values)
	}
}

// TestChainedPutsKeepWhatTheyDidNotSee: the context of a put covers the put, and no
// sibling that its client has not seen.
func TestChainedPutsKeepWhatTheyDidNotSee(t *testing.T) {
	cluster := proctest.Start(t, 3)
	kvs := []ringdv1.KVClient{proctest.KV(t, cluster.Members[0]), proctest.KV(t, cluster.Members[1]), proctest.KV(t, cluster.Members[2])}
	put := func(kv ringdv1.KVClient, value string, ctx []byte) []byte {
		t.Helper()
		all := &ringdv1.WriteOptions{W: &ringdv1.Count{Count: &ringdv1.Count_Symbol_{Symbol: ringdv1.Count_ALL}}}
		r, err := kv.Put(within(t), &ringdv1.PutRequest{Key: key("k"), Value: []byte(value), Context: ctx, Options: all})
		if err != nil {
			t.Fatal(err)
		}
		return r.Context
	}
	mine := put(kvs[0], "mine 0", nil)
	put(kvs[1], "other", nil)
	for i := range 3 {
		mine = put(kvs[i], fmt.Sprintf("mine %d", i+1), mine)
	}
	want := []string{"mine 3", "other"}
	for _, kv := range kvs {
		if values := valuesOf(get(t, kv, "k")); !slices.Equal(values, want) {
			t.Errorf("a chain of puts beside another's left %q, want %q", values, want)
		}
	}
	read := get(t, kvs[1], "k")
	put(kvs[2], "both", read.Context)
	if values := valuesOf(get(t, kvs[0], "k")); !slices.Equal(values, []string{"both"}) {
		t.Errorf("after a write with the context of both: %q", values)
	}
}

func get(t *testing.T, kv ringdv1.KVClient, k string) *ringdv1.GetResponse {
	t.Helper()
	r, err := kv.Get(within(t), &ringdv1.GetRequest{Key: key(k)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func valuesOf(r *ringdv1.GetResponse) []string {
	var out []string
	for _, s := range r.Siblings {
		out = append(out, string(s.Value))
	}
	slices.Sort(out)
	return out
}
