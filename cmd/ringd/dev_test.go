package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/internal/member"
	"github.com/ringd/ringd/internal/proctest"
)

// devLog keeps the latest process id of each member, by the lines that say
// "name | runs as process N".
type devLog struct {
	mu struct {
		sync.Mutex
		rest []byte
		text bytes.Buffer
		pids map[string]int
		all  []int
	}
}

func (l *devLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.text.Write(p)
	l.mu.rest = append(l.mu.rest, p...)
	for {
		line, rest, ok := bytes.Cut(l.mu.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		l.mu.rest = rest
		name, pid, ok := strings.Cut(string(line), " | runs as process ")
		if !ok {
			continue
		}
		if n, err := strconv.Atoi(pid); err == nil {
			l.mu.pids[name] = n
			l.mu.all = append(l.mu.all, n)
		}
	}
}

func (l *devLog) pid(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.pids[name]
}

// TestDev runs the five members that the README speaks of, kills one, and stops
// them all.
func TestDev(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := new(devLog)
	log.mu.pids = make(map[string]int)
	cmd := exec.Command(proctest.Binary(t, "ringd"), "dev", "--nodes", "5", "--base-port", "0", "--dir", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = in, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		// Not SIGKILL: its children go with it if it is told to stop.
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = out.Close()
		if t.Failed() {
			log.mu.Lock()
			defer log.mu.Unlock()
			t.Logf("log:\n%s", log.mu.text.String())
		}
	})
	addrs := readyLine(t, out)
	if len(addrs) != 5 {
		t.Fatalf("the ready line names %q", addrs)
	}
	for _, a := range addrs {
		evenShares(t, a)
	}
	killAndReturn(t, log, dir)

	began := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("stopped with %v", err)
		}
	case <-time.After(15 * time.Second):
		t.Fatalf("it runs %v after it was told to stop", time.Since(began))
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	for _, pid := range log.mu.all {
		if serves(pid, dir) {
			t.Errorf("process %d outlived the one that started it", pid)
		}
	}
}

// readyLine waits for the line that begins with "ready", and returns the
// addresses in it.
func readyLine(t *testing.T, out *os.File) []string {
	t.Helper()
	if err := out.SetReadDeadline(time.Now().Add(proctest.Within)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if after, ok := strings.CutPrefix(lines.Text(), "ready: 5 members "); ok {
			return strings.Fields(after)
		}
		t.Errorf("on standard output: %q", lines.Text())
	}
	t.Fatalf("no line that says ready: %v", lines.Err())
	return nil
}

func adminAt(t *testing.T, addr string) ringdv1.AdminClient {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return ringdv1.NewAdminClient(conn)
}

// evenShares: three slots of 256 partitions over five members are 153 or 154
// each, and first slots 51 or 52.
func evenShares(t *testing.T, addr string) {
	t.Helper()
	proctest.Wait(t, addr+" to see five members with even shares", func(ctx context.Context) error {
		s, err := adminAt(t, addr).Status(ctx, &ringdv1.StatusRequest{})
		if err != nil {
			return err
		}
		if len(s.Members) != 5 || s.Partitions != 256 || s.Replicas != 3 {
			return fmt.Errorf("%d members, %d partitions, %d replicas", len(s.Members), s.Partitions, s.Replicas)
		}
		for _, m := range s.Members {
			if m.Slots < 153 || m.Slots > 154 || m.FirstSlots < 51 || m.FirstSlots > 52 || m.Liveness != ringdv1.Member_ALIVE {
				return fmt.Errorf("%s: %d slots, %d first, %v", m.Name, m.Slots, m.FirstSlots, m.Liveness)
			}
		}
		return nil
	})
}

// killAndReturn kills a member, and waits until another process serves in its
// place what was written before.
func killAndReturn(t *testing.T, log *devLog, dir string) {
	t.Helper()
	kvOf := func(name string) ringdv1.KVClient {
		at, err := member.ReadEndpoints(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return proctest.KV(t, proctest.At(name, proctest.Endpoints(at)))
	}
	all := &ringdv1.WriteOptions{W: symbol(ringdv1.Count_ALL)}
	if _, err := kvOf("n0").Put(within(t), &ringdv1.PutRequest{Key: key("k"), Value: []byte("v"), Options: all}); err != nil {
		t.Fatal(err)
	}
	killed := log.pid("n3")
	if killed == 0 {
		t.Fatal("the log does not say which process n3 is")
	}
	if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	proctest.Wait(t, "n3 to be back", func(ctx context.Context) error {
		if log.pid("n3") == killed {
			return fmt.Errorf("process %d is the last of n3", killed)
		}
		at, err := member.ReadEndpoints(filepath.Join(dir, "n3"))
		if err != nil {
			return err
		}
		r, err := proctest.KV(t, proctest.At("n3", proctest.Endpoints(at))).Get(ctx, &ringdv1.GetRequest{Key: key("k")})
		if err == nil && (len(r.Siblings) != 1 || string(r.Siblings[0].Value) != "v") {
			t.Fatalf("read of the member that is back: %v", r)
		}
		return err
	})
}

// serves reports whether pid is a member whose data is below dir. An id alone
// may be another process's by now.
func serves(pid int, dir string) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && bytes.Contains(line, []byte(dir))
}

// TestHTTP of a member, before and after it owns partitions.
func TestHTTP(t *testing.T) {
	t.Parallel()
	m := proctest.New(t, "m", filepath.Join(t.TempDir(), "data"))
	m.Start("--bootstrap", "--replicas", "1", "--partitions", "8")
	kv := proctest.KV(t, m)
	mustGet(t, m, "/healthz", http.StatusOK, "ok")
	mustGet(t, m, "/readyz", http.StatusServiceUnavailable, "ringctl commit")
	_, err := kv.Get(within(t), &ringdv1.GetRequest{Key: key("k")})
	refusal{code: codes.Unavailable, says: []string{"no owners", "ringctl commit"}}.check(t, err)

	status := proctest.Status(t, m)
	if _, err := proctest.Admin(t, m).Commit(within(t), &ringdv1.CommitRequest{Epoch: status.Epoch}); err != nil {
		t.Fatal(err)
	}
	proctest.Wait(t, "the member to be ready", func(context.Context) error {
		if code, body := fetch(t, m, "/readyz"); code != http.StatusOK {
			return fmt.Errorf("%d: %s", code, body)
		}
		return nil
	})
	mustPut(t, kv, &ringdv1.PutRequest{Key: key("k"), Value: []byte("v")})
	mustHold(t, kv, "k", "v")
	mustGet(t, m, "/healthz", http.StatusOK, "ok")
	mustGet(t, m, "/metrics", http.StatusOK,
		`ringd_request_seconds_count{op="put",outcome="ok"} 1`,
		`ringd_request_seconds_count{op="get",outcome="unavailable"} 1`)
	mustGet(t, m, "/debug/pprof/", http.StatusOK, "goroutine")
	mustGet(t, m, "/debug/pprof/goroutine?debug=1", http.StatusOK, "goroutine profile")
	mustGet(t, m, "/none", http.StatusNotFound)
}

func fetch(t *testing.T, m *proctest.Process, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(within(t), http.MethodGet, "http://"+m.At.HTTP+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func mustGet(t *testing.T, m *proctest.Process, path string, code int, words ...string) {
	t.Helper()
	got, body := fetch(t, m, path)
	if got != code {
		t.Errorf("%s: %d %s, want %d", path, got, body, code)
	}
	mustSay(t, body, words...)
}
