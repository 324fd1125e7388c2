package main

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/internal/proctest"
)

func everywhereKey(i int) *ringdv1.Key {
	return &ringdv1.Key{BucketType: "flags", Bucket: []byte("b"), Key: fmt.Appendf(nil, "k%d", i)}
}

// waitCopies waits until a member answers every key's value by itself.
func waitCopies(t *testing.T, p *proctest.Process, want map[int]string) {
	t.Helper()
	kv := proctest.KV(t, p)
	proctest.Wait(t, "what "+p.Name+" holds of all keys", func(ctx context.Context) error {
		for i, value := range want {
			r, err := kv.Get(ctx, &ringdv1.GetRequest{Key: everywhereKey(i)})
			if err != nil {
				return err
			}
			if got := valuesOf(r); value == "" && r.Found || value != "" && !slices.Equal(got, []string{value}) {
				return fmt.Errorf("k%d is %q, not %q", i, got, value)
			}
		}
		return nil
	})
}

// TestEveryMemberAnswers: of a bucket type with n=all every member holds every key, one
// that joins later too, and answers when all others are gone.
func TestEveryMemberAnswers(t *testing.T) {
	watchesProcesses(t)
	c := proctest.Start(t, 4)
	joining(t, c, "late")
	admin := proctest.Admin(t, c.Members[0])
	made, err := admin.CreateBucketType(within(t), &ringdv1.CreateBucketTypeRequest{BucketType: &ringdv1.BucketType{Name: "flags", Everywhere: true}})
	if err != nil || !made.BucketType.Everywhere || made.BucketType.N != 3 || made.BucketType.R.GetNumber() != 1 {
		t.Fatalf("%v: %v", made, err)
	}
	want := make(map[int]string)
	put := func(from, to int, value string) {
		t.Helper()
		for i := from; i < to; i++ {
			kv := proctest.KV(t, c.Members[i%len(c.Members)])
			r, err := kv.Get(within(t), &ringdv1.GetRequest{Key: everywhereKey(i), R: quorumOf()})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := kv.Put(within(t), &ringdv1.PutRequest{Key: everywhereKey(i), Value: []byte(value), Context: r.Context}); err != nil {
				t.Fatal(err)
			}
			want[i] = value
		}
	}
	put(0, 60, "first")
	for _, p := range c.Members {
		waitCopies(t, p, want)
	}

	// One that joins is filled, and given a slot of some and a copy of others.
	joining(t, c, "later")
	waitCopies(t, c.Members[5], want)
	stage(t, c.Members[0], change("later", ringdv1.MemberChange_JOIN))
	commit(t, c.Members[0])
	settled(t, c.Members[0], c.Members[1:]...)
	put(30, 90, "second")
	if _, err := proctest.KV(t, c.Members[0]).Delete(within(t), &ringdv1.DeleteRequest{Key: everywhereKey(7)}); err != nil {
		t.Fatal(err)
	}
	want[7] = ""
	for _, p := range c.Members {
		waitCopies(t, p, want)
	}
	agree(t, c.Members[1])

	// Alone it still answers, and says that it can't answer more.
	last := c.Members[5]
	for _, p := range c.Members[:5] {
		p.Kill()
	}
	waitCopies(t, last, want)
	kv := proctest.KV(t, last)
	missing := 0
	for i := range want {
		if _, err := kv.Get(within(t), &ringdv1.GetRequest{Key: everywhereKey(i), R: quorumOf()}); err != nil {
			missing++
		}
		_, err := kv.Put(within(t), &ringdv1.PutRequest{Key: everywhereKey(i), Value: []byte("x"), Options: &ringdv1.WriteOptions{Pw: quorumOf()}})
		if code := status.Code(err); code != codes.Unavailable && code != codes.DeadlineExceeded {
			t.Fatalf("a write at a quorum of owners that are gone: %v", err)
		}
	}
	if missing != len(want) {
		t.Errorf("%d of %d reads at a quorum were answered by one member", len(want)-missing, len(want))
	}
}

func quorumOf() *ringdv1.Count {
	return &ringdv1.Count{Count: &ringdv1.Count_Symbol_{Symbol: ringdv1.Count_QUORUM}}
}
