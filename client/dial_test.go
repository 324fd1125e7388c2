package client_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
)

func TestDialNeedsOneMember(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		f.members[0].kill()
		f.members[1].pause()
		began := time.Now()
		c := f.client(t, nil)
		defer c.Close()
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("took %v with one member up", took)
		}
		if _, err := c.Bucket("b").Put(t.Context(), "k", nil); err != nil {
			t.Error(err)
		}
	})
}

func TestDialFails(t *testing.T) {
	with(t, 1, func(t *testing.T, f *cluster) {
		config := client.DefaultConfig()
		config.DialOptions = []grpc.DialOption{grpc.WithContextDialer(f.dial)}
		f.members[0].kill()
		began := time.Now()
		_, err := client.DialConfig(t.Context(), config, f.addresses()...)
		if !errors.Is(err, client.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != config.Timeout {
			t.Errorf("nobody there: %v after %v", err, time.Since(began))
		}
		if _, err := client.DialConfig(t.Context(), config); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("no address: %v", err)
		}
		config.HedgeShare = 2
		var e *client.Error
		if _, err := client.DialConfig(t.Context(), config, "a:1"); !errors.As(err, &e) || e.Field != "HedgeShare" {
			t.Errorf("bad configuration: %v", err)
		}
	})
}

func TestDialWaitsForAMember(t *testing.T) {
	with(t, 1, func(t *testing.T, f *cluster) {
		f.members[0].kill()
		time.AfterFunc(3*time.Second, func() { f.members[0].start(false) })
		f.client(t, nil).Close()
	})
}

func TestAdminFailsOver(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil, f.members[1].address)
		defer c.Close()
		self := func() string {
			s, err := c.Admin().Status(t.Context(), &ringdv1.StatusRequest{})
			if err != nil {
				t.Fatal(err)
			}
			return s.Self.Id
		}
		if got := self(); got != f.members[1].id {
			t.Errorf("asked %s, not the member that was dialed", got)
		}
		f.members[1].kill()
		synctest.Wait()
		if got := self(); got == f.members[1].id {
			t.Errorf("answered by a member that is gone")
		}
		if _, err := c.Admin().Commit(t.Context(), &ringdv1.CommitRequest{}); err != nil {
			t.Errorf("a change, with a member gone: %v", err)
		}
	})
}

func TestAdminChangesAreSentOnce(t *testing.T) {
	for name, trouble := range map[string]func(*member){
		"no answer": func(*member) {},
		"killed":    func(m *member) { go m.kill() },
	} {
		t.Run(name, func(t *testing.T) {
			with(t, 3, func(t *testing.T, f *cluster) {
				c := f.client(t, nil)
				defer c.Close()
				f.setHook(func(ctx context.Context, m *member, _ *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
					trouble(m)
					<-ctx.Done()
					return nil
				})
				_, err := c.Admin().Commit(t.Context(), &ringdv1.CommitRequest{})
				if !errors.Is(err, client.ErrUnknown) {
					t.Errorf("a change without an answer: %v", err)
				}
				if n := len(f.log()); n != 1 {
					t.Errorf("it was sent %d times", n)
				}
			})
		})
	}
}
