package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/internal/proctest"
)

// listKeys lists to the end, and returns all keys in the order named and the
// first cursor.
func listKeys(t *testing.T, kv ringdv1.KVClient, r *ringdv1.ListKeysRequest) ([]string, []byte) {
	t.Helper()
	stream, err := kv.ListKeys(within(t), r)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	var cursor []byte
	for {
		page, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return keys, cursor
		}
		if err != nil {
			t.Fatal(err)
		}
		if cursor == nil {
			cursor = page.Cursor
		}
		for _, k := range page.Keys {
			keys = append(keys, string(k))
		}
	}
}

// TestListing lists 3,000 keys of several buckets, some of them deleted.
func TestListing(t *testing.T) {
	t.Parallel()
	cluster := proctest.Start(t, 3)
	c := cluster.Client()
	buckets := []string{"b", "b\x00", "\x00\xff", "\xff", "many"}
	keys := make(map[string][]string)
	for i := range 3000 {
		bucket := buckets[min(i%12, len(buckets)-1)]
		key := fmt.Sprintf("\xff%d\x00", i)
		if i%2 == 0 {
			key = fmt.Sprintf("\x00%d", i)
		}
		keys[bucket] = append(keys[bucket], key)
	}
	for bucket, names := range keys {
		var items []client.PutItem
		for _, k := range names {
			items = append(items, client.PutItem{Key: k, Value: []byte(k)})
		}
		for batch := range slices.Chunk(items, 500) {
			for i, r := range c.Bucket(bucket).BatchPut(within(t), batch) {
				if r.Err != nil {
					t.Fatalf("%q of %q: %v", batch[i].Key, bucket, r.Err)
				}
			}
		}
		for i, k := range names[:50] {
			if i%5 != 0 {
				continue
			}
			if _, err := c.Bucket(bucket).Delete(within(t), k); err != nil {
				t.Fatal(err)
			}
			keys[bucket] = slices.DeleteFunc(slices.Clone(keys[bucket]), func(o string) bool { return o == k })
		}
	}
	gone := c.Bucket("gone")
	if _, err := gone.Put(within(t), "k", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Delete(within(t), "k"); err != nil {
		t.Fatal(err)
	}

	for _, m := range cluster.Members {
		kv := proctest.KV(t, m)
		for _, bucket := range buckets {
			listed, _ := listKeys(t, kv, &ringdv1.ListKeysRequest{Bucket: []byte(bucket)})
			sameNames(t, fmt.Sprintf("%s: bucket %q", m.Name, bucket), listed, keys[bucket])
		}
		if listed, _ := listKeys(t, kv, &ringdv1.ListKeysRequest{Bucket: []byte("never written")}); len(listed) > 0 {
			t.Errorf("%s: a bucket that was never written has %q", m.Name, listed)
		}
	}
	var named []string
	for b, err := range c.Buckets(within(t)) {
		if err != nil {
			t.Fatal(err)
		}
		named = append(named, b)
	}
	sameNames(t, "buckets", named, buckets)
	resume(t, cluster, keys["many"])
}

// resume reads a listing a page at a time, each from another member, behind the
// cursor of the one before.
func resume(t *testing.T, cluster *proctest.Cluster, want []string) {
	t.Helper()
	var listed []string
	var cursor []byte
	for pages := 0; ; pages++ {
		kv := proctest.KV(t, cluster.Members[pages%len(cluster.Members)])
		page := nextPage(t, kv, &ringdv1.ListKeysRequest{Bucket: []byte("many"), Cursor: cursor})
		if page == nil {
			if pages < 10 {
				t.Errorf("a listing of %d pages: nothing was resumed", pages)
			}
			break
		}
		for _, k := range page.Keys {
			listed = append(listed, string(k))
		}
		cursor = page.Cursor
	}
	sameNames(t, "resumed behind every page", listed, want)
}

func nextPage(t *testing.T, kv ringdv1.KVClient, r *ringdv1.ListKeysRequest) *ringdv1.ListKeysResponse {
	t.Helper()
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	stream, err := kv.ListKeys(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	page, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func sameNames(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Clone(got), slices.Clone(want)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d names, want %d", what, len(got), len(want))
		for _, g := range got {
			if _, ok := slices.BinarySearch(want, g); !ok {
				t.Errorf("%s: %q should not be listed", what, g)
			}
		}
		for i := range got[1:] {
			if got[i] == got[i+1] {
				t.Errorf("%s: %q is listed twice", what, got[i])
			}
		}
	}
}
