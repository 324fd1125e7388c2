package command

import (
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/fakecluster"
)

func TestExitCodes(t *testing.T) {
	s := start(t)
	s.ok("put", "b", "one", "1")
	s.ok("put", "b", "two", "1")
	s.ok("put", "b", "two", "2")
	other := strings.TrimSpace(s.ok("get", "b", "one", "--context-only"))
	for _, c := range []struct {
		code exit.Code
		says string
		args []string
	}{
		{exit.Usage, `unknown command "nonsense"`, []string{"nonsense"}},
		{exit.Usage, `unknown command "nonsense"`, []string{"bucket-type", "nonsense"}},
		{exit.Usage, "unknown flag: --nonsense", []string{"get", "b", "k", "--nonsense"}},
		{exit.Usage, "accepts 2 arg(s)", []string{"get", "b"}},
		{exit.Usage, "use table or json", []string{"status", "-o", "xml"}},
		{exit.Usage, "HOST:PORT", []string{"status", "--addr", "localhost"}},
		{exit.Usage, "above 0", []string{"status", "--timeout", "0s"}},
		{exit.Usage, "use a number, one, quorum, all or none", []string{"get", "b", "k", "--r", "most"}},
		{exit.Usage, "KEY is empty", []string{"get", "b", ""}},
		{exit.Usage, "not base64", []string{"get", "b", "!", "--base64"}},
		{exit.Usage, "not base64", []string{"put", "b", "k", "v", "--context", "!"}},
		{exit.Usage, "--if-match needs --context", []string{"put", "b", "k", "v", "--if-match"}},
		{exit.Usage, "NAME=VALUE", []string{"put", "b", "k", "v", "--meta", "x"}},
		{exit.Usage, "VALUE is missing", []string{"put", "b", "k"}},
		{exit.Usage, "given twice", []string{"put", "b", "k", "v", "--file", "f"}},
		{exit.Usage, "use nothing, head or body", []string{"put", "b", "k", "v", "--return", "all"}},
		{exit.Usage, "context", []string{"put", "b", "two", "v", "--context", other}},
		{exit.Usage, "context", []string{"put", "b", "two", "v", "--context", base64.StdEncoding.EncodeToString([]byte("garbage"))}},
		{exit.Usage, "w: is 4", []string{"put", "b", "k", "v", "--w", "4"}},
		{exit.Usage, "above the limit of 1048576", []string{"put", "b", "k", strings.Repeat("v", 1<<20+1)}},
		{exit.Usage, "key: has 1025 bytes", []string{"get", "b", strings.Repeat("k", 1025)}},
		{exit.Usage, "too many", []string{"ring", "b", "k"}},
		{exit.Usage, "--key takes BUCKET and KEY", []string{"ring", "--key", "b"}},
		{exit.Usage, "partition", []string{"ring", "--partition", "8"}},
		{exit.Usage, "n is fixed", []string{"bucket-type", "update", "default", "--n", "2"}},
		{exit.Usage, `required flag(s) "bucket" not set`, []string{"export"}},
		{exit.Usage, "--resume needs FILE", []string{"export", "--bucket", "b", "--resume"}},
		{exit.Usage, "--workers 0", []string{"import", "x.jsonl", "--workers", "0"}},
		{exit.Usage, "--bucket is missing", []string{"import", "-"}},
		{exit.Usage, "invalid argument", []string{"completion", "tcsh"}},
		{exit.NotFound, "not found", []string{"get", "b", "nothing"}},
		{exit.NotFound, "nonsense", []string{"get", "b", "k", "--bucket-type", "nonsense"}},
		{exit.NotFound, "nonsense", []string{"keys", "b", "--bucket-type", "nonsense"}},
		{exit.NotFound, "nonsense", []string{"bucket-type", "describe", "nonsense"}},
		{exit.NotFound, "nonsense", []string{"import", "x.jsonl", "--bucket-type", "nonsense"}},
		{exit.NotFound, "no such file", []string{"import", filepath.Join(t.TempDir(), "none.jsonl")}},
		{exit.NotFound, "no such file", []string{"put", "b", "k", "--file", filepath.Join(t.TempDir(), "none")}},
		{exit.NotFound, "no sibling 3", []string{"get", "b", "two", "--sibling", "3"}},
		{exit.Precondition, "precondition", []string{"put", "b", "one", "v", "--if-absent"}},
		{exit.Precondition, "exists already", []string{"bucket-type", "create", "default"}},
		{exit.Siblings, "2 siblings", []string{"get", "b", "two"}},
		{exit.Unavailable, "no member answers at 127.0.0.1:1 (", []string{"status", "--addr", "127.0.0.1:1", "--timeout", "200ms"}},
	} {
		s.fails(c.code, c.says, c.args...)
	}
}

func TestExitCodesOfMembersErrors(t *testing.T) {
	s := start(t)
	for _, c := range []struct {
		exit   exit.Code
		says   string
		code   codes.Code
		change func(*ringdv1.ErrorDetail)
	}{
		{exit.Unavailable, "1 of 2 owners", codes.Unavailable, func(d *ringdv1.ErrorDetail) { d.Message, d.Needed, d.Got = "1 of 2 owners answered", 2, 1 }},
		{exit.Unavailable, "try again in", codes.ResourceExhausted, nil},
		{exit.Unknown, "read the key to find out", codes.DeadlineExceeded, func(d *ringdv1.ErrorDetail) { d.MaybeApplied = true }},
		{exit.Precondition, "another write came first", codes.Aborted, nil},
		{exit.Failed, "internal error", codes.Internal, nil},
	} {
		d := fakecluster.Refuse(c.code, "")
		if c.change != nil {
			c.change(d)
		}
		s.cluster.SetHook(func(*ringdv1.PipelineRequest) *ringdv1.ErrorDetail { return d })
		s.fails(c.exit, c.says, "put", "b", "k", "v")
	}
}

func TestErrorsAsJSON(t *testing.T) {
	s := start(t)
	code, _, errOut := s.run("get", "b", "nothing", "-o", "json")
	e := parse(t, errOut)["error"].(map[string]any)
	if code != exit.NotFound || e["code"] != "not_found" || e["exit_code"] != 3.0 || !strings.Contains(e["message"].(string), "nothing") {
		t.Errorf("exit code %d, %s", code, errOut)
	}
	_, _, errOut = s.run("put", "b", "k", "v", "--w", "4", "-o", "json")
	if e := parse(t, errOut)["error"].(map[string]any); e["field"] != "w" {
		t.Errorf("the field is not in %s", errOut)
	}
}
