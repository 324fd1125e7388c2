package run

import (
	"fmt"
	"strings"
	"time"

	"github.com/ringd/ringd/jepsen/internal/history"
)

// Outcome is how a run ended.
type Outcome string

// The outcomes. Only Pass is one.
const (
	Pass Outcome = "pass"
	// Fail: something that ringd promises did not hold.
	Fail Outcome = "fail"
	// Inconclusive: nothing was seen to be wrong, but too little was seen.
	Inconclusive Outcome = "inconclusive"
	// Broken: the harness could not make the run.
	Broken Outcome = "broken"
	// Interrupted by a person, before the time was over.
	Interrupted Outcome = "interrupted"
)

// unknownPercentMax is how many of the writes may be without an answer in a run
// that passes: of too many one can say nothing.
const unknownPercentMax = 20

// Verdict is what is known of a run in the end.
type Verdict struct {
	Outcome Outcome `json:"outcome"`
	// Why is what made it no pass, in a line; empty for a pass.
	Why      string `json:"why,omitempty"`
	Property string `json:"property"`

	Ops     int `json:"ops"`
	OK      int `json:"ok"`
	Failed  int `json:"failed"`
	Unknown int `json:"unknown"`
	// Writes without a known outcome are a share of all writes: a read has one.
	Writes         int     `json:"writes"`
	UnknownPercent float64 `json:"unknown_percent"`

	Faults  int           `json:"faults"`
	Skipped int           `json:"skipped,omitempty"` // faults that did not come about
	Took    time.Duration `json:"took"`              // all of the run
	// Anomalies of the workload, and of the cluster as a whole.
	Anomalies []history.Anomaly `json:"anomalies,omitempty"`
}

// judge decides the outcome of a run that was made; broken says that something was
// to be broken in it.
func judge(h history.History, anomalies []history.Anomaly, broken bool) Verdict {
	v := Verdict{Anomalies: anomalies, Faults: len(h.Faults), Outcome: Pass}
	read, wrote := 0, 0
	for _, op := range h.Ops {
		v.Ops++
		if op.Write {
			v.Writes++
		}
		switch {
		case op.Outcome == history.Unknown:
			v.Unknown++
		case op.Outcome == history.Failed:
			v.Failed++
		case op.Write:
			v.OK++
			wrote++
		default:
			v.OK++
			read++
		}
	}
	if v.Writes > 0 {
		v.UnknownPercent = 100 * float64(v.Unknown) / float64(v.Writes)
	}
	switch {
	case len(anomalies) > 0:
		v.Outcome, v.Why = Fail, fmt.Sprintf("%d anomalies, such as: %s", len(anomalies), oneLine(anomalies[0].Text))
	case wrote == 0 || read == 0:
		v.Outcome, v.Why = Inconclusive, fmt.Sprintf("%d writes and %d reads were answered", wrote, read)
	case v.UnknownPercent > unknownPercentMax:
		v.Outcome, v.Why = Inconclusive, fmt.Sprintf("%.1f%% of the writes have no known outcome, of which %d%% are allowed", v.UnknownPercent, unknownPercentMax)
	case broken && v.Faults == 0:
		v.Outcome, v.Why = Inconclusive, "nothing was broken"
	}
	return v
}

const oneLineMax = 200

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > oneLineMax {
		s = s[:oneLineMax] + "..."
	}
	return s
}

// anomaliesTold is how many anomalies a text names; verdict.json has all.
const anomaliesTold = 20

// Text is the verdict for a person.
func (r Result) Text() string {
	v := r.Verdict
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s under %s, seed %d, %v\n", strings.ToUpper(string(v.Outcome)), r.Config.Workload, r.Config.Nemesis, r.Config.Seed, r.Config.Time)
	if v.Why != "" {
		fmt.Fprintf(&b, "  %s\n", v.Why)
	}
	fmt.Fprintf(&b, "  property: %s\n", v.Property)
	fmt.Fprintf(&b, "  %d operations: %d ok, %d failed, %d unknown (%.1f%% of %d writes)\n", v.Ops, v.OK, v.Failed, v.Unknown, v.UnknownPercent, v.Writes)
	fmt.Fprintf(&b, "  %d faults; %d did not come about\n", v.Faults, v.Skipped)
	for i, a := range v.Anomalies {
		if i == anomaliesTold {
			fmt.Fprintf(&b, "  and %d more, in %s\n", len(v.Anomalies)-i, verdictFile)
			break
		}
		fmt.Fprintf(&b, "  %s", a.Property)
		if a.Key != "" {
			fmt.Fprintf(&b, " of %s", a.Key)
		}
		if len(a.Ops) > 0 {
			fmt.Fprintf(&b, " (operations %v)", a.Ops)
		}
		fmt.Fprintf(&b, ": %s\n", oneLine(a.Text))
	}
	return b.String()
}

// Row is the run's line in RESULTS.md.
func (r Result) Row() string {
	v := r.Verdict
	return fmt.Sprintf("| %s | `%s` | %s | %s | %v | %d | %s | %d operations, %d faults, %.1f%% unknown |",
		r.Began.Format(time.DateOnly), r.Versions.Commit, r.Config.Workload, strings.ReplaceAll(r.Config.Nemesis, ",", ", "),
		r.Config.Time, r.Config.Seed, v.Outcome, v.Ops, v.Faults, v.UnknownPercent)
}
