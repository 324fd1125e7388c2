package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
)

// keyAt returns a key of bucket "b" whose first owner is member i.
func (c *cluster) keyAt(i int) string {
	for n := 0; ; n++ {
		if k := fmt.Sprint(n); c.owner(partitionOf("default", "b", k), 0) == i {
			return k
		}
	}
}

// connect has cl open a stream to every member.
func (c *cluster) connect(t *testing.T, cl *client.Client) {
	t.Helper()
	for _, m := range c.members {
		if _, err := cl.Bucket("b").Put(t.Context(), c.keyAt(m.index), nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPausedMemberCostsFewRequests(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		defer c.Close()
		b := c.Bucket("b")
		f.connect(t, c)
		f.members[1].pause()
		var mu sync.Mutex
		var slow int
		var slowest time.Duration
		var wg sync.WaitGroup
		for w := range 60 {
			wg.Go(func() {
				for i := range 50 {
					began := time.Now()
					if _, err := b.Put(t.Context(), fmt.Sprint(w, i), nil); err != nil {
						t.Error(err)
					}
					took := time.Since(began)
					mu.Lock()
					if took > 200*time.Millisecond {
						slow++
					}
					slowest = max(slowest, took)
					mu.Unlock()
					<-time.After(10 * time.Millisecond)
				}
			})
		}
		wg.Wait()
		// At most one per worker, and a probe, of 3000.
		if slow > 61 || slowest > 251*time.Millisecond {
			t.Errorf("%d requests were slow, the slowest took %v", slow, slowest)
		}
		f.members[1].listen()
		synctest.Wait()
		before := len(f.log())
		for i := range 50 {
			b.Put(t.Context(), fmt.Sprint(i), nil)
		}
		if !slices.ContainsFunc(f.log()[before:], func(r received) bool { return r.member == 1 }) {
			t.Error("a member that goes on is not used at once, though it answered what it had")
		}
	})
}

// Connections that lead nowhere are given up, long before the kernel does.
func TestDeadConnectionIsReplaced(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		defer c.Close()
		f.connect(t, c)
		f.members[1].vanish()
		began := time.Now()
		for before := len(f.log()); !slices.ContainsFunc(f.log()[before:], func(r received) bool { return r.member == 1 }); {
			if _, err := c.Bucket("b").Put(t.Context(), f.keyAt(1), nil); err != nil {
				t.Fatal(err)
			}
			<-time.After(100 * time.Millisecond)
			if time.Since(began) > time.Minute {
				t.Fatal("the member is not used again")
			}
		}
	})
}

// An owner that can't be connected to leaves no doubt, on a stream or by calls.
func TestRefusedConnectionLeavesNoDoubt(t *testing.T) {
	for _, calls := range []bool{false, true} {
		with(t, 3, func(t *testing.T, f *cluster) {
			for _, m := range f.members {
				m.mu.noPipeline = calls
			}
			c := f.client(t, nil)
			defer c.Close()
			f.connect(t, c)
			f.members[1].kill()
			synctest.Wait()
			_, err := c.Bucket("b").Put(t.Context(), f.keyAt(1), nil, client.IfAbsent())
			if !errors.Is(err, client.ErrPrecondition) {
				t.Errorf("by calls %v: %v", calls, err)
			}
		})
	}
}

// What still waits for a connection at its deadline was not applied.
func TestDeadlineInTheQueueIsNotUnknown(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		defer c.Close()
		for _, m := range f.members {
			m.pause()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Bucket("b").Put(ctx, "k", nil)
		var e *client.Error
		if !errors.Is(err, client.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &e) || e.MaybeApplied {
			t.Errorf("answered %v", err)
		}
	})
}

