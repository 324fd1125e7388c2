package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"html"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ringd/ringd/jepsen/internal/history"
	"github.com/ringd/ringd/jepsen/internal/report"
)

var update = flag.Bool("update", false, "write the golden page anew")

// hostile is what would be a script, an element or the end of either, were it not text.
const hostile = `</script><script>alert(1)</script><img src=x onerror=alert(2)>"'&amp;` + "\u2028" + `<!--`

func small() report.Run {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	return report.Run{
		Workload: "register", Nemesis: "kill,partition-halves", Seed: 42,
		Command: "jepsen run --workload register --seed 42", Commit: "0123456789ab",
		Began: time.Date(2026, 11, 29, 1, 2, 3, 0, time.UTC), Verdict: "fail", Why: "1 anomalies, such as: lost",
		Property: "every acknowledged write is visible or replaced",
		History: history.History{
			Ops: []history.Op{
				{ID: 0, Client: 0, Member: "a", Kind: "put", Key: "k1", Write: true, Value: "v0", Begin: ms(1), End: ms(4), Outcome: history.OK, Level: "w=2"},
				{ID: 1, Client: 1, Member: "b", Kind: "get", Key: "k1", Values: []string{"v0"}, Begin: ms(3), End: ms(9), Outcome: history.OK},
				{ID: 2, Client: 0, Member: "c", Kind: "put", Key: hostile, Write: true, Value: hostile, Replaces: []string{"v0"}, Begin: ms(10), End: ms(3010), Outcome: history.Unknown, Error: hostile, Attempts: 2},
				{ID: 3, Client: 1, Member: "b", Kind: "get", Key: "k1", Begin: ms(20), End: ms(21), Outcome: history.Failed, Error: "not enough owners"},
				{ID: 4, Client: 1, Member: "b", Kind: "get", Key: "k1", Begin: ms(3020), End: ms(3022), Final: true, Outcome: history.OK},
			},
			Faults: []history.Fault{
				{Name: "kill", Members: []string{"b", "c"}, Begin: ms(15), End: ms(1500)},
				{Name: "partition-halves", Detail: hostile, Begin: ms(1000)},
			},
		},
		Anomalies: []history.Anomaly{{Property: "lost", Key: "k1", Ops: []int{0, 4}, Text: "v0 was acknowledged and is not there " + hostile}},
	}
}

func write(t testing.TB, r report.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// raw is what an HTML parser takes as text up to the element's end.
var raw = regexp.MustCompile(`(?s)<(script|style)[^>]*>(.*?)</(?:script|style)>`)

// parse reads the page as strictly as XML, in which it is written but for what scripts
// and styles hold.
func parse(t *testing.T, page string) (elements map[string]int, text string) {
	t.Helper()
	elements = make(map[string]int)
	d := xml.NewDecoder(strings.NewReader(raw.ReplaceAllString(page, "<$1></$1>")))
	d.Entity = xml.HTMLEntity
	var all strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return elements, all.String()
		}
		if err != nil {
			t.Fatalf("the page is not well formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			elements[token.Name.Local]++
			for _, a := range token.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "src" || a.Name.Local == "style" {
					t.Errorf("element %s has attribute %s=%q", token.Name.Local, a.Name.Local, a.Value)
				}
				if a.Name.Local == "href" && !strings.HasPrefix(a.Value, "#") {
					t.Errorf("a link leaves the page: %q", a.Value)
				}
			}
		case xml.CharData:
			all.Write(token)
		}
	}
}

func TestPageSaysWhatTheRunWas(t *testing.T) {
	elements, text := parse(t, write(t, small()))
	for name, n := range map[string]int{"html": 1, "body": 1, "script": 2, "style": 1, "img": 0, "link": 0, "canvas": 5} {
		if elements[name] != n {
			t.Errorf("%d elements %s, want %d", elements[name], name, n)
		}
	}
	text = strings.Join(strings.Fields(text), " ")
	for _, want := range []string{
		"fail register under kill,partition-halves", "1 anomalies, such as: lost",
		"every acknowledged write is visible or replaced", "jepsen run --workload register --seed 42", "0123456789ab",
		"2026-11-29 01:02:03 UTC, for 3.0 s", "get3210", "put2101 50.0%", "all5311 20.0%",
		"killb, c15 ms1.5 s", "the end", "v0 was acknowledged and is not there", "operations 0 4",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q:\n%s", want, text)
		}
	}
}

