package command

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
)

// expiryIn is the expiry of a key's only value in the output of "get -o json".
func expiryIn(t *testing.T, s *session, bucket, key string, args ...string) (time.Time, bool) {
	t.Helper()
	doc := parse(t, s.ok(append([]string{"get", bucket, key, "-o", "json"}, args...)...))
	text, ok := doc["siblings"].([]any)[0].(map[string]any)["expiry"].(string)
	if !ok {
		return time.Time{}, false
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at, true
}

func TestTTL(t *testing.T) {
	s := start(t)
	before := time.Now().Add(-time.Millisecond)
	s.ok("put", "b", "k", "v", "--ttl", "90m")
	at, ok := expiryIn(t, s, "b", "k")
	if in := at.Sub(before); !ok || in < 90*time.Minute || in > 91*time.Minute {
		t.Errorf("it expires in %v", in)
	}
	date := at.Format("2006-01-02T15:04")
	for _, args := range [][]string{{"get", "b", "k", "--head"}, {"inspect", "b", "k"}} {
		if out := s.ok(args...); !strings.Contains(out, date) || !strings.Contains(out, "expires") {
			t.Errorf("%q doesn't say when it expires:\n%s", args, out)
		}
	}
	s.ok("put", "b", "stays", "v")
	if at, ok := expiryIn(t, s, "b", "stays"); ok {
		t.Errorf("a value without a ttl expires at %v", at)
	}
	for _, ttl := range []string{"0s", "-1s"} {
		s.fails(exit.Usage, "above 0", "put", "b", "k", "v", "--ttl", ttl)
	}
	s.fails(exit.Usage, "ttl", "put", "b", "k", "v", "--ttl", "1d")

	if out := s.ok("bucket-type", "create", "cache", "--ttl", "1h"); !strings.Contains(out, "1h0m0s") {
		t.Errorf("bucket-type create:\n%s", out)
	}
	s.ok("put", "b", "k", "v", "--bucket-type", "cache")
	if at, ok := expiryIn(t, s, "b", "k", "--bucket-type", "cache"); !ok || at.Sub(before) > 61*time.Minute {
		t.Errorf("the type's default was not taken: %v", at)
	}
	if out := s.ok("bucket-type", "update", "cache", "--w", "one"); !strings.Contains(out, "1h0m0s") {
		t.Errorf("the ttl was changed by the way:\n%s", out)
	}
	if out := s.ok("bucket-type", "update", "cache", "--ttl", "0"); strings.Contains(out, "1h0m0s") || !strings.Contains(out, "for ever") {
		t.Errorf("bucket-type update --ttl 0:\n%s", out)
	}
	s.fails(exit.Usage, "negative", "bucket-type", "update", "cache", "--ttl", "-1s")
}

// An export, imported elsewhere, gives values that expire when the first do.
func TestExpiryRoundTrip(t *testing.T) {
	s := start(t)
	s.ok("bucket-type", "create", "cache", "--ttl", "1h")
	const (
		dated  = `{"key":"dated","value":"v","expiry":"2094-01-31T12:00:00.123Z"}` + "\n"
		never  = `{"key":"never","value":"v","expiry":"never"}` + "\n"
		mixed  = `{"key":"two","siblings":[{"value":"a","expiry":"2094-01-31T12:00:00.000Z"},{"value":"b","expiry":"never"}]}` + "\n"
		silent = `{"key":"silent","value":"v"}` + "\n"
	)
	file := write(t, filepath.Join(t.TempDir(), "b.jsonl"), dated+never+silent+mixed)
	s.ok("import", file, "--bucket-type", "cache")
	at, _ := expiryIn(t, s, "b", "silent", "--bucket-type", "cache")
	if in := time.Until(at); in < 59*time.Minute || in > time.Hour {
		t.Errorf("a line without expiry expires in %v, want the type's default", in)
	}
	first := s.ok("export", "--bucket", "b", "--bucket-type", "cache")
	if want := dated + never + strings.Replace(silent, "}", `,"expiry":"`+timeText(at)+`"}`, 1) + mixed; first != want {
		t.Errorf("exported\n%swant\n%s", first, want)
	}
	s.ok("delete", "b", "silent", "--bucket-type", "cache")
	s.in = strings.NewReader(first)
	s.ok("import", "-", "--bucket", "c", "--bucket-type", "cache")
	if again := s.ok("export", "--bucket", "c", "--bucket-type", "cache"); again != first {
		t.Errorf("exported again\n%swant\n%s", again, first)
	}
	// The same lines once more are the same writes.
	puts := s.cluster.Puts()
	s.in = strings.NewReader(first)
	if s.ok("import", "-", "--bucket", "c", "--bucket-type", "cache"); s.cluster.Puts() != puts {
		t.Errorf("importing again wrote %d values", s.cluster.Puts()-puts)
	}
	// Where values stay for ever by default, nothing needs to be said.
	s.ok("put", "d", "k", "v")
	if got := s.ok("export", "--bucket", "d"); got != `{"key":"k","value":"v"}`+"\n" {
		t.Errorf("exported %s", got)
	}
}

func TestImportLeavesOutWhatHasExpired(t *testing.T) {
	s := start(t)
	file := write(t, filepath.Join(t.TempDir(), "b.jsonl"), `{"key":"gone","value":"v","expiry":"2001-01-31T12:00:00Z"}
{"key":"half","siblings":[{"value":"gone","expiry":"2001-01-31T12:00:00Z"},{"value":"there"}]}
{"key":"there","value":"v"}
`)
	if out := s.ok("import", file); !strings.Contains(out, "3 lines into b: 2 stored, 0 failed, 1 expired already") {
		t.Errorf("import printed %s", out)
	}
	if n, got := s.cluster.Puts(), s.ok("get", "b", "half"); n != 2 || got != "there" {
		t.Errorf("%d values were written; half is %q", n, got)
	}
	s.in = strings.NewReader(`{"key":"gone","value":"v","expiry":"2001-01-31T12:00:00Z"}`)
	doc := parse(t, s.ok("import", "-", "--bucket", "b", "-o", "json"))
	if doc["lines"] != 1.0 || doc["expired"] != 1.0 || doc["stored"] != 0.0 {
		t.Errorf("in JSON: %v", doc)
	}
}
