package exporting

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/fakecluster"
	"github.com/ringd/ringd/cmd/ringctl/internal/patience"
)

// An export that stops at some key, and is gone on with, gives the same file as
// one that does not stop.
func TestResume(t *testing.T) {
	const keys = 50
	cluster := fakecluster.New(t, 3)
	c, err := client.Dial(t.Context(), cluster.Addresses()...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	bucket := c.Bucket("b")
	for i := range keys {
		if _, err := bucket.Put(t.Context(), fmt.Sprintf("k%03d", i), fmt.Appendf(nil, "value %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	config := Config{Bucket: bucket, Workers: 4}
	config.Patience = patience.Patience{Timeout: client.DefaultConfig().Timeout}
	var whole bytes.Buffer
	if r := Run(t.Context(), Stream(&whole), config); r.Stopped != nil || r.Keys != keys {
		t.Fatalf("the export without a stop: %+v", r)
	}
	target := Target{Cluster: "c", BucketType: "default", Bucket: []byte("b")}
	for _, name := range []string{"out.jsonl", "out.jsonl.gz"} {
		for _, stop := range []string{"failure", "interruption"} {
			t.Run(name+" "+stop, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), name)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				cluster.SetHook(func(r *ringdv1.PipelineRequest) *ringdv1.ErrorDetail {
					if string(r.GetGet().GetKey().GetKey()) != "k030" {
						return nil
					}
					if stop == "interruption" {
						cancel()
						return nil
					}
					return fakecluster.Refuse(codes.Unavailable, "0 of 2 owners answered")
				})
				first := open(t, path, target, false)
				r := Run(ctx, first, config)
				if r.Stopped == nil || !first.Resumable() {
					t.Fatalf("it did not stop: %+v", r)
				}
				if _, err := os.Stat(path); err == nil {
					t.Error("the file has its name before it is complete")
				}
				// Lines behind the last checkpoint, as a crash leaves them.
				appendTo(t, path+PartSuffix, "garbage behind the last checkpoint")
				cluster.SetHook(nil)
				r = Run(t.Context(), open(t, path, target, true), config)
				if r.Stopped != nil || r.Keys != keys || r.Resumed < 20 || r.Resumed == keys {
					t.Errorf("going on: %+v", r)
				}
				if got := content(t, path); got != whole.String() {
					t.Errorf("the file has\n%s\nwant\n%s", got, whole.String())
				}
				if left, err := filepath.Glob(path + ".*"); err != nil || len(left) > 0 {
					t.Errorf("left behind: %v, %v", left, err)
				}
			})
		}
	}
}

func TestResumeOfSomethingElse(t *testing.T) {
	target := Target{Cluster: "c", BucketType: "default", Bucket: []byte("b")}
	other := target
	other.Cluster = "d"
	encoded, err := json.Marshal(target)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		state state
		part  string
		to    Target
		note  string
		at    int64
	}{
		"the same":        {state{Version: stateVersion, Target: encoded, Bytes: 3}, "abcdef", target, "", 3},
		"another cluster": {state{Version: stateVersion, Target: encoded, Bytes: 3}, "abcdef", other, "something else", 0},
		"a shorter file":  {state{Version: stateVersion, Target: encoded, Bytes: 7}, "abcdef", target, "no unfinished", 0},
		"another version": {state{Version: 99, Target: encoded, Bytes: 3}, "abcdef", target, "no unfinished", 0},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			s, err := json.Marshal(c.state)
			if err != nil {
				t.Fatal(err)
			}
			appendTo(t, path+Suffix, string(s))
			appendTo(t, path+PartSuffix, c.part)
			o, note, err := File(path, c.to, true)
			if err != nil {
				t.Fatal(err)
			}
			defer o.Abandon()
			if !strings.Contains(note, c.note) || (c.note == "") != (note == "") {
				t.Errorf("the note is %q", note)
			}
			if info, err := os.Stat(path + PartSuffix); err != nil || info.Size() != c.at {
				t.Errorf("the file was cut to %v, %v; want %d", info.Size(), err, c.at)
			}
		})
	}
}

func open(t *testing.T, path string, to Target, resume bool) *Output {
	t.Helper()
	o, note, err := File(path, to, resume)
	if err != nil || note != "" {
		t.Fatalf("note %q, error %v", note, err)
	}
	return o
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(path, ".gz") {
		return string(src)
	}
	z, err := gzip.NewReader(bytes.NewReader(src))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
