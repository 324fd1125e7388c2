package command

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/fakecluster"
)

const sample = `{"key":"json","value":{"z":1.50,"a":[12345678901234567890,"<&>\u2028"]}}
{"key":"json with type","value":[1],"content_type":"application/x+json"}
{"key":"number","value":-0.0}
{"key":"text","value":"line\nbreak","content_type":"text/plain","metadata":{"by":"me","at":"home"}}
{"key":"json text","value":"\"quoted\"","content_type":"application/json"}
{"key_b64":"/wA=","value_b64":"AAEC/w=="}
{"key":"empty","value":""}
{"key":"siblings","siblings":[{"value":{"two":2},"metadata":{"m":"n"}},{"value":"one"},{"value":"one"}]}
`

func sortedLines(s string) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func gunzip(t *testing.T, path string) string {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
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

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestImportExportRoundTrip(t *testing.T) {
	s := start(t)
	dir := t.TempDir()
	s.ok("import", write(t, filepath.Join(dir, "sample.jsonl"), sample))
	exported := s.ok("export", "--bucket", "sample")
	// What is written differs only where a line may say the same in two ways.
	want := strings.NewReplacer(`[1],"content_type":"application/x+json"`, `"[1]","content_type":"application/x+json"`,
		`{"by":"me","at":"home"}`, `{"at":"home","by":"me"}`).Replace(sample)
	if got := sortedLines(exported); got != sortedLines(want) {
		t.Errorf("exported:\n%s\nwant\n%s", got, sortedLines(want))
	}
	packed := filepath.Join(dir, "packed.jsonl.gz")
	s.ok("export", "--bucket", "sample", packed)
	if got := gunzip(t, packed); got != exported {
		t.Errorf("the gzip file has\n%s", got)
	}
	s.ok("import", packed)
	if got := s.ok("export", "--bucket", "packed"); got != exported {
		t.Errorf("a second round trip:\n%s\nwant\n%s", got, exported)
	}
	s.in = strings.NewReader(gzipped(t, sample))
	s.ok("import", "-", "--bucket", "piped")
	if got := sortedLines(s.ok("export", "--bucket", "piped", "-")); got != sortedLines(exported) {
		t.Errorf("from stdin:\n%s", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v: something was left behind", entries, err)
	}
}

func TestImportAgainChangesNothing(t *testing.T) {
	s := start(t)
	file := write(t, filepath.Join(t.TempDir(), "b.jsonl"), sample+sample)
	s.ok("import", file)
	before, puts := s.ok("export", "--bucket", "b"), s.cluster.Puts()
	if want := 7 + 3; puts != want {
		t.Errorf("%d values were written, want %d: a line that stands twice is one write", puts, want)
	}
	s.ok("import", file)
	if s.cluster.Puts() != puts || s.ok("export", "--bucket", "b") != before {
		t.Error("importing again changed something")
	}
	write(t, file, `{"key":"text","value":"other"}`)
	s.ok("import", file)
	if n := len(s.cluster.Siblings("b", "text")); n != 2 {
		t.Errorf("another value gave %d siblings, want 2", n)
	}
	s.ok("import", file, "--overwrite")
	if all := s.cluster.Siblings("b", "text"); len(all) != 1 || string(all[0].Value) != "other" {
		t.Errorf("after --overwrite the key has %v", all)
	}
	s.ok("delete", "b", "text")
	s.ok("import", file)
	// Also where what it writes is one of the siblings.
	s.ok("put", "b", "text", "beside it")
	s.ok("import", file, "--overwrite")
	if all := s.cluster.Siblings("b", "text"); len(all) != 1 || string(all[0].Value) != "other" {
		t.Errorf("after --overwrite with a sibling of it the key has %v", all)
	}
	s.ok("delete", "b", "text")
	s.ok("import", file)
	if got := s.ok("get", "b", "text", "--sibling", "2"); got != "other" {
		t.Errorf("a value that was deleted is not written again: %q", got)
	}
}

func TestImportDirectory(t *testing.T) {
	s := start(t)
	dir := filepath.Join(t.TempDir(), "tree.d")
	write(t, filepath.Join(dir, "a.json"), `{ "a": 1 }`)
	write(t, filepath.Join(dir, "sub", "b"), "\x00\xff")
	write(t, filepath.Join(dir, "sub", "empty"), "")
	if err := os.Symlink("a.json", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	code, out, errOut := s.run("import", dir)
	if code != exit.OK || !strings.Contains(out, "3 stored, 0 failed") || !strings.Contains(errOut, "1 entries") {
		t.Errorf("exit code %d\n%s%s", code, out, errOut)
	}
	for key, want := range map[string]string{"a.json": `{ "a": 1 }`, "sub/b": "\x00\xff", "sub/empty": ""} {
		if got := s.ok("get", "tree", key); got != want {
			t.Errorf("%s: %q", key, got)
		}
	}
	if all := s.cluster.Siblings("tree", "a.json"); all[0].ContentType != "application/json" {
		t.Errorf("the content type is %q", all[0].ContentType)
	}
}

func TestImportBadLines(t *testing.T) {
	s := start(t)
	dir := t.TempDir()
	text := "\ufeff" + strings.Join([]string{
		`{"key":"good","value":1}`, `not JSON`, ``, `{"value":1}`, `{"key":"both","value":1,"value_b64":""}`, `{"key":"b64","value_b64":"*"}`,
		`{"key":"","value":1}`, `{"key":"` + strings.Repeat("k", 1025) + `","value":1}`, `{"key":"large","value":"` + strings.Repeat("v", 1<<20+1) + `"}`,
		`{"key":"expires","value":1,"expiry":9}`, `{"key":"half","siblings":[{"value":"ok"},{"value":"` + strings.Repeat("v", 1<<20+1) + `"}]}`,
		`{"key":"also good","value":2}`, `{"key":"cut o`,
	}, "\n")
	file := write(t, filepath.Join(dir, "b.jsonl"), text)
	failed := filepath.Join(dir, "failed.jsonl")
	code, out, errOut := s.run("import", file, "--errors", failed)
	if code != exit.Failed || !strings.Contains(out, "12 lines into b: 2 stored, 10 failed") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	for _, says := range []string{
		"b.jsonl:2: not JSON", "b.jsonl:4: key: is missing", `b.jsonl:5: key both: value_b64: stands beside`, "b.jsonl:6: key b64: value_b64: not base64",
		"b.jsonl:7: key: is empty", "b.jsonl:9: key large:", "above the limit of 1048576", "b.jsonl:10: key expires: expiry: has to be a string",
		"b.jsonl:11: key half:", "b.jsonl:13: not JSON: it ends in the middle", "ringctl: 10 of 12 lines were not stored",
		"b.jsonl:8: key " + strings.Repeat("k", 64) + "...: invalid: key: has 1025 bytes",
	} {
		if !strings.Contains(errOut, says) {
			t.Errorf("stderr doesn't say %q:\n%s", says, errOut)
		}
	}
	if n := s.cluster.Keys("b"); n != 2 {
		t.Errorf("%d keys are there, want 2: nothing half done", n)
	}
	src, err := os.ReadFile(failed)
	if err != nil || strings.Count(string(src), "\n") != 10 {
		t.Errorf("--errors has %s, %v", src, err)
	}
	// What failed is tried again, and nothing else.
	code, out, _ = s.run("import", file, "-o", "json")
	if doc := parse(t, out); code != exit.Failed || doc["stored"] != 0.0 || doc["failed"] != 10.0 || doc["resumed"] != 3.0 || doc["complete"] != true || len(doc["failures"].([]any)) != 10 {
		t.Errorf("the second import: exit code %d, %v", code, doc)
	}
}

func TestImportOfDamagedFiles(t *testing.T) {
	s := start(t)
	dir := t.TempDir()
	whole := gzipped(t, strings.Repeat("{\"key\":\"k\",\"value\":1}\n", 10))
	for name, c := range map[string]struct{ data, says string }{
		"cut.jsonl.gz":   {whole[:len(whole)-9], "ends in the middle"},
		"bits.jsonl.gz":  {whole[:len(whole)-5] + "\xff" + whole[len(whole)-4:], "damaged"},
		"plain.jsonl.gz": {"{}\n", "can't be read as gzip"},
		"empty.jsonl.gz": {"", "can't be read as gzip"},
	} {
		s.fails(exit.Failed, c.says, "import", write(t, filepath.Join(dir, name), c.data))
	}
	long := filepath.Join(dir, "long.jsonl")
	write(t, long, `{"key":"k","value":"`+strings.Repeat("v", 33<<20)+"\"}\n{\"key\":\"next\",\"value\":1}\n")
	s.fails(exit.Failed, "long.jsonl:1: the line is longer than 33554432 bytes", "import", long)
	if n := s.cluster.Keys("long"); n != 1 {
		t.Errorf("%d keys: the line behind the long one has to be stored", n)
	}
}

func numbered(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, "{\"key\":\"k%04d\",\"value\":%d}\n", i, i)
	}
	return out.String()
}

func TestImportGoesOnAfterFailure(t *testing.T) {
	s := start(t)
	const n = 500
	file := write(t, filepath.Join(t.TempDir(), "b.jsonl"), numbered(n))
	s.cluster.SetHook(func(r *ringdv1.PipelineRequest) *ringdv1.ErrorDetail {
		if string(r.GetPut().GetKey().GetKey()) == "k0300" {
			return fakecluster.Refuse(codes.Unavailable, "1 of 2 owners answered")
		}
		return nil
	})
	args := []string{"import", file, "--workers", "4", "--retry-for", "0s"}
	code, out, errOut := s.run(args...)
	if code != exit.Failed || !strings.Contains(errOut, "b.jsonl:301: key k0300") || !strings.Contains(errOut, "the same command goes on") {
		t.Fatalf("exit code %d\n%s%s", code, out, errOut)
	}
	if _, err := os.Stat(file + journalSuffix); err != nil {
		t.Fatalf("there is no journal: %v", err)
	}
	first := s.cluster.Puts()
	if first < 296 || first >= n {
		t.Errorf("%d lines were stored before the import stopped at line 301", first)
	}
	var sent atomic.Int64
	s.cluster.SetHook(func(r *ringdv1.PipelineRequest) *ringdv1.ErrorDetail {
		if r.GetPut() != nil {
			sent.Add(1)
		}
		return nil
	})
	doc := parse(t, s.ok(append(args, "-o", "json")...))
	if doc["stored"] != float64(sent.Load()) || doc["resumed"].(float64)+doc["stored"].(float64) != n || doc["resumed"].(float64) < 296 {
		t.Errorf("the second import sent %d, and says %v", sent.Load(), doc)
	}
	if got := s.cluster.Keys("b"); got != n {
		t.Errorf("%d keys, want %d", got, n)
	}
	if _, err := os.Stat(file + journalSuffix); err == nil {
		t.Error("the journal is still there")
	}
}

func TestImportInterrupted(t *testing.T) {
	s := start(t)
	const n = 300
	file := write(t, filepath.Join(t.TempDir(), "b.jsonl"), numbered(n))
	state := filepath.Join(t.TempDir(), "state")
	ctx, cancel := context.WithCancel(t.Context())
	var seen atomic.Int64
	s.cluster.SetHook(func(r *ringdv1.PipelineRequest) *ringdv1.ErrorDetail {
		if seen.Add(1) == 100 {
			cancel()
		}
		return nil
	})
	code, out, errOut := s.runContext(ctx, "import", file, "--state", state, "--workers", "2")
	if code != exit.Failed || !strings.Contains(errOut, "interrupted") {
		t.Fatalf("exit code %d\n%s%s", code, out, errOut)
	}
	stored := s.cluster.Keys("b")
	if stored < 99 || stored >= n {
		t.Errorf("%d keys were stored before the interruption", stored)
	}
	doc := parse(t, s.ok("import", file, "--state", state, "-o", "json"))
	if doc["resumed"] != float64(stored) || s.cluster.Keys("b") != n {
		t.Errorf("after %d keys the second import says %v, and there are %d", stored, doc, s.cluster.Keys("b"))
	}
}

func TestImportJournalOfSomethingElse(t *testing.T) {
	s := start(t)
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "b.jsonl"), "x\n"+numbered(5))
	s.fails(exit.Failed, "1 of 6 lines", "import", file)
	write(t, file, numbered(7))
	_, out, errOut := s.run("import", file)
	if !strings.Contains(errOut, "beginning anew") || !strings.Contains(out, "7 stored, 0 failed;") {
		t.Errorf("of a changed file:\n%s%s", out, errOut)
	}
	write(t, file+journalSuffix, "garbage")
	if _, out, errOut := s.run("import", file); !strings.Contains(errOut, "no journal") || !strings.Contains(out, "7 stored") {
		t.Errorf("with a damaged journal:\n%s%s", out, errOut)
	}
	s.fails(exit.Failed, "is a directory", "import", file, "--state", dir)
}

func TestImportRetries(t *testing.T) {
	s := start(t)
	file := write(t, filepath.Join(t.TempDir(), "b.jsonl"), numbered(20))
	var refused atomic.Int64
	s.cluster.SetHook(func(r *ringdv1.PipelineRequest) *ringdv1.ErrorDetail {
		if r.GetPut() != nil && refused.Add(1) <= 30 {
			return &ringdv1.ErrorDetail{Code: int32(codes.DeadlineExceeded), Message: "lost", MaybeApplied: true}
		}
		return nil
	})
	if out := s.ok("import", file); !strings.Contains(out, "20 stored, 0 failed") {
		t.Errorf("%s", out)
	}
	if s.cluster.Puts() != 20 {
		t.Errorf("%d puts took effect, want 20", s.cluster.Puts())
	}
}
