package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/fakecluster"
)

func TestExportFailures(t *testing.T) {
	s := start(t)
	dir := t.TempDir()
	s.ok("import", write(t, filepath.Join(dir, "b.jsonl"), numbered(10)))
	s.cluster.SetHook(func(r *ringdv1.PipelineRequest) *ringdv1.ErrorDetail {
		switch string(r.GetGet().GetKey().GetKey()) {
		case "k0003":
			return fakecluster.Refuse(codes.Internal, "a bug")
		case "k0004":
			return fakecluster.Refuse(codes.NotFound, "the key has no value")
		}
		return nil
	})
	out := filepath.Join(dir, "out.jsonl")
	code, stdout, errOut := s.run("export", "--bucket", "b", out, "-o", "json")
	doc := parse(t, stdout)
	if code != exit.Failed || doc["lines"] != 8.0 || doc["failed"] != 1.0 || doc["gone"] != 1.0 || doc["complete"] != true || !strings.Contains(errOut, "key k0003") {
		t.Errorf("exit code %d, %v\n%s", code, doc, errOut)
	}
	if src, err := os.ReadFile(out); err != nil || strings.Count(string(src), "\n") != 8 {
		t.Errorf("%v: the file has\n%s", err, src)
	}
}

func TestExportLeavesNothingHalfDone(t *testing.T) {
	s := start(t)
	dir := t.TempDir()
	s.ok("import", write(t, filepath.Join(dir, "b.jsonl"), numbered(10)))
	out := write(t, filepath.Join(dir, "out.jsonl"), "what was there\n")
	s.cluster.SetHook(func(r *ringdv1.PipelineRequest) *ringdv1.ErrorDetail {
		if r.GetGet() != nil {
			return fakecluster.Refuse(codes.Unavailable, "0 of 2 owners answered")
		}
		return nil
	})
	s.fails(exit.Failed, "the export stopped", "export", "--bucket", "b", out, "--retry-for", "0s")
	if src, err := os.ReadFile(out); err != nil || string(src) != "what was there\n" {
		t.Errorf("%v: the file has\n%s", err, src)
	}
	s.fails(exit.NotFound, "no such file", "export", "--bucket", "b", filepath.Join(dir, "none", "out.jsonl"))
	s.cluster.SetHook(nil)
	if _, _, errOut := s.run("export", "--bucket", "b", out, "--resume"); !strings.Contains(errOut, "no unfinished export") {
		t.Errorf("--resume without anything to resume:\n%s", errOut)
	}
	s.ok("export", "--bucket", "nothing", out)
	if src, err := os.ReadFile(out); err != nil || len(src) != 0 {
		t.Errorf("%v: an empty bucket gave %q", err, src)
	}
}

func TestExportLeavesOutDeletionsBesideValues(t *testing.T) {
	s := start(t)
	s.ok("put", "b", "k", "v")
	s.cluster.AddTombstone("b", "k")
	if got := s.ok("export", "--bucket", "b"); got != "{\"key\":\"k\",\"value\":\"v\"}\n" {
		t.Errorf("exported %s", got)
	}
}
