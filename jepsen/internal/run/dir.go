package run

import (
	"crypto/sha256"
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
	Commit string // of the source that this program was run in; with "+" if it was changed since
	Ringd  string // SHA-256 of the binary under test
	Go     string
	Uname  string
}

func versions(ringd string) (Versions, error) {
	v := Versions{Go: runtime.Version(), Commit: commit()}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return v, err
	}
	v.Uname = strings.Join([]string{text(u.Sysname[:]), text(u.Release[:]), text(u.Version[:]), text(u.Machine[:])}, " ")
	f, err := os.Open(ringd)
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

// commit is "unknown" where there is no source.
func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	c := strings.TrimSpace(string(out))
	if changed, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output(); err != nil || len(changed) > 0 {
		c += "+"
	}
	return c
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
