package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
)

func TestValuesAreExact(t *testing.T) {
	s := start(t)
	value := "\x00\xff no line break"
	file := write(t, filepath.Join(t.TempDir(), "value"), value)
	s.ok("put", "b", "from file", "--file", file)
	s.in = strings.NewReader(value)
	s.ok("put", "b", "from stdin", "-")
	s.ok("put", "b", "from argument", "v")
	s.ok("put", "b", "empty", "")
	for key, want := range map[string]string{"from file": value, "from stdin": value, "from argument": "v", "empty": ""} {
		if got := s.ok("get", "b", key); got != want {
			t.Errorf("%s: %q", key, got)
		}
	}
	s.ok("put", "YmI=", "AAD/", "v", "--base64")
	if got := parse(t, s.ok("get", "YmI=", "AAD/", "--base64", "-o", "json")); got["bucket"] != "bb" || got["key_b64"] != "AAD/" {
		t.Errorf("the names are %v", got)
	}
}

func TestSiblings(t *testing.T) {
	s := start(t)
	s.ok("put", "carts", "bob", `{"eggs":6}`, "--content-type", "application/json", "--meta", "a=1=2")
	s.ok("put", "carts", "bob", "\xff")
	code, out, errOut := s.run("get", "carts", "bob")
	if code != exit.Siblings || out != "" || !strings.Contains(errOut, `{"eggs":6}`) || !strings.Contains(errOut, "(binary)") {
		t.Errorf("exit code %d, stdout %q, stderr:\n%s", code, out, errOut)
	}
	if got := s.ok("get", "carts", "bob", "--sibling", "2"); got != "\xff" {
		t.Errorf("sibling 2 is %q", got)
	}
	doc := parse(t, s.ok("get", "carts", "bob", "-o", "json"))
	siblings := doc["siblings"].([]any)
	first, second := siblings[0].(map[string]any), siblings[1].(map[string]any)
	if first["value"].(map[string]any)["eggs"] != 6.0 || first["metadata"].(map[string]any)["a"] != "1=2" || second["value_b64"] != "/w==" {
		t.Errorf("the siblings are %v", siblings)
	}
	context := strings.TrimSpace(s.ok("get", "carts", "bob", "--context-only"))
	if context != doc["context"] {
		t.Errorf("contexts %q and %q", context, doc["context"])
	}
	written := parse(t, s.ok("put", "carts", "bob", "merged", "--context", context, "--if-match", "--return", "body", "-o", "json"))
	if all := written["siblings"].([]any); len(all) != 1 || all[0].(map[string]any)["value"] != "merged" || len(written["request_id"].(string)) != 32 {
		t.Errorf("the put answered %v", written)
	}
	s.fails(exit.Precondition, "precondition", "put", "carts", "bob", "late", "--context", context, "--if-match")
	if got := s.ok("get", "carts", "bob"); got != "merged" {
		t.Errorf("the value is %q", got)
	}
	s.cluster.AddTombstone("carts", "bob")
	if code, _, errOut := s.run("get", "carts", "bob"); code != exit.Siblings || !strings.Contains(errOut, "(deleted)") {
		t.Errorf("exit code %d\n%s", code, errOut)
	}
	s.fails(exit.NotFound, "deletion", "get", "carts", "bob", "--sibling", "2")
}

func TestDelete(t *testing.T) {
	s := start(t)
	s.ok("put", "b", "k", "1")
	context := strings.TrimSpace(s.ok("get", "b", "k", "--context-only"))
	s.ok("put", "b", "k", "2")
	s.ok("delete", "b", "k", "--context", context)
	if code, out, _ := s.run("get", "b", "k", "-o", "json", "--sibling", "1"); code != exit.OK || !strings.Contains(out, `"value": "2"`) {
		t.Errorf("what came after the read is gone: %d\n%s", code, out)
	}
	s.ok("delete", "b", "k")
	s.fails(exit.NotFound, "not found", "get", "b", "k")
	code, out, _ := s.run("get", "b", "k", "-o", "json")
	if doc := parse(t, out); code != exit.NotFound || doc["found"] != false || doc["context"] == "" {
		t.Errorf("exit code %d\n%s", code, out)
	}
	s.ok("delete", "b", "was never there")
}

func TestListings(t *testing.T) {
	s := start(t)
	for _, key := range []string{"a", "b\n", "\xff", `"q"`, "ü", "c d"} {
		s.ok("put", "b", key, "v")
	}
	if got, want := s.ok("keys", "b"), "\"\\\"q\\\"\"\na\n\"b\\n\"\nc d\nü\n\"\\xff\"\n"; got != want {
		t.Errorf("keys:\n%s\nwant\n%s", got, want)
	}
	if got, want := s.ok("keys", "b", "--null"), "\"q\"\x00a\x00b\n\x00c d\x00ü\x00\xff\x00"; got != want {
		t.Errorf("keys --null: %q", got)
	}
	if got := s.ok("keys", "b", "-o", "json"); !strings.Contains(got, "{\"key\":\"b\\n\"}\n") || !strings.Contains(got, "{\"key_b64\":\"/w==\"}\n") {
		t.Errorf("keys -o json:\n%s", got)
	}
	if got := s.ok("keys", "nothing"); got != "" {
		t.Errorf("keys of an empty bucket: %q", got)
	}
	if got := s.ok("buckets"); got != "b\n" {
		t.Errorf("buckets: %q", got)
	}
	if got := s.ok("buckets", "-o", "json"); got != "{\"bucket\":\"b\"}\n" {
		t.Errorf("buckets -o json: %q", got)
	}
}

func TestOutputGoesNowhereElse(t *testing.T) {
	// A value that can't be read from its file leaves nothing behind.
	s := start(t)
	dir := t.TempDir()
	s.fails(exit.Failed, "is a directory", "put", "b", "k", "--file", dir)
	if n := s.cluster.Keys("b"); n != 0 {
		t.Errorf("%d keys were stored", n)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
}