// TestHostileStringsStayText has what a member answered, and a client wrote, try to be
// a script.
func TestHostileStringsStayText(t *testing.T) {
	page := write(t, small())
	for _, bad := range []string{"<img", "alert(1)</script>", "<script>alert", "<!--"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	scripts := raw.FindAllStringSubmatch(page, -1)
	if len(scripts) != 3 || !strings.Contains(scripts[1][2], `\u003c/script\u003e\u003cscript\u003e`) {
		t.Errorf("the data are not where they should be, or not escaped: %d raw elements", len(scripts))
	}
	// Whatever a string may become after all, the policy lets no script of it run.
	if policy := regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page); policy == nil ||
		!strings.HasPrefix(policy[1], "default-src &#39;none&#39;; script-src &#39;sha256-") || strings.Contains(policy[1], "unsafe") {
		t.Errorf("policy: %q", policy)
	}
	policy := html.UnescapeString(page)
	for _, part := range []string{scripts[0][2], scripts[2][2]} {
		sum := sha256.Sum256([]byte(part))
		if named := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, named) {
			t.Errorf("the policy does not let run, or apply, what begins with %.40q", part)
		}
	}
}

// TestGolden pins the page but for its scripts and its style, which are files.
func TestGolden(t *testing.T) {
	page := raw.ReplaceAllStringFunc(write(t, small()), func(s string) string {
		if strings.Contains(s, "application/json") {
			return s
		}
		return s[:strings.Index(s, ">")+1] + "..." + s[strings.LastIndex(s, "<"):]
	})
	page = regexp.MustCompile(`sha256-.*?=&#39;`).ReplaceAllString(page, "sha256-...&#39;")
	golden := filepath.Join("testdata", "small.html")
	if *update {
		if err := os.WriteFile(golden, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if page != string(want) {
		t.Errorf("the page is not as in %s (-update writes it anew):\n%s", golden, page)
	}
}

func TestRunWithoutAnything(t *testing.T) {
	_, text := parse(t, write(t, report.Run{Workload: "set", Nemesis: "none", Verdict: "inconclusive"}))
	for _, want := range []string{"The history has no operations.", "Nothing was broken.", "None."} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// large has so many operations as a run is expected to have at most, and everywhere an
// anomaly.
func large(ops int) report.Run {
	r := report.Run{Workload: "set", Nemesis: "kill", Verdict: "fail"}
	for i := range ops {
		begin := time.Duration(i) * 600 * time.Microsecond
		op := history.Op{
			ID: i, Client: i % 20, Member: fmt.Sprintf("n%d", i%5), Kind: "get", Key: fmt.Sprintf("key-%d", i%3000),
			Begin: begin, End: begin + time.Duration(1+i%13)*time.Millisecond, Outcome: history.OK, Values: []string{fmt.Sprintf("value-%d", i-1)},
		}
		if i%2 == 0 {
			op.Kind, op.Write, op.Value, op.Values = "put", true, fmt.Sprintf("value-%d", i), nil
		}
		if i%50 == 0 {
			op.Outcome, op.Error, op.End = history.Unknown, "deadline", op.End+2*time.Second
		}
		r.History.Ops = append(r.History.Ops, op)
		if i%10 == 0 {
			r.Anomalies = append(r.Anomalies, history.Anomaly{Property: "lost", Key: op.Key, Ops: []int{i}, Text: "lost"})
		}
	}
	for i := range 12 {
		from := time.Duration(i) * 5 * time.Second
		r.History.Faults = append(r.History.Faults, history.Fault{Name: []string{"kill", "pause"}[i%2], Members: []string{"n1", "n2"}, Begin: from, End: from + 4*time.Second})
	}
	return r
}

func TestLargeRunStaysSmall(t *testing.T) {
	const ops, bytesMax = 100_000, 12 << 20
	page := write(t, large(ops))
	if len(page) > bytesMax {
		t.Errorf("a page of %d operations has %d bytes, want at most %d", ops, len(page), bytesMax)
	}
	if n := strings.Count(page, `id="anomaly-`); n != report.AnomaliesMax {
		t.Errorf("%d anomalies are listed, want %d", n, report.AnomaliesMax)
	}
	if !strings.Contains(page, "and 9500 more") {
		t.Error("it is not said how many anomalies are left out")
	}
}

// TestScript runs the page's script, where there is a JavaScript engine, on a document
// that notes what is drawn: testdata/script.js has what is expected.
func TestScript(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node to run the page's script")
	}
	for name, r := range map[string]report.Run{"small": small(), "large": large(100_000), "empty": {}} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "page.html")
			if err := os.WriteFile(path, []byte(write(t, r)), 0o644); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(node, filepath.Join("testdata", "script.js"), path, name).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}
