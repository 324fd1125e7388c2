package client_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
)

func TestAdminOf(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil, f.members[1].address)
		defer c.Close()
		for _, m := range f.members {
			s, err := c.AdminOf(m.id).Status(t.Context(), &ringdv1.StatusRequest{})
			if err != nil || s.Self.Id != m.id {
				t.Errorf("asked %s: %v, %v", m.id, s, err)
			}
		}
		f.members[2].kill()
		if s, err := c.AdminOf(f.members[2].id).Status(t.Context(), &ringdv1.StatusRequest{}); !errors.Is(err, client.ErrUnavailable) {
			t.Errorf("another answered for a member that is gone: %v, %v", s, err)
		}
		if _, err := c.AdminOf("nonsense").Status(t.Context(), &ringdv1.StatusRequest{}); !errors.Is(err, client.ErrUnavailable) {
			t.Errorf("a member that does not exist: %v", err)
		}
		if _, err := c.AdminOf("nonsense").Verify(t.Context(), &ringdv1.VerifyRequest{}); !errors.Is(err, client.ErrUnavailable) {
			t.Errorf("a stream of a member that does not exist: %v", err)
		}
	})
}

// TestAdminOfRefusesAnother: who answers at a member's address is asked who it is.
func TestAdminOfRefusesAnother(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		f.advertise = func(m *member) string { return f.members[(m.index+2)%3].address }
		// One that was dialed has not said yet who it is.
		f.members[1].pause()
		c := f.client(t, nil, f.members[0].address, f.members[1].address)
		defer c.Close()
		f.members[1].listen()
		for _, m := range f.members {
			s, err := c.AdminOf(m.id).Status(t.Context(), &ringdv1.StatusRequest{})
			if err == nil && s.Self.Id != m.id || err != nil && !errors.Is(err, client.ErrUnavailable) {
				t.Errorf("asked %s: %v, %v", m.id, s, err)
			}
		}
	})
}

// read reads a stream to its end.
func read(s ringdv1.Admin_VerifyClient) (got []*ringdv1.VerifyProgress, err error) {
	for {
		p, err := s.Recv()
		if err != nil {
			return got, err
		}
		got = append(got, p)
	}
}

// TestAdminStream: a stream goes to a member that is up, and may last longer
// than a request.
func TestAdminStream(t *testing.T) {
	with(t, 3, func(t *testing.T, f *cluster) {
		c := f.client(t, nil, f.members[1].address)
		defer c.Close()
		f.setHook(func(ctx context.Context, _ *member, _ *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
			select {
			case <-time.After(time.Minute):
			case <-ctx.Done():
			}
			return nil
		})
		for _, gone := range []bool{false, true} {
			if gone {
				f.members[1].kill()
			}
			s, err := c.Admin().Verify(t.Context(), &ringdv1.VerifyRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := read(s); err != io.EOF || len(got) != 2 || !got[1].Done {
				t.Errorf("it ended with %v, %v", got, err)
			}
		}
	})
}

func TestAdminStreamFails(t *testing.T) {
	for name, c := range map[string]struct {
		does func(ctx context.Context, m *member) *ringdv1.PipelineResponse
		want error
	}{
		"refused": {func(context.Context, *member) *ringdv1.PipelineResponse { return refuse(codes.NotFound) }, client.ErrNotFound},
		"killed": {func(ctx context.Context, m *member) *ringdv1.PipelineResponse {
			go m.kill()
			<-ctx.Done()
			return nil
		}, client.ErrUnavailable},
		"gone without a word": {func(ctx context.Context, m *member) *ringdv1.PipelineResponse {
			m.vanish()
			m.pause()
			<-ctx.Done()
			return nil
		}, client.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, 1, func(t *testing.T, f *cluster) {
				cl := f.client(t, nil)
				defer cl.Close()
				f.members[0].setHook(func(ctx context.Context, m *member, _ *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
					<-time.After(time.Second) // until the first message is there
					return c.does(ctx, m)
				})
				began := time.Now()
				s, err := cl.Admin().Verify(t.Context(), &ringdv1.VerifyRequest{})
				if err != nil {
					t.Fatal(err)
				}
				got, err := read(s)
				var e *client.Error
				if !errors.Is(err, c.want) || !errors.As(err, &e) || e.Op != "Verify" || e.MaybeApplied || len(got) != 1 {
					t.Errorf("%v after %d messages", err, len(got))
				}
				if took := time.Since(began); took > 15*time.Second {
					t.Errorf("it took %v to find out", took)
				}
			})
		})
	}
}

func TestAdminStreamIsCanceled(t *testing.T) {
	with(t, 1, func(t *testing.T, f *cluster) {
		c := f.client(t, nil)
		defer c.Close()
		f.setHook(func(ctx context.Context, _ *member, _ *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
			<-ctx.Done()
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		s, err := c.Admin().Verify(ctx, &ringdv1.VerifyRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(); err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := s.Recv(); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
	})
}
