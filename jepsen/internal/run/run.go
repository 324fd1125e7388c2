package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringd/ringd/jepsen/internal/cluster"
	"github.com/ringd/ringd/jepsen/internal/history"
	"github.com/ringd/ringd/jepsen/internal/hosts"
	"github.com/ringd/ringd/jepsen/internal/nemesis"
	"github.com/ringd/ringd/jepsen/internal/workload"
)

const (
	// setupWithin bounds the time until clients can begin.
	setupWithin = 3 * time.Minute
	// opTimeout of one operation: members answer, if only that they can't, within
	// less.
	opTimeout = 3 * time.Second
)

// Longest is what the run takes, at most, with the time to heal faults.
func (c Config) Longest() time.Duration {
	return setupWithin + c.Time + nemesis.HealWithin + 4*c.Whole + time.Minute
}

// Run makes a run, tells on out what happens, and returns its result, which is in
// the run's directory, too. An error says that there is no directory.
func Run(ctx context.Context, config Config, page Page, out io.Writer) (Result, error) {
	r := Result{Dir: config.Dir, Info: Info{Config: config, Began: time.Now()}}
	if err := config.Validate(config.Network == ""); err != nil {
		return r, err
	}
	var err error
	if r.Versions, err = config.versions(); err != nil {
		return r, err
	}
	if err := os.MkdirAll(filepath.Dir(config.Dir), 0o755); err != nil {
		return r, err
	}
	if err := os.Mkdir(config.Dir, 0o755); err != nil {
		return r, fmt.Errorf("the directory of the run: %w", err)
	}
	if err := writeJSON(filepath.Join(config.Dir, infoFile), r.Info); err != nil {
		return r, err
	}
	h := &harness{config: config, out: out}
	h.reset()
	r.Verdict, err = h.run(ctx)
	if err != nil {
		r.Verdict.Outcome, r.Verdict.Why = Broken, err.Error()
	}
	if ctx.Err() != nil {
		r.Verdict.Outcome, r.Verdict.Why = Interrupted, "it was interrupted"
	}
	r.Verdict.Took = time.Since(r.Began)
	if r.History, err = history.Read(config.Dir); err != nil {
		return r, err
	}
	if r.Verdict.Outcome == Pass && !config.Keep {
		err = os.RemoveAll(filepath.Join(config.Dir, dataDir))
	}
	err = errors.Join(err, r.write(page))
	fmt.Fprint(out, r.Text())
	return r, err
}

// harness is what a run has while it goes on.
type harness struct {
	config   Config
	out      io.Writer
	began    atomic.Int64 // Unix time in nanoseconds
	workload workload.Workload
	nemeses  []*nemesis.Nemesis
	cluster  *cluster.Cluster
	record   *history.Recorder
	skipped  atomic.Int64

	mu sync.Mutex // guards out
}

func (h *harness) reset()               { h.began.Store(time.Now().UnixNano()) }
func (h *harness) since() time.Duration { return time.Duration(time.Now().UnixNano() - h.began.Load()) }

func (h *harness) say(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fmt.Fprintf(h.out, "%7.1fs  %s\n", h.since().Seconds(), fmt.Sprintf(format, args...))
}

// run returns an error if there was no run to be judged.
func (h *harness) run(ctx context.Context) (v Verdict, err error) {
	if h.workload, err = workloadNamed(h.config.Workload); err != nil {
		return v, err
	}
	v.Property = h.workload.Property()
	if h.nemeses, err = nemesis.Parse(h.config.Nemesis); err != nil {
		return v, err
	}
	if h.record, err = history.Record(h.config.Dir, h.config.PerSecond, h.since); err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, h.record.Close()) }()
	c := cluster.DefaultConfig()
	c.Program, c.Members, c.Since = h.config.Ringd, h.config.Members, h.since
	c.Data, c.Logs = filepath.Join(h.config.Dir, dataDir), filepath.Join(h.config.Dir, logsDir)
	for _, n := range h.nemeses {
		if n.Prepare != nil {
			c.Hooks = append(c.Hooks, n.Prepare)
		}
	}
	if h.config.Network != "" {
		c.Network = hosts.Join(h.config.Network)
		defer func() { err = errors.Join(err, c.Network.Close()) }()
	}
	h.cluster = cluster.New(c)
	defer func() { err = errors.Join(err, h.cluster.Close()) }()

	setup, cancel := context.WithTimeout(ctx, setupWithin)
	defer cancel()
	h.say("starting %d members", c.Members)
	if err := h.cluster.Start(setup); err != nil {
		return v, err
	}
	if err := h.workload.Setup(setup, h.session(-1)); err != nil {
		return v, fmt.Errorf("setting up workload %s: %w", h.workload.Name(), err)
	}
	h.reset()
	seen := append(h.load(ctx), h.end(ctx)...)
	for _, text := range h.cluster.Died() {
		seen = append(seen, history.Anomaly{Property: "members run", Text: text})
	}
	seen = append(seen, panics(c.Logs)...)
	for i := range seen {
		seen[i].Cluster = true
	}
	kept := h.record.History()
	if ctx.Err() == nil {
		h.say("checking")
		seen = append(h.workload.Check(kept), seen...)
	}
	property := v.Property
	v = judge(kept, seen, len(h.nemeses) > 0)
	v.Property, v.Skipped = property, int(h.skipped.Load())
	return v, nil
}

