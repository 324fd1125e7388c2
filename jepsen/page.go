package main

import (
	"bufio"
	"errors"
	"os"
	"strings"

	"github.com/ringd/ringd/jepsen/internal/report"
	"github.com/ringd/ringd/jepsen/internal/run"
)

// page writes the page of a run that a person looks at.
func page(path string, r run.Result) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	if err := report.Write(w, report.Run{
		Workload: r.Config.Workload, Nemesis: r.Config.Nemesis, Seed: r.Config.Seed,
		Command: strings.Join(r.Config.Command, " "), Commit: r.Versions.Commit, Began: r.Began,
		Verdict: string(r.Verdict.Outcome), Why: r.Verdict.Why, Property: r.Verdict.Property,
		History: r.History, Anomalies: r.Verdict.Anomalies,
	}); err != nil {
		return err
	}
	return w.Flush()
}
