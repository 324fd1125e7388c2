package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// with runs body in a bubble, where the clock is the bubble's, on n members.
func with(t *testing.T, n int, body func(t *testing.T, f *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newCluster(n, false)
		defer f.close()
		body(t, f)
	})
}

func TestRequestsAndOptions(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		defer c.Close()
		ctx := t.Context()
		b := c.BucketType("t").Bucket("b\xff")
		var seen []*ringdv1.PipelineRequest
		f.setHook(func(_ context.Context, _ *member, r *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
			seen = append(seen, r)
			return nil
		})
		w, err := b.Put(ctx, "k\x00", []byte("v"), client.W(2), client.DW(client.All), client.PW(client.None),
			client.Sloppy(false), client.ContentType("text/plain"), client.Metadata(map[string]string{"a": "b"}), client.ReturnBody())
		if err != nil || len(w.Siblings) != 1 || string(w.Siblings[0].Value) != "v" || w.RequestID == (client.RequestID{}) {
			t.Fatalf("put: %+v %v", w, err)
		}
		p := seen[0].GetPut()
		if p.Key.BucketType != "t" || string(p.Key.Bucket) != "b\xff" || string(p.Key.Key) != "k\x00" ||
			p.Options.W.GetNumber() != 2 || p.Options.Dw.GetSymbol() != ringdv1.Count_ALL || p.Options.Pw.GetSymbol() != ringdv1.Count_NONE ||
			p.Options.Sloppy == nil || *p.Options.Sloppy || p.ContentType != "text/plain" || p.Metadata["a"] != "b" || len(p.RequestId) != 16 {
			t.Errorf("put on the wire: %v", p)
		}
		if d := p.Options.Timeout.AsDuration(); d <= 4*time.Second || d >= 5*time.Second {
			t.Errorf("timeout on the wire is %v: want a little less than the default", d)
		}
		o, err := b.Get(ctx, "k\x00", client.R(1), client.PR(1), client.RepairBlocking(true), client.Head())
		if err != nil || o.Siblings[0].Value != nil || o.Siblings[0].Size != 1 || o.Siblings[0].ContentType != "text/plain" {
			t.Fatalf("get: %+v %v", o, err)
		}
		if g := seen[1].GetGet(); g.R.GetNumber() != 1 || g.Pr.GetNumber() != 1 || !g.GetRepairBlocking() || !g.Head || g.Sloppy != nil {
			t.Errorf("get on the wire: %v", g)
		}
		if _, err := b.Delete(ctx, "k\x00", client.Replaces(o.Context)); err != nil {
			t.Fatal(err)
		}
		if d := seen[2].GetDelete(); string(d.Context) != string(o.Context) || d.IfMatch {
			t.Errorf("delete on the wire: %v", d)
		}
		o, err = b.Get(ctx, "k\x00")
		if !errors.Is(err, client.ErrNotFound) || len(o.Context) == 0 || len(o.Siblings) != 0 {
			t.Errorf("get of a deleted key: %+v %v", o, err)
		}
		if _, err := o.Value(); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("value of a deleted key: %v", err)
		}
		if _, err := b.Put(ctx, "c", []byte("1"), client.IfAbsent()); err != nil {
			t.Fatal(err)
		}
		before := len(seen)
		if _, err := b.Put(ctx, "c", []byte("1"), client.IfAbsent()); !errors.Is(err, client.ErrPrecondition) {
			t.Errorf("if-absent on a key with a value: %v", err)
		}
		var e *client.Error
		if _, err := b.Put(ctx, "", nil); !errors.Is(err, client.ErrInvalid) || !errors.As(err, &e) || e.Field != "key" || e.Op != "put" {
			t.Errorf("empty key: %v", err)
		}
		if len(seen) != before+2 {
			t.Errorf("%d attempts for two requests whose refusal is final", len(seen)-before)
		}
	})
}

