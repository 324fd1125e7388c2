package patience

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringd/ringd/client"
)

func TestDo(t *testing.T) {
	away := &client.Error{Code: client.CodeUnavailable}
	for name, c := range map[string]struct {
		err      error
		retryFor time.Duration
		failures int
		want     error
		attempts int // 0: many
	}{
		"at once":              {away, time.Minute, 0, nil, 1},
		"later":                {away, time.Minute, 5, nil, 6},
		"unknown":              {&client.Error{Code: client.CodeUnknown, MaybeApplied: true}, time.Minute, 5, nil, 6},
		"overloaded":           {&client.Error{Code: client.CodeOverloaded, RetryAfter: time.Second}, time.Minute, 5, nil, 6},
		"never":                {away, time.Minute, 1 << 30, client.ErrUnavailable, 0},
		"no patience":          {away, 0, 1, client.ErrUnavailable, 1},
		"not one to try again": {&client.Error{Code: client.CodeInvalid}, time.Minute, 1, client.ErrInvalid, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, attempts := time.Now(), 0
				err := Patience{Timeout: time.Second, RetryFor: c.retryFor}.Do(t.Context(), func(context.Context) error {
					if attempts++; attempts <= c.failures {
						return c.err
					}
					return nil
				})
				if !errors.Is(err, c.want) || c.attempts > 0 && attempts != c.attempts {
					t.Errorf("error %v after %d attempts", err, attempts)
				}
				if took := time.Since(began); c.attempts == 0 && (attempts < 10 || took > c.retryFor) {
					t.Errorf("%d attempts in %v", attempts, took)
				}
			})
		})
	}
}

func TestDoEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		attempts := 0
		err := Patience{Timeout: time.Second, RetryFor: time.Hour}.Do(ctx, func(inner context.Context) error {
			attempts++
			if attempts == 3 {
				cancel()
			}
			if inner.Err() != nil {
				t.Error("what is under way was cut off")
			}
			return &client.Error{Code: client.CodeUnavailable}
		})
		if !errors.Is(err, client.ErrUnavailable) || attempts != 3 {
			t.Errorf("error %v after %d attempts", err, attempts)
		}
	})
}
