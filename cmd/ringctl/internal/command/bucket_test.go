package command

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/fakecluster"
)

// filled starts a cluster whose bucket "b" has n keys, "k0000" and so on.
func filled(t *testing.T, n int) *session {
	s := start(t)
	s.ok("import", write(t, filepath.Join(t.TempDir(), "b.jsonl"), numbered(n)))
	return s
}

func TestBucketDelete(t *testing.T) {
	s := filled(t, 50)
	s.ok("put", "other", "k", "v")
	s.ok("bucket-type", "create", "strict")
	s.ok("put", "b", "k", "v", "--bucket-type", "strict")
	s.ok("put", "b", "k0007", "a sibling")
	if out := s.ok("bucket", "delete", "b", "--yes"); !strings.Contains(out, "50 keys of b deleted, 0 failed;") {
		t.Errorf("it printed %s", out)
	}
	if got := s.ok("keys", "b"); got != "" {
		t.Errorf("there are still\n%s", got)
	}
	s.ok("get", "other", "k")
	s.ok("get", "b", "k", "--bucket-type", "strict")
	if doc := parse(t, s.ok("bucket", "delete", "b", "--yes", "-o", "json")); doc["deleted"] != 0.0 || doc["complete"] != true || doc["bucket"] != "b" {
		t.Errorf("of an empty bucket: %v", doc)
	}
	s.ok("put", "YmI=", "a2s=", "v", "--base64")
	if out := s.ok("bucket", "delete", "YmI=", "--base64", "--yes"); !strings.Contains(out, "1 keys of bb deleted") {
		t.Errorf("in base64: %s", out)
	}
	s.fails(exit.NotFound, "none", "bucket", "delete", "b", "--yes", "--bucket-type", "none")
	s.fails(exit.Usage, "empty", "bucket", "delete", "", "--yes")
	s.fails(exit.Usage, "--workers 0", "bucket", "delete", "b", "--yes", "--workers", "0")
}

func TestBucketDeleteAsks(t *testing.T) {
	for answer, deletes := range map[string]bool{"y\n": true, "n\n": false, "": false} {
		t.Run("answer "+strings.TrimSpace(answer), func(t *testing.T) {
			s := filled(t, 3)
			s.terminal, s.in = true, strings.NewReader(answer)
			code, out, errOut := s.run("bucket", "delete", "b")
			if !strings.Contains(errOut, "Delete all keys of bucket b (bucket type default) in cluster "+fakecluster.ClusterID+"? [y/N]") {
				t.Errorf("it asked\n%s%s", out, errOut)
			}
			if (code == exit.OK) != deletes || (s.cluster.Keys("b") == 0) != deletes {
				t.Errorf("exit code %d, %d keys are left", code, s.cluster.Keys("b"))
			}
		})
	}
	s := filled(t, 3)
	s.fails(exit.Usage, "--yes", "bucket", "delete", "b")
	if n := s.cluster.Keys("b"); n != 3 {
		t.Errorf("unasked: %d keys are left", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan struct{})
	s.terminal, s.in = true, readerFunc(func([]byte) (int, error) {
		cancel()
		<-answer
		return 0, io.EOF
	})
	if code, _, errOut := s.runContext(ctx, "bucket", "delete", "b"); code == exit.OK || s.cluster.Keys("b") != 3 || !strings.Contains(errOut, "nothing was changed") {
		t.Errorf("interrupted while it asks: exit code %d, %d keys are left\n%s", code, s.cluster.Keys("b"), errOut)
	}
	close(answer)
}

// A key that is written between being read and being deleted keeps what was
// written, and nothing stands beside it.
func TestBucketDeleteKeepsWhatIsWrittenMeanwhile(t *testing.T) {
	s := filled(t, 10)
	var once sync.Once
	s.cluster.SetHook(func(r *ringdv1.PipelineRequest) *ringdv1.ErrorDetail {
		if string(r.GetDelete().GetKey().GetKey()) == "k0003" {
			once.Do(func() { s.ok("put", "b", "k0003", "new") })
		}
		return nil
	})
	if out := s.ok("bucket", "delete", "b", "--yes"); !strings.Contains(out, "9 keys of b deleted, 0 failed, 1 written meanwhile and kept;") {
		t.Errorf("it printed %s", out)
	}
	if all := s.cluster.Siblings("b", "k0003"); len(all) != 2 || all[0].Tombstone || all[1].Tombstone || string(all[1].Value) != "new" {
		t.Errorf("the key has %v", all)
	}
	s.ok("bucket", "delete", "b", "--yes")
	if n := s.cluster.Keys("b"); n != 0 {
		t.Errorf("deleted again, %d keys are left", n)
	}
}

func TestBucketDeleteFailures(t *testing.T) {
	s := filled(t, 30)
	s.cluster.SetHook(func(r *ringdv1.PipelineRequest) *ringdv1.ErrorDetail {
		switch {
		case string(r.GetGet().GetKey().GetKey()) == "k0003", string(r.GetDelete().GetKey().GetKey()) == "k0004":
			return fakecluster.Refuse(codes.Internal, "a bug")
		case string(r.GetGet().GetKey().GetKey()) == "k0005":
			return fakecluster.Refuse(codes.NotFound, "the key has no value")
		}
		return nil
	})
	code, stdout, errOut := s.run("bucket", "delete", "b", "--yes", "-o", "json")
	doc := parse(t, stdout)
	if code != exit.Failed || doc["deleted"] != 27.0 || doc["failed"] != 2.0 || doc["gone"] != 1.0 || doc["complete"] != true || len(doc["failures"].([]any)) != 2 {
		t.Errorf("exit code %d, %v", code, doc)
	}
	for _, says := range []string{"key k0003: ", "key k0004: ", "2 keys were not deleted; the same command goes on"} {
		if !strings.Contains(errOut, says) {
			t.Errorf("stderr doesn't say %q:\n%s", says, errOut)
		}
	}
	s.cluster.SetHook(nil)
	s.ok("bucket", "delete", "b", "--yes")
	if n := s.cluster.Keys("b"); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

// What stops a deletion half way, a later one goes on with.
func TestBucketDeleteGoesOn(t *testing.T) {
	for _, stop := range []string{"failure", "interruption"} {
		t.Run(stop, func(t *testing.T) {
			s := filled(t, 100)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s.cluster.SetHook(func(r *ringdv1.PipelineRequest) *ringdv1.ErrorDetail {
				if string(r.GetDelete().GetKey().GetKey()) != "k0040" {
					return nil
				}
				if stop == "interruption" {
					cancel()
					return nil
				}
				return fakecluster.Refuse(codes.Unavailable, "0 of 2 owners answered")
			})
			code, out, errOut := s.runContext(ctx, "bucket", "delete", "b", "--yes", "--workers", "4", "--retry-for", "0s")
			left := s.cluster.Keys("b")
			if code != exit.Failed || left == 0 || left == 100 || !strings.Contains(lastLine(errOut), "the same command goes on with the keys that are left") {
				t.Errorf("exit code %d, %d keys are left\n%s%s", code, left, out, errOut)
			}
			if !strings.HasPrefix(out, fmt.Sprintf("%d keys of b deleted, ", 100-left)) {
				t.Errorf("%d keys are left, and it printed %s", left, out)
			}
			s.cluster.SetHook(nil)
			if out := s.ok("bucket", "delete", "b", "--yes"); !strings.HasPrefix(out, fmt.Sprintf("%d keys of b deleted, 0 failed;", left)) || s.cluster.Keys("b") != 0 {
				t.Errorf("going on: %d keys are left\n%s", s.cluster.Keys("b"), out)
			}
		})
	}
}