func TestExpiryOptions(t *testing.T) {
	with(t, 1, func(t *testing.T, f *cluster) {
		cl := f.client(t, nil)
		defer cl.Close()
		var put *ringdv1.PutRequest
		var shown int64
		f.setHook(func(_ context.Context, _ *member, r *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
			if r.GetGet() != nil {
				get := &ringdv1.GetResponse{Found: true, Siblings: []*ringdv1.Sibling{{ExpiryUnixMs: shown}}}
				return &ringdv1.PipelineResponse{Response: &ringdv1.PipelineResponse_Get{Get: get}}
			}
			put = r.GetPut()
			return nil
		})
		at := time.UnixMilli(1_900_000_000_123)
		for name, c := range map[string]struct {
			options []client.PutOption
			ttl     time.Duration
			expiry  int64 // -1 is none
		}{
			"none":         {nil, 0, -1},
			"ttl":          {[]client.PutOption{client.WithTTL(1500 * time.Millisecond)}, 1500 * time.Millisecond, -1},
			"time":         {[]client.PutOption{client.WithExpiry(at.Add(time.Microsecond))}, 0, at.UnixMilli()},
			"never":        {[]client.PutOption{client.WithExpiry(time.Time{})}, 0, 0},
			"time is last": {[]client.PutOption{client.WithTTL(time.Hour), client.WithExpiry(at)}, 0, at.UnixMilli()},
			"ttl is last":  {[]client.PutOption{client.WithExpiry(at), client.WithTTL(time.Hour)}, time.Hour, -1},
		} {
			_, err := cl.Bucket("b").Put(t.Context(), "k", nil, c.options...)
			if err != nil || put.Ttl.AsDuration() != c.ttl || (put.ExpiryUnixMs == nil) != (c.expiry < 0) || (c.expiry >= 0 && put.GetExpiryUnixMs() != c.expiry) {
				t.Errorf("%s: %v, error %v", name, put, err)
			}
		}
		for ms, want := range map[int64]time.Time{0: {}, at.UnixMilli(): at} {
			shown = ms
			if o, err := cl.Bucket("b").Get(t.Context(), "k"); err != nil || !o.Siblings[0].Expiry.Equal(want) {
				t.Errorf("of %d: %v, error %v", ms, o, err)
			}
		}
	})
}

func TestRoutesToTheFirstOwner(t *testing.T) {
	with(t, 5, func(t *testing.T, f *cluster) {
		c := f.client(t, nil, f.members[3].address)
		defer c.Close()
		for i := range 50 {
			if _, err := c.Bucket("b").Put(t.Context(), fmt.Sprint(i), nil); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range f.log() {
			if want := f.owner(partitionOf("default", "b", r.key), 0); r.member != want || r.via != "pipeline" {
				t.Errorf("%q went to member %d by %s, its first owner is %d", r.key, r.member, r.via, want)
			}
		}
	})
}

func TestAnotherMemberWhenOneIsGone(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil, f.members[0].address)
		defer c.Close()
		f.members[0].kill() // the only one that the caller named
		for i := range 50 {
			if _, err := c.Bucket("b").Put(t.Context(), fmt.Sprint(i), nil); err != nil {
				t.Fatal(err)
			}
		}
		f.members[0].start(false)
		// In use again once a probe has found it, in less than this.
		<-time.After(20 * time.Second) // of the bubble's clock
		for i := range 50 {
			if _, err := c.Bucket("b").Put(t.Context(), fmt.Sprint(i), nil); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.ContainsFunc(f.log(), func(r received) bool { return r.member == 0 }) {
			t.Error("a member that came back is not used")
		}
	})
}

