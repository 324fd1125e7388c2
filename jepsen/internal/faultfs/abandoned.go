package faultfs

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// prefix begins the names of all mounts. The id of the process that made them
// follows, so that those of a process that was killed can be told.
const prefix = "ringd-jepsen-"

var mounts atomic.Int64 // made by this process

func mountName() string { return fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), mounts.Add(1)) }

// RemoveAbandoned unmounts the file systems of processes that were killed before
// they could do it, and returns where they were.
func RemoveAbandoned() ([]string, error) {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("faultfs: %w", err)
	}
	var removed []string
	var failed error
	for _, line := range strings.Split(string(raw), "\n") {
		dir, pid, ok := ours(line)
		if !ok || syscall.Kill(pid, 0) != syscall.ESRCH {
			continue
		}
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			failed = errors.Join(failed, fmt.Errorf("faultfs: unmount %s, which a killed process left: %w", dir, err))
			continue
		}
		removed = append(removed, dir)
	}
	return removed, failed
}

// ours reads a line of mountinfo (proc_pid_mountinfo(5)).
func ours(line string) (dir string, pid int, ok bool) {
	mount, super, found := strings.Cut(line, " - ")
	left, right := strings.Fields(mount), strings.Fields(super)
	if !found || len(left) < 5 || len(right) < 2 || right[0] != "fuse."+kind {
		return "", 0, false
	}
	rest, named := strings.CutPrefix(right[1], prefix)
	first, _, _ := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(first)
	return octal.Replace(left[4]), pid, named && err == nil
}

// octal undoes what mountinfo does to characters that would break its lines.
var octal = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
