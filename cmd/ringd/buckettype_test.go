package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/internal/proctest"
)

func TestBucketTypes(t *testing.T) {
	t.Parallel()
	cluster := proctest.Start(t, 3)
	admin := proctest.Admin(t, cluster.Members[1])
	yes := true
	for _, bt := range []*ringdv1.BucketType{
		{Name: "single", N: 1},
		{Name: "double", N: 2, R: number(1), Timeout: durationpb.New(3 * time.Second)},
		{Name: "newest", LastWriteWins: &yes},
	} {
		if _, err := admin.CreateBucketType(within(t), &ringdv1.CreateBucketTypeRequest{BucketType: bt}); err != nil {
			t.Fatalf("%s: %v", bt.Name, err)
		}
	}
	t.Run("admin", func(t *testing.T) { describeTypes(t, cluster, admin) })
	t.Run("refused", func(t *testing.T) { badTypes(t, admin) })
	t.Run("few replicas", func(t *testing.T) {
		readEverywhere(t, cluster, "single", 1)
		readEverywhere(t, cluster, "double", 2)
	})
	t.Run("last write wins", func(t *testing.T) { newestOnly(t, cluster) })
}

func describeTypes(t *testing.T, cluster *proctest.Cluster, admin ringdv1.AdminClient) {
	list, err := admin.ListBucketTypes(within(t), &ringdv1.ListBucketTypesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, bt := range list.BucketTypes {
		names = append(names, bt.Name)
	}
	if got := strings.Join(names, " "); got != "default double newest single" {
		t.Errorf("listed: %s", got)
	}
	updated, err := admin.UpdateBucketType(within(t), &ringdv1.UpdateBucketTypeRequest{
		BucketType: &ringdv1.BucketType{Name: "double", W: symbol(ringdv1.Count_ALL)},
	})
	if err != nil || updated.BucketType.GetW().GetSymbol() != ringdv1.Count_ALL {
		t.Fatalf("%v, %v", updated, err)
	}
	for _, m := range cluster.Members {
		proctest.Wait(t, m.Name+" to know of the change", func(ctx context.Context) error {
			d, err := proctest.Admin(t, m).DescribeBucketType(ctx, &ringdv1.DescribeBucketTypeRequest{Name: "double"})
			if err != nil {
				return err
			}
			bt := d.BucketType
			if bt.N != 2 || bt.R.GetNumber() != 1 || bt.W.GetSymbol() != ringdv1.Count_ALL || bt.Timeout.AsDuration() != 3*time.Second {
				return fmt.Errorf("%v", bt)
			}
			return nil
		})
	}
}

func badTypes(t *testing.T, admin ringdv1.AdminClient) {
	unknown := refusal{code: codes.NotFound, says: []string{`"none"`}}
	_, err := admin.DescribeBucketType(within(t), &ringdv1.DescribeBucketTypeRequest{Name: "none"})
	unknown.check(t, err)
	_, err = admin.UpdateBucketType(within(t), &ringdv1.UpdateBucketTypeRequest{BucketType: &ringdv1.BucketType{Name: "none"}})
	unknown.check(t, err)
	for name, c := range map[string]struct {
		update *ringdv1.BucketType
		want   refusal
	}{
		"n":                 {&ringdv1.BucketType{Name: "double", N: 3}, invalid("n", 2, "fixed")},
		"w":                 {&ringdv1.BucketType{Name: "double", W: number(3)}, invalid("w", "n=2")},
		"r":                 {&ringdv1.BucketType{Name: "double", R: number(0)}, invalid("r", "n=2")},
		"timeout":           {&ringdv1.BucketType{Name: "double", Timeout: durationpb.New(-1)}, invalid("timeout", "above 0")},
		"default_ttl":       {&ringdv1.BucketType{Name: "double", DefaultTtl: durationpb.New(-1)}, invalid("default_ttl", "0 to")},
		"nothing":           {nil, refusal{code: codes.NotFound}},
		"default's fixed n": {&ringdv1.BucketType{Name: "default", N: 1}, invalid("n", 3, "fixed")},
	} {
		t.Run("update "+name, func(t *testing.T) {
			_, err := admin.UpdateBucketType(within(t), &ringdv1.UpdateBucketTypeRequest{BucketType: c.update})
			c.want.check(t, err)
		})
	}
	for name, c := range map[string]struct {
		create *ringdv1.BucketType
		want   refusal
	}{
		"n above replicas": {&ringdv1.BucketType{Name: "many", N: 4}, invalid("n", "1 to 3")},
		"n of 2^32-1":      {&ringdv1.BucketType{Name: "many", N: 1<<32 - 1}, invalid("n", "1 to 3")},
		"w above n":        {&ringdv1.BucketType{Name: "many", N: 2, W: number(3)}, invalid("w", "n=2")},
		"no name":          {&ringdv1.BucketType{}, invalid("name", 64)},
		"long name":        {&ringdv1.BucketType{Name: strings.Repeat("t", 65)}, invalid("name", 64)},
		"odd name":         {&ringdv1.BucketType{Name: "a/b"}, invalid("name")},
		"nothing":          {nil, invalid("bucket_type")},
		"there already":    {&ringdv1.BucketType{Name: "double", N: 2}, precondition},
	} {
		t.Run("create "+name, func(t *testing.T) {
			_, err := admin.CreateBucketType(within(t), &ringdv1.CreateBucketTypeRequest{BucketType: c.create})
			c.want.check(t, err)
		})
	}
	list, err := admin.ListBucketTypes(within(t), &ringdv1.ListBucketTypesRequest{})
	if err != nil || len(list.BucketTypes) != 4 {
		t.Errorf("after what was refused: %v, %v", list, err)
	}
}

// readEverywhere writes and reads keys of a type through every member, and looks
// which of them hold a copy.
func readEverywhere(t *testing.T, cluster *proctest.Cluster, typeName string, n int) {
	for i := range 24 {
		k := keyIn(typeName, "b", fmt.Sprint(i))
		value := fmt.Sprintf("%s %d", typeName, i)
		mustPut(t, proctest.KV(t, cluster.Members[i%3]), &ringdv1.PutRequest{Key: k, Value: []byte(value)})
		for _, m := range cluster.Members {
			r, err := proctest.KV(t, m).Get(within(t), &ringdv1.GetRequest{Key: k})
			if err != nil {
				t.Fatal(err)
			}
			if values := valuesOf(r); len(values) != 1 || values[0] != value {
				t.Errorf("%s: %q of %s: %q", m.Name, value, typeName, values)
			}
		}
		inspected, err := proctest.Admin(t, cluster.Members[i%3]).Inspect(within(t), &ringdv1.InspectRequest{Key: k})
		if err != nil {
			t.Fatal(err)
		}
		if len(inspected.Copies) != n {
			t.Errorf("%s has %d owners, want %d", value, len(inspected.Copies), n)
		}
	}
	listed, _ := listKeys(t, proctest.KV(t, cluster.Members[0]), &ringdv1.ListKeysRequest{BucketType: typeName, Bucket: []byte("b")})
	if len(listed) != 24 {
		t.Errorf("%d keys of %s are listed, want 24", len(listed), typeName)
	}
}

// newestOnly: blind writes at once leave one value to see, the same everywhere.
func newestOnly(t *testing.T, cluster *proctest.Cluster) {
	k := keyIn("newest", "b", "k")
	var running sync.WaitGroup
	for i := range 12 {
		kv := proctest.KV(t, cluster.Members[i%3])
		running.Go(func() {
			all := &ringdv1.WriteOptions{W: symbol(ringdv1.Count_ALL)}
			if _, err := kv.Put(within(t), &ringdv1.PutRequest{Key: k, Value: fmt.Append(nil, i), Options: all}); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	seen := make(map[string]bool)
	for _, m := range cluster.Members {
		r, err := proctest.KV(t, m).Get(within(t), &ringdv1.GetRequest{Key: k})
		if err != nil {
			t.Fatal(err)
		}
		values := valuesOf(r)
		if len(values) != 1 {
			t.Errorf("%s shows %q", m.Name, values)
		}
		for _, v := range values {
			seen[v] = true
		}
	}
	if len(seen) != 1 {
		t.Errorf("members differ: %v", seen)
	}
	mustPut(t, proctest.KV(t, cluster.Members[2]), &ringdv1.PutRequest{Key: k, Value: []byte("last")})
	r, err := proctest.KV(t, cluster.Members[0]).Get(within(t), &ringdv1.GetRequest{Key: k})
	if values := valuesOf(r); err != nil || len(values) != 1 || values[0] != "last" {
		t.Errorf("after the last write: %q, %v", values, err)
	}
}