func TestAdvertisedAddressesOutOfReach(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		f.advertise = func(*member) string { return "127.0.0.1:7600" }
		c := f.client(t, nil, f.members[1].address)
		defer c.Close()
		for i := range 20 {
			if _, err := c.Bucket("b").Put(t.Context(), fmt.Sprint(i), nil); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestStrangersAreNotUsed(t *testing.T) {
	for name, change := range map[string]func(s *cluster){
		"another member":           func(s *cluster) { s.members[0].id = "a stranger" },
		"another cluster's member": func(s *cluster) { s.id, s.members[0].id = "another", "00000000-0000-0000-0000-000000000002" },
	} {
		t.Run(name, func(t *testing.T) {
			with(t, 3, func(t *testing.T, f *cluster) {
				// The address that member 1 advertises leads to a stranger here.
				other := newCluster(1, false)
				defer other.close()
				change(other)
				other.members[0].address = "10.9.9.9:7600"
				f.strangers = other.members
				f.advertise = func(m *member) string {
					if m.index == 1 {
						return "10.9.9.9:7600"
					}
					return m.address
				}
				c := f.client(t, nil, f.members[0].address)
				defer c.Close()
				f.connect(t, c)
				for range c.Bucket("b").Keys(t.Context()) {
				}
				if log := other.log(); len(log) > 0 {
					t.Errorf("a stranger was asked: %v", log)
				}
			})
		})
	}
}

func TestRetries(t *testing.T) {
	for _, test := range []struct {
		name string
		// answers of the first attempts; nil lets the member answer.
		answers []*ringdv1.PipelineResponse
		put     []client.PutOption
		want    error
		// attempts that reach members; 0: more than four.
		attempts int
		maybe    bool
	}{
		{"unavailable, then good", []*ringdv1.PipelineResponse{refuse(codes.Unavailable)}, nil, nil, 2, false},
		{"overloaded, then good", []*ringdv1.PipelineResponse{refuse(codes.ResourceExhausted)}, nil, nil, 2, false},
		{"unknown, then good", []*ringdv1.PipelineResponse{refuse(codes.DeadlineExceeded)}, nil, nil, 2, false},
		{"internal, then good", []*ringdv1.PipelineResponse{refuse(codes.Internal, maybeApplied)}, nil, nil, 2, false},
		{"invalid", []*ringdv1.PipelineResponse{refuse(codes.InvalidArgument)}, nil, client.ErrInvalid, 1, false},
		{"not found", []*ringdv1.PipelineResponse{refuse(codes.NotFound)}, nil, client.ErrNotFound, 1, false},
		{"denied", []*ringdv1.PipelineResponse{refuse(codes.PermissionDenied)}, nil, client.ErrDenied, 1, false},
		{"aborted", []*ringdv1.PipelineResponse{refuse(codes.Aborted)}, nil, client.ErrAborted, 1, false},
		{"precondition", []*ringdv1.PipelineResponse{refuse(codes.FailedPrecondition)}, nil, client.ErrPrecondition, 1, false},
		{"surely failed, then precondition", []*ringdv1.PipelineResponse{refuse(codes.Unavailable), refuse(codes.FailedPrecondition)}, nil, client.ErrPrecondition, 2, false},
		{"unknown, then precondition", []*ringdv1.PipelineResponse{refuse(codes.DeadlineExceeded), refuse(codes.FailedPrecondition)}, nil, client.ErrUnknown, 2, true},
		{"unknown, then aborted", []*ringdv1.PipelineResponse{refuse(codes.Unavailable, maybeApplied), refuse(codes.Aborted)}, nil, client.ErrUnknown, 2, true},
		{"unavailable for ever", []*ringdv1.PipelineResponse{
			refuse(codes.Unavailable), refuse(codes.Unavailable), refuse(codes.Unavailable), refuse(codes.Unavailable), refuse(codes.Unavailable),
		}, nil, client.ErrUnavailable, 0, false},
		{"once unknown, then unavailable for ever", []*ringdv1.PipelineResponse{
			refuse(codes.DeadlineExceeded), refuse(codes.Unavailable), refuse(codes.Unavailable), refuse(codes.Unavailable), refuse(codes.Unavailable),
		}, nil, client.ErrUnknown, 0, true},
		{"retry-after beyond the deadline", []*ringdv1.PipelineResponse{refuse(codes.ResourceExhausted, retryAfter(time.Minute))}, nil, client.ErrOverloaded, 1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			with(t, 3, func(t *testing.T, f *cluster) {
				c := f.client(t, nil)
				defer c.Close()
				var at []int
				var ids []string
				f.setHook(func(_ context.Context, m *member, r *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
					n := len(at)
					at = append(at, m.index)
					ids = append(ids, string(r.GetPut().RequestId))
					if n >= len(test.answers) && test.attempts == 0 {
						n = len(test.answers) - 1
					}
					if n < len(test.answers) {
						a := test.answers[n]
						return &ringdv1.PipelineResponse{Response: a.Response}
					}
					return nil
				})
				_, err := c.Bucket("b").Put(t.Context(), "k", []byte("v"), test.put...)
				if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
					t.Fatalf("answered %v, want %v", err, test.want)
				}
				var e *client.Error
				if errors.As(err, &e) && (e.MaybeApplied != test.maybe || e.Attempts != len(at) || e.RequestID == (client.RequestID{})) {
					t.Errorf("error is %+v after %d attempts", e, len(at))
				}
				if test.attempts > 0 && len(at) != test.attempts || test.attempts == 0 && len(at) <= 4 {
					t.Errorf("%d attempts, want %d", len(at), test.attempts)
				}
				if len(at) > 1 && at[0] == at[1] {
					t.Errorf("attempts at members %v: the second has to be at another", at)
				}
				if len(slices.Compact(ids)) > 1 {
					t.Errorf("%d request ids for one write", len(ids))
				}
			})
		})
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		defer c.Close()
		first := true
		f.setHook(func(context.Context, *member, *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
			if !first {
				return nil
			}
			first = false
			return refuse(codes.ResourceExhausted, retryAfter(2*time.Second))
		})
		began := time.Now()
		if _, err := c.Bucket("b").Put(t.Context(), "k", nil); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 2*time.Second || took > 3*time.Second {
			t.Errorf("tried again after %v, not the 2s that the member named", took)
		}
	})
}

func TestErrorText(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		defer c.Close()
		f.setHook(func(context.Context, *member, *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
			return refuse(codes.Unavailable, func(d *ringdv1.ErrorDetail) { d.Needed, d.Got = 2, 1 })
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Bucket("b").Put(ctx, "k", nil)
		var e *client.Error
		if !errors.As(err, &e) || e.Needed != 2 || e.Got != 1 || !strings.Contains(err.Error(), `put "b" "k": unavailable: injected`) {
			t.Errorf("error is %v", err)
		}
	})
}
