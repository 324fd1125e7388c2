package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
)

func fill(t *testing.T, b *client.Bucket, n int) (keys []string) {
	t.Helper()
	for i := range n {
		k := fmt.Sprintf("k%02d", i)
		keys = append(keys, k)
		if _, err := b.Put(t.Context(), k, []byte(k)); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

func collect(t *testing.T, b *client.Bucket, opts ...client.ListOption) (keys []string) {
	t.Helper()
	for k, err := range b.Keys(t.Context(), opts...) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	return keys
}

func TestListings(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		defer c.Close()
		keys := fill(t, c.Bucket("b"), 10)
		fill(t, c.Bucket("a"), 1)
		fill(t, c.BucketType("t").Bucket("other"), 1)
		if got := collect(t, c.Bucket("b")); !slices.Equal(got, keys) {
			t.Errorf("keys %v", got)
		}
		if got := collect(t, c.Bucket("none")); len(got) != 0 {
			t.Errorf("keys of an empty bucket: %v", got)
		}
		for range c.Bucket("b").Keys(t.Context()) {
			break
		}
		var cursor client.Cursor
		var first []string
		for p, err := range c.Bucket("b").KeyPages(t.Context(), client.R(2)) {
			if err != nil {
				t.Fatal(err)
			}
			first, cursor = p.Names, p.Cursor
			break
		}
		if got := collect(t, c.Bucket("b"), client.After(cursor)); !slices.Equal(append(first, got...), keys) {
			t.Errorf("first page %v, then %v", first, got)
		}
		var buckets []string
		for b, err := range c.Buckets(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			buckets = append(buckets, b)
		}
		if !slices.Equal(buckets, []string{"a", "b"}) {
			t.Errorf("buckets %v", buckets)
		}
	})
}

func TestListingGoesOnElsewhere(t *testing.T) {
	for name, trouble := range map[string]func(m *member) *ringdv1.PipelineResponse{
		"killed":  func(m *member) *ringdv1.PipelineResponse { go m.kill(); return nil },
		"refused": func(*member) *ringdv1.PipelineResponse { return refuse(codes.Unavailable) },
		"paused":  func(m *member) *ringdv1.PipelineResponse { m.pause(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			with(t, 3, func(t *testing.T, f *cluster) {
				c := f.client(t, nil)
				defer c.Close()
				keys := fill(t, c.Bucket("b"), 20)
				var pages atomic.Int32
				f.setHook(func(_ context.Context, m *member, r *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
					if r == nil && pages.Add(1) == 3 {
						return trouble(m)
					}
					return nil
				})
				if got := collect(t, c.Bucket("b")); !slices.Equal(got, keys) {
					t.Errorf("keys %v", got)
				}
			})
		})
	}
}

func TestListingFails(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		defer c.Close()
		fill(t, c.Bucket("b"), 1)
		for code, want := range map[codes.Code]error{codes.Unavailable: client.ErrUnavailable, codes.InvalidArgument: client.ErrInvalid} {
			f.setHook(func(context.Context, *member, *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
				return refuse(code)
			})
			var last error
			for _, err := range c.Bucket("b").Keys(t.Context()) {
				last = err
			}
			var e *client.Error
			if !errors.Is(last, want) || !errors.As(last, &e) || e.Op != "keys" || e.Bucket != "b" {
				t.Errorf("ended with %v", last)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, m := range f.members {
			m.setHook(nil)
			m.pause()
		}
		for _, err := range c.Bucket("b").Keys(ctx) {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("ended with %v", err)
			}
		}
	})
}