func TestSlowMemberIsHedgedWithinTheBudget(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		defer c.Close()
		b := c.Bucket("b")
		// Everything takes a second, everywhere, but something is always
		// answered: this is load, not silence.
		f.setHook(func(ctx context.Context, m *member, r *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
			if string(r.GetGet().GetKey().GetBucket()) == "tick" {
				return nil
			}
			<-time.After(time.Second)
			return nil
		})
		done := make(chan struct{})
		var ticks, wg sync.WaitGroup
		for m := range 3 {
			ticks.Go(func() {
				tick := c.Bucket("tick")
				k := 0
				for f.owner(partitionOf("default", "tick", fmt.Sprint(k)), 0) != m {
					k++
				}
				for {
					select {
					case <-done:
						return
					case <-time.After(20 * time.Millisecond):
						tick.Get(t.Context(), fmt.Sprint(k))
					}
				}
			})
		}
		<-time.After(time.Second)
		const requests = 400
		for i := range requests {
			wg.Go(func() {
				if _, err := b.Put(t.Context(), fmt.Sprint(i), nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		close(done)
		ticks.Wait()
		sent := 0
		for _, r := range f.log() {
			if r.id != "" {
				sent++
			}
		}
		// The burst, and a tenth of these and the ticks.
		if extra := sent - requests; extra == 0 || extra > 16+requests/10+60 {
			t.Errorf("%d of %d requests were sent twice", extra, requests)
		}
	})
}

func TestBrokenStreamIsRetriedUnderTheSameID(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		defer c.Close()
		var once sync.Once
		f.setHook(func(ctx context.Context, m *member, r *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
			once.Do(func() {
				f.do(r) // applied, but the answer is lost
				m.breakStreams()
			})
			return nil
		})
		w, err := c.Bucket("b").Put(t.Context(), "k", []byte("v"))
		if err != nil {
			t.Fatal(err)
		}
		f.appliedOnce(t, w.RequestID)
		if n := len(f.log()); n < 2 {
			t.Errorf("%d attempts", n)
		}
	})
}

// A conditional put is applied, its answer is lost, and the next attempt finds
// the key taken, by the put itself: nobody may call that failed.
func TestOwnEffectIsNotAPreconditionFailure(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		defer c.Close()
		var once sync.Once
		f.setHook(func(ctx context.Context, m *member, r *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
			once.Do(func() {
				f.do(r)
				m.breakStreams()
			})
			return nil
		})
		_, err := c.Bucket("b").Put(t.Context(), "k", []byte("v"), client.IfAbsent())
		var e *client.Error
		if !errors.Is(err, client.ErrUnknown) || errors.Is(err, client.ErrPrecondition) || !errors.As(err, &e) || !e.MaybeApplied {
			t.Errorf("answered %v", err)
		}
	})
}

// The first attempt is slow, the second is refused: the first is waited for,
// and its answer is the outcome.
func TestRefusedHedgeWaitsForTheFirstAttempt(t *testing.T) {
	for _, test := range []struct {
		name string
		late *ringdv1.PipelineResponse // nil: the member does it
		want error
	}{
		{"applied", nil, nil},
		{"refused", refuse(codes.FailedPrecondition), client.ErrPrecondition},
		{"unknown", refuse(codes.DeadlineExceeded), client.ErrUnknown},
		{"surely not applied", refuse(codes.Unavailable), client.ErrAborted},
	} {
		t.Run(test.name, func(t *testing.T) {
			with(t, 3, func(t *testing.T, f *cluster) {
				c := f.client(t, nil)
				defer c.Close()
				var attempts atomic.Int32
				f.setHook(func(context.Context, *member, *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
					if attempts.Add(1) > 1 {
						return refuse(codes.Aborted)
					}
					<-time.After(time.Second)
					return test.late
				})
				_, err := c.Bucket("b").Put(t.Context(), "k", nil, client.IfAbsent())
				if !errors.Is(err, test.want) || attempts.Load() != 2 {
					t.Errorf("answered %v after %d attempts", err, attempts.Load())
				}
			})
		})
	}
}

func TestDeadlineIsUnknown(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		defer c.Close()
		f.connect(t, c)
		for _, m := range f.members {
			m.pause()
		}
		var e *client.Error
		began := time.Now()
		_, err := c.Bucket("b").Put(t.Context(), "k", nil)
		if !errors.Is(err, client.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &e) || !e.MaybeApplied {
			t.Errorf("put: %v", err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("the default timeout was %v", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = c.Bucket("b").Get(ctx, "k")
		if !errors.Is(err, client.ErrUnknown) || !errors.Is(err, context.Canceled) || !errors.As(err, &e) || e.MaybeApplied {
			t.Errorf("get: %v", err)
		}
	})
}

func TestNothingReachedIsSurelyNotApplied(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		defer c.Close()
		f.close()
		synctest.Wait()
		var e *client.Error
		_, err := c.Bucket("b").Put(t.Context(), "k", nil)
		if !errors.Is(err, client.ErrUnavailable) || !errors.As(err, &e) || e.MaybeApplied {
			t.Errorf("put: %v", err)
		}
	})
}

