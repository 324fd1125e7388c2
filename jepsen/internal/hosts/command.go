package hosts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// commandWithin bounds one call of ip or nft.
const commandWithin = 30 * time.Second

// ErrUnavailable is returned where hosts can't be made, with what is missing.
var ErrUnavailable = errors.New("no hosts of their own for members")

// Available returns an [ErrUnavailable] if hosts can't be made here.
func Available() error {
	if err := Root(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for _, name := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w: the program %s is missing", ErrUnavailable, name)
		}
	}
	return nil
}

// Root returns an error if this process is not root's, in its namespaces.
func Root() error {
	if os.Geteuid() != 0 {
		return errors.New("namespaces and mounts need root")
	}
	return nil
}

func ip(args ...string) error { return run("", "ip", args...) }

// run has a time limit of its own and not that of a caller: what is half made or
// half removed is worse than what takes long.
func run(stdin, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// removeAbandoned removes the namespaces of runs that were killed before they
// could remove their own. That one can't be removed is no reason not to run.
func removeAbandoned() {
	_ = removeAll(func(name string) bool {
		rest, ours := strings.CutPrefix(name, prefix)
		first, _, _ := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(first)
		return ours && err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
	})
}

func removeAll(which func(name string) bool) error {
	entries, err := os.ReadDir("/run/netns")
	if errors.Is(err, os.ErrNotExist) {
		return nil // no namespace was ever made here
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if which(e.Name()) {
			errs = append(errs, ip("netns", "delete", e.Name()))
		}
	}
	return errors.Join(errs...)
}
