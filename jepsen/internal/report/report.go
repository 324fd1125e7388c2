// Package report writes the page on which a person looks at one run: what was asked
// for, how it ended, and every operation against the faults. It is one file that needs
// no other.
package report

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"io"
	"time"

	"github.com/ringd/ringd/jepsen/internal/history"
)

// Run is what a page is written of.
type Run struct {
	Workload, Nemesis string
	Seed              uint64
	Command           string
	Commit            string // of the ringd under test
	Began             time.Time
	// Verdict is how the run ended, in a word: pass, fail, inconclusive.
	Verdict string
	// Why is the reason of a verdict that is no pass, in a line.
	Why string
	// Property is what the history was held to.
	Property  string
	History   history.History
	Anomalies []history.Anomaly
}

// AnomaliesMax is how many anomalies a page lists: a person reads the first few, and a
// run in which everything is wrong would have more of them than operations.
const AnomaliesMax = 500

//go:embed page
var files embed.FS

// scripts are the page's, in the order in which they run.
var scripts = []string{"run.js", "view.js", "charts.js", "timeline.js", "details.js", "events.js"}

var page = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"seconds": seconds, "percent": percent,
}).ParseFS(files, "page/page.html"))

// content is what the template shows.
type content struct {
	Run
	Summary Summary
	Policy  string
	Style   template.CSS
	// Listed are the first anomalies, More how many there are besides.
	Listed []history.Anomaly
	More   int
}

// Write writes the page of a run.
func Write(w io.Writer, r Run) error {
	style, err := files.ReadFile("page/page.css")
	if err != nil {
		return err
	}
	var script bytes.Buffer
	for _, name := range scripts {
		part, err := files.ReadFile("page/" + name)
		if err != nil {
			return err
		}
		script.Write(part)
	}
	data, err := json.Marshal(pack(r))
	if err != nil {
		return err
	}
	c := content{Run: r, Summary: summarize(r.History), Style: template.CSS(style), Listed: r.Anomalies}
	if len(c.Listed) > AnomaliesMax {
		c.Listed, c.More = c.Listed[:AnomaliesMax], len(c.Listed)-AnomaliesMax
	}
	// What clients wrote and members answered is on the page. Should it ever pass for
	// markup, the browser still runs no script but this one, and fetches nothing.
	c.Policy = "default-src 'none'; script-src " + hash(script.Bytes()) + "; style-src " + hash(style)
	var head bytes.Buffer
	if err := page.Execute(&head, c); err != nil {
		return err
	}
	for _, part := range [][]byte{
		head.Bytes(),
		// Marshal has written <, > and & as escapes: data can't end the element.
		[]byte("<script type=\"application/json\" id=\"run\">"), data, []byte("</script>\n<script>"), script.Bytes(),
		[]byte("</script>\n</body>\n</html>\n"),
	} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// hash is how a content security policy names a script or a style.
func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