func TestCancelDisturbsNoOther(t *testing.T) {
	with(t, 1, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		defer c.Close()
		gate := make(chan struct{})
		f.setHook(func(context.Context, *member, *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
			<-gate
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 2)
		for _, ctx := range []context.Context{ctx, t.Context()} {
			go func() {
				_, err := c.Bucket("b").Put(ctx, "k", nil)
				errs <- err
			}()
		}
		synctest.Wait()
		cancel()
		if err := <-errs; !errors.Is(err, client.ErrUnknown) || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		close(gate)
		if err := <-errs; err != nil {
			t.Errorf("the other: %v", err)
		}
	})
}

func TestInFlightIsBounded(t *testing.T) {
	for _, test := range []struct {
		name   string
		config func(*client.Config)
		size   int
	}{
		{"requests", func(c *client.Config) { c.InFlightMax = 4 }, 1},
		{"bytes", func(c *client.Config) { c.InFlightBytesMax = 4000 }, 999},
	} {
		t.Run(test.name, func(t *testing.T) {
			with(t, 1, func(t *testing.T, f *cluster) {
				c := f.client(t, test.config)
				defer c.Close()
				gate := make(chan struct{})
				f.setHook(func(context.Context, *member, *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
					<-gate
					return nil
				})
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(func() {
						if _, err := c.Bucket("b").Put(t.Context(), "k", make([]byte, test.size)); err != nil {
							t.Error(err)
						}
					})
				}
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := c.Bucket("b").Put(ctx, "k", make([]byte, test.size))
				var e *client.Error
				if !errors.Is(err, client.ErrOverloaded) || !errors.As(err, &e) || e.MaybeApplied {
					t.Errorf("one too many: %v", err)
				}
				close(gate)
				wg.Wait()
				if _, err := c.Bucket("b").Put(t.Context(), "k", nil); err != nil {
					t.Errorf("after there was room again: %v", err)
				}
			})
		})
	}
}

func TestWithoutPipeline(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		for _, m := range f.members {
			m.mu.noPipeline = true
		}
		c := f.client(t, nil)
		defer c.Close()
		b := c.Bucket("b")
		for i := range 20 {
			if _, err := b.Put(t.Context(), fmt.Sprint(i), []byte("v")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.Put(t.Context(), "1", nil, client.IfAbsent()); !errors.Is(err, client.ErrPrecondition) {
			t.Errorf("a refusal by a call of its own: %v", err)
		}
		if _, err := b.Delete(t.Context(), "1"); err != nil {
			t.Error(err)
		}
		if _, err := b.Get(t.Context(), "1"); !errors.Is(err, client.ErrNotFound) {
			t.Error(err)
		}
		for _, r := range f.log() {
			if r.via != "unary" {
				t.Errorf("%+v", r)
			}
		}
		f.members[1].pause()
		began := time.Now()
		if _, err := b.Put(t.Context(), f.keyAt(1), nil); err != nil || time.Since(began) > 251*time.Millisecond {
			t.Errorf("at a paused member: %v after %v", err, time.Since(began))
		}
	})
}

func TestLargeValuesGoAlone(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		defer c.Close()
		value := make([]byte, 1<<20)
		if _, err := c.Bucket("b").Put(t.Context(), "k", value); err != nil {
			t.Fatal(err)
		}
		if r := f.log()[0]; r.via != "unary" {
			t.Errorf("%+v", r)
		}
		o, err := c.Bucket("b").Get(t.Context(), "k")
		if v, _ := o.Value(); err != nil || len(v) != len(value) {
			t.Errorf("%v, %d bytes", err, len(v))
		}
	})
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	with(t, 2, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		f.connect(t, c)
		for _, m := range f.members {
			m.pause()
		}
		errs := make(chan error, 1)
		go func() {
			_, err := c.Bucket("b").Put(t.Context(), "k", nil)
			errs <- err
		}()
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := <-errs; !errors.Is(err, client.ErrUnknown) || !errors.Is(err, client.ErrClosed) {
			t.Errorf("under way at Close: %v", err)
		}
		if _, err := c.Bucket("b").Put(t.Context(), "k", nil); !errors.Is(err, client.ErrUnavailable) || !errors.Is(err, client.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		c.Close()
	})
}
