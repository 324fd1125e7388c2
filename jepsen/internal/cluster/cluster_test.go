package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitSaysWhatItWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		asked := 0
		err := Wait(ctx, "three answers", func(context.Context) error {
			if asked++; asked < 3 {
				return errors.New("one more")
			}
			return nil
		})
		if err != nil || asked != 3 {
			t.Errorf("%v after %d", err, asked)
		}
		// The last question is cut short by the end: that it was is no answer.
		err = Wait(ctx, "a member that hangs in the end", func(try context.Context) error {
			if time.Until(end(ctx)) > askWithin {
				return errors.New("it has no leader")
			}
			<-try.Done()
			return try.Err()
		})
		if err == nil || !strings.Contains(err.Error(), "a member that hangs in the end: it has no leader") {
			t.Errorf("%v", err)
		}
	})
}

func end(ctx context.Context) time.Time {
	d, _ := ctx.Deadline()
	return d
}

func TestAloneIsForOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(DefaultConfig())
		release, err := c.Alone(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Alone(ctx); err == nil {
			t.Error("two take data away at a time")
		}
		release()
		if _, err := c.Alone(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
