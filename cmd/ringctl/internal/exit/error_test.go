package exit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/ringd/ringd/client"
)

func TestOf(t *testing.T) {
	key := func(e client.Error) error {
		e.Op, e.Key = "put", "k"
		return fmt.Errorf("around: %w", &e)
	}
	for _, c := range []struct {
		err  error
		code Code
		says string
	}{
		{nil, OK, ""},
		{errors.New("plain"), Failed, "plain"},
		{fs.ErrNotExist, NotFound, "not exist"},
		{context.DeadlineExceeded, Unknown, "deadline"},
		{client.ErrSiblings, Siblings, "siblings"},
		{fmt.Errorf("around: %w", New(Precondition, "hint", "message")), Precondition, "message; hint"},
		{key(client.Error{Code: client.CodeNotFound}), NotFound, "not found"},
		{key(client.Error{Code: client.CodeInvalid}), Usage, "invalid"},
		{key(client.Error{Code: client.CodePrecondition}), Precondition, "read the key and decide again"},
		{key(client.Error{Code: client.CodeAborted}), Precondition, "another write came first"},
		{key(client.Error{Code: client.CodeUnavailable}), Unavailable, "ringctl status"},
		{key(client.Error{Code: client.CodeUnknown, MaybeApplied: true}), Unknown, "read the key to find out"},
		{key(client.Error{Code: client.CodeUnknown}), Unknown, "--timeout"},
		{key(client.Error{Code: client.CodeOverloaded, RetryAfter: time.Second}), Unavailable, "try again in 1s"},
		{key(client.Error{Code: client.CodeDenied}), Failed, "denied"},
		{key(client.Error{Code: client.CodeInternal}), Failed, "internal"},
		{&client.Error{Code: client.CodeUnknown, Op: "Commit", MaybeApplied: true}, Unknown, "whether it was done"},
		{&client.Error{Code: client.CodePrecondition, Op: "CreateBucketType"}, Precondition, "precondition failed"},
	} {
		got := Of(c.err)
		if c.err == nil {
			if got != nil {
				t.Errorf("no error became %v", got)
			}
			continue
		}
		if got.Code != c.code || !strings.Contains(got.Error(), c.says) {
			t.Errorf("%v: code %v, %q; want %v, %q", c.err, got.Code, got, c.code, c.says)
		}
	}
}

func TestEveryCodeIsDocumented(t *testing.T) {
	for code, name := range names {
		if !strings.Contains(Help, fmt.Sprintf("\n  %d  ", code)) || name == "" {
			t.Errorf("code %d is not in the help", code)
		}
	}
}
