package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// The files of a history in its directory.
const (
	opsFile    = "history.jsonl"
	faultsFile = "faults.jsonl"
)

// Files are the names of a history's files.
func Files() []string { return []string{opsFile, faultsFile} }

// Recorder keeps the operations and faults of a run in its directory, as they end.
// It is safe for use by several clients.
type Recorder struct {
	since func() time.Duration
	every time.Duration // between two operations; 0 is as fast as they come

	mu struct {
		sync.Mutex
		next   time.Duration // when the next operation may begin
		ops    int
		done   []Op
		faults []Fault
		err    error // of writing
		// files and what encodes into them
		opsTo, faultsTo   *os.File
		encOps, encFaults *json.Encoder
	}
}

// Record begins a history in a directory that has none. Operations begin no faster
// than perSecond, all clients together; 0, and Final ones, are not held back.
func Record(dir string, perSecond int, since func() time.Duration) (*Recorder, error) {
	r := &Recorder{since: since}
	if perSecond > 0 {
		r.every = time.Second / time.Duration(perSecond)
	}
	var err, err2 error
	r.mu.opsTo, err = create(dir, opsFile)
	r.mu.faultsTo, err2 = create(dir, faultsFile)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	r.mu.encOps, r.mu.encFaults = json.NewEncoder(r.mu.opsTo), json.NewEncoder(r.mu.faultsTo)
	return r, nil
}

func create(dir, name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
}

// Begin gives the operation its id and the time at which it begins, which may be a
// little later.
func (r *Recorder) Begin(op Op) Op {
	if r.every > 0 && !op.Final {
		time.Sleep(r.turn())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	op.ID, op.Begin = r.mu.ops, r.since()
	r.mu.ops++
	return op
}

// turn is how long it is until the next operation may begin.
func (r *Recorder) turn() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.since()
	at := max(r.mu.next, now)
	r.mu.next = at + r.every
	return at - now
}

// End keeps the operation, with the time at which it ends.
func (r *Recorder) End(op Op) Op {
	r.mu.Lock()
	defer r.mu.Unlock()
	op.End = r.since()
	r.mu.done = append(r.mu.done, op)
	r.mu.err = errors.Join(r.mu.err, r.mu.encOps.Encode(op))
	return op
}

// Fault keeps a fault that is over.
func (r *Recorder) Fault(f Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.faults = append(r.mu.faults, f)
	r.mu.err = errors.Join(r.mu.err, r.mu.encFaults.Encode(f))
}

// History is what was kept so far.
func (r *Recorder) History() History {
	r.mu.Lock()
	defer r.mu.Unlock()
	return inOrder(slices.Clone(r.mu.done), slices.Clone(r.mu.faults))
}

// Close returns an error if something could not be kept.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.mu.err, r.mu.opsTo.Close(), r.mu.faultsTo.Close())
}

func inOrder(ops []Op, faults []Fault) History {
	slices.SortFunc(ops, func(a, b Op) int { return a.ID - b.ID })
	slices.SortFunc(faults, func(a, b Fault) int { return int(a.Begin - b.Begin) })
	return History{Ops: ops, Faults: faults}
}

// Read returns the history that is kept in a directory.
func Read(dir string) (History, error) {
	ops, err := readLines[Op](filepath.Join(dir, opsFile))
	if err != nil {
		return History{}, err
	}
	faults, err := readLines[Fault](filepath.Join(dir, faultsFile))
	if err != nil {
		return History{}, err
	}
	return inOrder(ops, faults), nil
}

// readLines skips a last line that is not whole: the run was killed.
func readLines[T any](path string) ([]T, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []T
	lines := bufio.NewReader(f)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		list = append(list, v)
	}
}
