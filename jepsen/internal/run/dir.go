package run

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringd/ringd/jepsen/internal/history"
)

// What a run's directory holds, beside the history's files.
const (
	infoFile    = "run.json"
	verdictFile = "verdict.json"
	textFile    = "verdict.txt"
	logsDir     = "logs"
	dataDir     = "data"
	// pageFile is the page that a person looks at.
	pageFile = "index.html"
)

// Info is what has to be known to make a run again.
type Info struct {
	Config
	Began    time.Time
	Versions Versions
}

// Versions of what took part in a run.
type Versions struct {
	Commit  string // that ringd was built from, or "unknown"; with "+" if something was not committed
	Ringd   string // SHA-256 of the binary under test
	Harness string // commit of the source that this program was run in, written as Commit
	Go      string
	Uname   string
}

func (c Config) versions() (Versions, error) {
	v := Versions{Go: runtime.Version(), Harness: SourceCommit(), Commit: c.Commit}
	if v.Commit == "" {
		v.Commit = builtFrom(c.Ringd)
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return v, err
	}
	v.Uname = strings.Join([]string{text(u.Sysname[:]), text(u.Release[:]), text(u.Version[:]), text(u.Machine[:])}, " ")
	f, err := os.Open(c.Ringd)
	if err != nil {
		return v, fmt.Errorf("the binary under test: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return v, err
	}
	v.Ringd = hex.EncodeToString(sum.Sum(nil))
	return v, nil
}

func text(raw []byte) string { return unix.ByteSliceToString(raw) }

const unknownCommit = "unknown"

// commitLen is how many digits of a commit name it well enough.
const commitLen = 12

// builtFrom is the commit that go build has written into a program.
func builtFrom(path string) string {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return unknownCommit // it may be a script that runs one
	}
	commit, changed := unknownCommit, ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= commitLen:
			commit = s.Value[:commitLen]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+"
		}
	}
	return commit + changed
}

// SourceCommit is the commit of the working directory, with "+" if something is not
// committed.
func SourceCommit() string {
	out, err := exec.Command("git", "rev-parse", "HEAD").Output()
	if err != nil || len(out) < commitLen {
		return unknownCommit
	}
	commit := string(out[:commitLen])
	if changed, err := exec.Command("git", "status", "--porcelain").Output(); err != nil || len(changed) > 0 {
		commit += "+"
	}
	return commit
}

// Result is all of a run.
type Result struct {
	Dir string
	Info
	Verdict Verdict
	History history.History
}

// Page writes a page for people about a run. The one that is set is called with the
// path to write to, after every run and every check.
type Page func(path string, r Result) error

// Read returns the run that a directory holds. It has no verdict if it was killed.
func Read(dir string) (Result, error) {
	r := Result{Dir: dir}
	if err := readJSON(filepath.Join(dir, infoFile), &r.Info); err != nil {
		return r, fmt.Errorf("%s is not the directory of a run: %w", dir, err)
	}
	if err := readJSON(filepath.Join(dir, verdictFile), &r.Verdict); err != nil && !errors.Is(err, os.ErrNotExist) {
		return r, err
	}
	var err error
	r.History, err = history.Read(dir)
	return r, err
}

// write keeps the verdict, and the page.
func (r Result) write(page Page) error {
	err := errors.Join(
		writeJSON(filepath.Join(r.Dir, verdictFile), r.Verdict),
		os.WriteFile(filepath.Join(r.Dir, textFile), []byte(r.Text()), 0o644),
	)
	if page != nil {
		err = errors.Join(err, page(filepath.Join(r.Dir, pageFile), r))
	}
	return err
}

func readJSON(path string, v any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}

// Forget removes what a run keeps, except what it was and how it ended.
func Forget(dir string) error {
	var errs []error
	for _, name := range append(history.Files(), logsDir, dataDir) {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, name)))
	}
	return errors.Join(errs...)
}
