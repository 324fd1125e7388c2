package main

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/internal/proctest"
)

func TestExpiry(t *testing.T) {
	t.Parallel()
	cluster := proctest.Start(t, 3)
	for _, bt := range []*ringdv1.BucketType{
		{Name: "cache", DefaultTtl: durationpb.New(time.Hour)},
		// With one owner, most puts are forwarded.
		{Name: "single", N: 1, DefaultTtl: durationpb.New(time.Hour)},
	} {
		if _, err := proctest.Admin(t, cluster.Members[0]).CreateBucketType(within(t), &ringdv1.CreateBucketTypeRequest{BucketType: bt}); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("when", func(t *testing.T) { expiresWhen(t, cluster) })
	t.Run("gone everywhere", func(t *testing.T) { goneEverywhere(t, cluster) })
	t.Run("beside others", func(t *testing.T) { goneBesideOthers(t, cluster) })
	t.Run("in time", func(t *testing.T) { goneInTime(t, cluster) })
	t.Run("default changes", func(t *testing.T) { defaultChanges(t, cluster) })
}

func unixMilli(d time.Duration) *int64 {
	at := time.Now().Add(d).UnixMilli()
	return &at
}

// expiresWhen looks which of the times counts that a put and its bucket type name.
func expiresWhen(t *testing.T, cluster *proctest.Cluster) {
	never, fixed := int64(0), unixMilli(90*time.Minute)
	for name, c := range map[string]struct {
		bucketType string
		put        *ringdv1.PutRequest
		want       time.Duration // from now; 0 is never
	}{
		"nothing":               {"default", &ringdv1.PutRequest{}, 0},
		"ttl":                   {"default", &ringdv1.PutRequest{Ttl: durationpb.New(2 * time.Hour)}, 2 * time.Hour},
		"time":                  {"default", &ringdv1.PutRequest{ExpiryUnixMs: fixed}, 90 * time.Minute},
		"default":               {"cache", &ringdv1.PutRequest{}, time.Hour},
		"ttl 0":                 {"cache", &ringdv1.PutRequest{Ttl: durationpb.New(0)}, time.Hour},
		"ttl, not the default":  {"cache", &ringdv1.PutRequest{Ttl: durationpb.New(2 * time.Hour)}, 2 * time.Hour},
		"time, not the default": {"cache", &ringdv1.PutRequest{ExpiryUnixMs: fixed}, 90 * time.Minute},
		"forwarded default":     {"single", &ringdv1.PutRequest{}, time.Hour},
		"forwarded ttl":         {"single", &ringdv1.PutRequest{Ttl: durationpb.New(2 * time.Hour)}, 2 * time.Hour},
		"forwarded time":        {"single", &ringdv1.PutRequest{ExpiryUnixMs: fixed}, 90 * time.Minute},
		"never":                 {"cache", &ringdv1.PutRequest{ExpiryUnixMs: &never}, 0},
	} {
		for i, m := range cluster.Members {
			c.put.Key = keyIn(c.bucketType, "b", fmt.Sprint(name, i))
			before := time.Now()
			mustPut(t, proctest.KV(t, m), c.put)
			after := time.Now()
			r, err := proctest.KV(t, cluster.Members[(i+1)%3]).Get(within(t), &ringdv1.GetRequest{Key: c.put.Key})
			if err != nil || len(r.Siblings) != 1 {
				t.Fatalf("%s by %s: %v, %v", name, m.Name, r, err)
			}
			got := r.Siblings[0].ExpiryUnixMs
			switch {
			case c.put.GetExpiryUnixMs() != 0:
				if got != *fixed {
					t.Errorf("%s by %s: it expires at %d, not at %d as was said", name, m.Name, got, *fixed)
				}
			case c.want == 0:
				if got != 0 {
					t.Errorf("%s by %s: it expires at %d", name, m.Name, got)
				}
			case got < before.Add(c.want).UnixMilli() || got > after.Add(c.want).UnixMilli()+1:
				t.Errorf("%s by %s: it expires %v after it was put, want %v", name, m.Name, time.UnixMilli(got).Sub(before), c.want)
			}
		}
	}
}

// goneEverywhere: what has expired is shown by no member and in no way, and yet
// it is what the next write replaces.
func goneEverywhere(t *testing.T, cluster *proctest.Cluster) {
	k := keyIn("", "expired", "k")
	w := mustPut(t, proctest.KV(t, cluster.Members[0]), &ringdv1.PutRequest{
		Key: k, Value: []byte("v"), ExpiryUnixMs: unixMilli(-time.Second), Return: ringdv1.PutRequest_RETURN_BODY,
		Options: &ringdv1.WriteOptions{W: symbol(ringdv1.Count_ALL)},
	})
	if len(w.Siblings) != 0 {
		t.Errorf("the put itself shows %v", w.Siblings)
	}
	var sealed []byte
	for _, m := range cluster.Members {
		kv := proctest.KV(t, m)
		r, err := kv.Get(within(t), &ringdv1.GetRequest{Key: k})
		if err != nil || r.Found || len(r.Siblings) != 0 || len(r.Context) == 0 {
			t.Errorf("%s: get: %v, %v", m.Name, r, err)
		}
		sealed = r.Context
		batch, err := kv.BatchGet(within(t), &ringdv1.BatchGetRequest{Requests: []*ringdv1.GetRequest{{Key: k}, {Key: k, Head: true}}})
		if err != nil || batch.Results[0].Response.Found || batch.Results[1].Response.Found {
			t.Errorf("%s: batch: %v, %v", m.Name, batch, err)
		}
		for _, r := range []*ringdv1.Count{nil, number(1), symbol(ringdv1.Count_ALL)} {
			if keys, _ := listKeys(t, kv, &ringdv1.ListKeysRequest{Bucket: k.Bucket, R: r}); len(keys) != 0 {
				t.Errorf("%s: r=%v lists %q", m.Name, r, keys)
			}
		}
		if b := bucketsOf(t, kv); slices.Contains(b, "expired") {
			t.Errorf("%s: buckets: %q", m.Name, b)
		}
	}
	created := keyIn("", "expired", "created")
	mustPut(t, proctest.KV(t, cluster.Members[0]), &ringdv1.PutRequest{Key: created, Value: []byte("v"), ExpiryUnixMs: unixMilli(-time.Second)})
	mustPut(t, proctest.KV(t, cluster.Members[2]), &ringdv1.PutRequest{Key: created, Value: []byte("v"), IfAbsent: true})
	in, err := proctest.Admin(t, cluster.Members[1]).Inspect(within(t), &ringdv1.InspectRequest{Key: k})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range in.Copies {
		// On a slow machine the first sweep may have come to it.
		if len(c.Siblings) != 1 || (c.Siblings[0].ExpiryUnixMs == 0 && !c.Siblings[0].Tombstone) {
			t.Errorf("%s has %v: want the value with its expiry", c.Member.GetName(), c)
		}
	}
	mustPut(t, proctest.KV(t, cluster.Members[2]), &ringdv1.PutRequest{Key: k, Value: []byte("new"), Context: sealed})
	for _, m := range cluster.Members {
		if r, err := proctest.KV(t, m).Get(within(t), &ringdv1.GetRequest{Key: k}); err != nil || !slices.Equal(valuesOf(r), []string{"new"}) {
			t.Errorf("%s: after the next write: %v, %v", m.Name, r, err)
		}
	}
}

// bucketsOf lists the buckets of the default type.
func bucketsOf(t *testing.T, kv ringdv1.KVClient) []string {
	t.Helper()
	stream, err := kv.ListBuckets(within(t), &ringdv1.ListBucketsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for {
		page, err := stream.Recv()
		if err != nil {
			return all
		}
		for _, b := range page.Buckets {
			all = append(all, string(b))
		}
	}
}

// goneBesideOthers: of siblings, those that have expired are not shown, and the
// others are.
func goneBesideOthers(t *testing.T, cluster *proctest.Cluster) {
	k := key("siblings")
	for i, put := range []*ringdv1.PutRequest{
		{Value: []byte("gone"), ExpiryUnixMs: unixMilli(-time.Hour)},
		{Value: []byte("stays")},
		{Value: []byte("later"), Ttl: durationpb.New(time.Hour)},
	} {
		put.Key = k
		mustPut(t, proctest.KV(t, cluster.Members[i]), put)
	}
	for _, m := range cluster.Members {
		r := get(t, proctest.KV(t, m), "siblings")
		values := valuesOf(r)
		slices.Sort(values)
		if !slices.Equal(values, []string{"later", "stays"}) {
			t.Errorf("%s shows %q", m.Name, values)
		}
	}
}

// goneInTime: a value is there until its time has come, and then gone.
func goneInTime(t *testing.T, cluster *proctest.Cluster) {
	const ttl = 1500 * time.Millisecond
	began := time.Now()
	mustPut(t, proctest.KV(t, cluster.Members[0]), &ringdv1.PutRequest{Key: key("in time"), Value: []byte("v"), Ttl: durationpb.New(ttl)})
	for _, m := range cluster.Members {
		proctest.Wait(t, m.Name+" not to show it any more", func(ctx context.Context) error {
			r, err := proctest.KV(t, m).Get(ctx, &ringdv1.GetRequest{Key: key("in time")})
			if err != nil {
				return err
			}
			if past := time.Since(began); !r.Found && past < ttl {
				t.Fatalf("%s: gone after %v", m.Name, past)
			}
			if r.Found {
				return fmt.Errorf("it is there")
			}
			return nil
		})
	}
}

// defaultChanges: a type's default counts for the puts that come after it.
func defaultChanges(t *testing.T, cluster *proctest.Cluster) {
	admin := proctest.Admin(t, cluster.Members[2])
	for _, c := range []struct {
		ttl  *durationpb.Duration
		want time.Duration
	}{
		{durationpb.New(time.Minute), time.Minute},
		{nil, time.Minute},
		{durationpb.New(0), 0},
	} {
		yes := true
		u, err := admin.UpdateBucketType(within(t), &ringdv1.UpdateBucketTypeRequest{
			BucketType: &ringdv1.BucketType{Name: "cache", DefaultTtl: c.ttl, RepairBlocking: &yes},
		})
		if err != nil || u.BucketType.DefaultTtl.AsDuration() != c.want {
			t.Fatalf("%v: %v, %v", c.ttl, u, err)
		}
	}
	for _, m := range cluster.Members {
		proctest.Wait(t, m.Name+" to know of the change", func(ctx context.Context) error {
			k := keyIn("cache", "b", "changed")
			if _, err := proctest.KV(t, m).Put(ctx, &ringdv1.PutRequest{Key: k}); err != nil {
				return err
			}
			r, err := proctest.KV(t, m).Get(ctx, &ringdv1.GetRequest{Key: k})
			if err != nil {
				return err
			}
			if s := r.Siblings[len(r.Siblings)-1]; s.ExpiryUnixMs != 0 {
				return fmt.Errorf("it expires at %d", s.ExpiryUnixMs)
			}
			return nil
		})
	}
}