// session of a client; -1 is that of the harness itself.
func (h *harness) session(client int) *workload.Session {
	return &workload.Session{
		Client: client, Rand: rand.New(rand.NewPCG(h.config.Seed, uint64(client))),
		Members: h.cluster.Clients, Record: h.record, Timeout: opTimeout,
	}
}

// load has clients work and nemeses break for the run's time.
func (h *harness) load(ctx context.Context) (found []history.Anomaly) {
	h.say("%d clients work for %v, under %s", h.config.Clients, h.config.Time, h.config.Nemesis)
	ctx, cancel := context.WithTimeout(ctx, h.config.Time)
	defer cancel()
	var clients sync.WaitGroup
	for i := range h.config.Clients {
		clients.Go(func() { h.workload.Run(ctx, h.session(i)) })
	}
	err := nemesis.Run(ctx, h.cluster, h.nemeses, h.config.Seed, h.config.Time, h.since, h)
	clients.Wait()
	for _, e := range flat(err) {
		h.say("! %v", e)
		found = append(found, history.Anomaly{Property: "faults heal", Text: e.Error()})
	}
	return found
}

// flat are the errors that were joined.
func flat(err error) []error {
	if err == nil {
		return nil
	}
	var list []error
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			list = append(list, flat(e)...)
		}
		return list
	}
	return []error{err}
}

// end waits until the cluster is whole, and looks at what is there then.
func (h *harness) end(ctx context.Context) (found []history.Anomaly) {
	if ctx.Err() != nil {
		return nil
	}
	bad := func(property string, err error) {
		h.say("! %s: %v", property, err)
		found = append(found, history.Anomaly{Property: property, Text: err.Error()})
	}
	h.say("waiting until nothing is left of the faults")
	rng := rand.New(rand.NewPCG(h.config.Seed, 1))
	whole, cancel := context.WithTimeout(ctx, h.config.Whole)
	defer cancel()
	// A member that does not come back is said to be so, and what is left is read.
	if err := errors.Join(h.cluster.Abort(whole, rng), h.cluster.WaitWhole(whole)); err != nil {
		bad("the cluster gets whole", err)
	}
	h.say("reading what is there")
	final, cancel := context.WithTimeout(ctx, h.config.Whole)
	defer cancel()
	if err := h.workload.Final(final, h.session(-1)); err != nil {
		bad("all can be read in the end", err)
	}
	if len(found) > 0 {
		return found
	}
	gone, cancel := context.WithTimeout(ctx, h.config.Whole)
	defer cancel()
	if err := h.cluster.WaitGone(gone); err != nil {
		bad("removed members end", err)
	}
	quiet, cancel := context.WithTimeout(ctx, h.config.Whole)
	defer cancel()
	wrong, err := h.cluster.Quiet(quiet)
	if err != nil {
		bad("owners can be compared", err)
	}
	for _, w := range wrong {
		bad("owners agree", errors.New(w))
	}
	return found
}

// panics are those in the members' logs.
func panics(logs string) (found []history.Anomaly) {
	files, _ := filepath.Glob(filepath.Join(logs, "*.log"))
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for _, sign := range []string{"panic: ", "fatal error: ", "WARNING: DATA RACE"} {
			if _, rest, ok := strings.Cut("\n"+string(raw), "\n"+sign); ok {
				line, _, _ := strings.Cut(rest, "\n")
				found = append(found, history.Anomaly{Property: "members don't panic", Text: fmt.Sprintf("%s: %s%s", filepath.Base(path), sign, line)})
			}
		}
	}
	return found
}

// Begun implements nemesis.Log.
func (h *harness) Begun(f history.Fault) { h.say("%s %v %s", f.Name, f.Members, f.Detail) }

// Healed implements nemesis.Log.
func (h *harness) Healed(f history.Fault) {
	h.record.Fault(f)
	h.say("%s is over: %v %s", f.Name, f.Members, f.Detail)
}

// Skipped implements nemesis.Log.
func (h *harness) Skipped(name string, why error) {
	h.skipped.Add(1)
	h.say("%s did not come about: %v", name, why)
}

// Check judges a run's history again, and keeps the verdict. What was found of the
// cluster as a whole stays, as the history does not tell it.
func Check(dir string, page Page) (Result, error) {
	r, err := Read(dir)
	if err != nil {
		return r, err
	}
	w, err := workloadNamed(r.Config.Workload)
	if err != nil {
		return r, err
	}
	anomalies := w.Check(r.History)
	for _, a := range r.Verdict.Anomalies {
		if a.Cluster {
			anomalies = append(anomalies, a)
		}
	}
	v := judge(r.History, anomalies, r.Config.Nemesis != "none")
	v.Property, v.Skipped, v.Took = w.Property(), r.Verdict.Skipped, r.Verdict.Took
	r.Verdict = v
	return r, r.write(page)
}
