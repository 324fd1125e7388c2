package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/internal/proctest"
)

func newGateway(t *testing.T, name, dir string) *proctest.Process {
	return proctest.New(t, name, dir, proctest.Args("--role", "gateway"))
}

// ctl runs ringctl against one member, and returns what it printed.
func ctl(t *testing.T, p *proctest.Process, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(within(t), proctest.Binary(t, "ringctl"), append([]string{"--addr", p.At.GRPC}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ringctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// throughOne writes n keys by requests to one member and no other, and reads them
// back, by owners only.
func throughOne(t *testing.T, p *proctest.Process, prefix string, n int) {
	t.Helper()
	kv, strict := proctest.KV(t, p), false
	two := &ringdv1.Count{Count: &ringdv1.Count_Number{Number: 2}}
	every(t, 0, n, func(ctx context.Context, k string) error {
		k = prefix + k
		if _, err := kv.Put(ctx, &ringdv1.PutRequest{Key: key(k), Value: []byte("value of " + k), Options: &ringdv1.WriteOptions{Pw: two, Sloppy: &strict}}); err != nil {
			return err
		}
		r, err := kv.Get(ctx, &ringdv1.GetRequest{Key: key(k), Pr: two, Sloppy: &strict})
		if err == nil && !slices.Equal(valuesOf(r), []string{"value of " + k}) {
			err = fmt.Errorf("it has %q", valuesOf(r))
		}
		return err
	})
}

// seen waits until a member is up as another one sees it, and returns it.
func seen(t *testing.T, by *proctest.Process, name string) (found *ringdv1.Member) {
	t.Helper()
	proctest.Wait(t, name+" to be seen by "+by.Name, func(ctx context.Context) error {
		s, err := proctest.Admin(t, by).Status(ctx, &ringdv1.StatusRequest{})
		if err != nil {
			return err
		}
		for _, m := range s.Members {
			if m.Name == name && m.Liveness == ringdv1.Member_ALIVE {
				found = m
				return nil
			}
		}
		return fmt.Errorf("it sees %v", s.Members)
	})
	return found
}

func TestGateway(t *testing.T) {
	t.Parallel()
	cluster := proctest.Start(t, 3)
	front := newGateway(t, "front", filepath.Join(t.TempDir(), "front"))
	front.Start("--join", cluster.Members[1].At.GRPC)
	throughOne(t, front, "up-", 200)

	t.Run("ringctl", func(t *testing.T) { ctlThrough(t, front) })
	t.Run("keeps nothing", func(t *testing.T) {
		files, err := os.ReadDir(front.Dir)
		if err != nil {
			t.Fatal(err)
		}
		known := []string{"LOCK", "endpoints.json", "identity.json", "peers.json", "starts.json", "state.json"}
		for _, f := range files {
			if !slices.Contains(known, f.Name()) && !strings.HasSuffix(f.Name(), ".new") {
				t.Errorf("its directory has %s", f.Name())
			}
		}
		m := seen(t, cluster.Members[0], "front")
		if m.Role != "gateway" || m.Slots != 0 || m.Raft != "" {
			t.Errorf("it is %v", m)
		}
	})

	seeded := proctest.New(t, "seeded", filepath.Join(t.TempDir(), "seeded"))
	seeded.Start("--join", front.At.GRPC)
	seen(t, front, "seeded")
	set(t, cluster, map[string]string{"hint_every": "1s"})
	if out := ctl(t, front, "settings"); !strings.Contains(out, "hint_every") {
		t.Errorf("settings by the gateway:\n%s", out)
	}

	cluster.Members[2].Kill()
	throughOne(t, front, "one-down-", 200)
	front.Kill()
	another := newGateway(t, "another", filepath.Join(t.TempDir(), "another"))
	another.Start("--join", cluster.Members[0].At.GRPC)
	throughOne(t, another, "another-", 50)
	front.Start()
	proctest.Wait(t, "the other gateway to hear of its second start", func(context.Context) error {
		if m := seen(t, another, "front"); m.StartCount != 2 {
			return fmt.Errorf("it is %d", m.StartCount)
		}
		return nil
	})
	kv := proctest.KV(t, front)
	every(t, 0, 200, func(ctx context.Context, k string) error {
		for _, k := range []string{"up-" + k, "one-down-" + k} {
			r, err := kv.Get(ctx, &ringdv1.GetRequest{Key: key(k)})
			if err == nil && !slices.Equal(valuesOf(r), []string{"value of " + k}) {
				err = fmt.Errorf("%s has %q", k, valuesOf(r))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// ctlThrough has ringctl know of the gateway only.
func ctlThrough(t *testing.T, front *proctest.Process) {
	ctl(t, front, "put", "b", "by ringctl", "some value")
	if out := ctl(t, front, "get", "b", "by ringctl"); !strings.Contains(out, "some value") {
		t.Errorf("get: %s", out)
	}
	records := filepath.Join(t.TempDir(), "records")
	if err := os.MkdirAll(records, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if err := os.WriteFile(filepath.Join(records, fmt.Sprintf("file-%d", i)), []byte(fmt.Sprint(i)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctl(t, front, "import", records, "--bucket", "files")
	if out := ctl(t, front, "keys", "files"); strings.Count(out, "file-") != 20 {
		t.Errorf("keys: %s", out)
	}
	for command, says := range map[string]string{
		"status": "leader      m", "members": "gateway", "plan": "m0", "verify": "0", "transfers": "m1", "repair": "96 sessions, 0 keys differed",
		"ring": "32 partitions", "inspect b k": "partition",
	} {
		if out := ctl(t, front, strings.Fields(command)...); !strings.Contains(out, says) {
			t.Errorf("%s does not say %q:\n%s", command, says, out)
		}
	}
	if out := ctl(t, front, "ring", "--partition", "0"); strings.Contains(out, "front") {
		t.Errorf("a gateway is a fallback:\n%s", out)
	}
	if out := ctl(t, front, "status"); strings.Contains(out, "warning:") {
		t.Errorf("status warns:\n%s", out)
	}
	c, err := client.Dial(within(t), front.At.GRPC)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := proctest.Admin(t, front).CreateBucketType(within(t), &ringdv1.CreateBucketTypeRequest{BucketType: &ringdv1.BucketType{Name: "by-gateway"}}); err != nil {
		t.Fatal(err)
	}
}

func TestGatewayRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"role":        {[]string{"--role", "coordinator", "--join", "127.0.0.1:1"}, "use storage or gateway"},
		"bootstrap":   {[]string{"--role", "gateway", "--bootstrap"}, "begins with a member that stores"},
		"auto-commit": {[]string{"--role", "gateway", "--join", "127.0.0.1:1", "--auto-commit"}, "owns no slots"},
		"drain":       {[]string{"--role", "gateway", "--join", "127.0.0.1:1", "--drain"}, "owns no slots"},
		"timeout":     {[]string{"--bootstrap", "--drain", "--drain-timeout", "0s"}, "above 0"},
	} {
		t.Run(name, func(t *testing.T) {
			mustSay(t, proctest.New(t, "m", filepath.Join(t.TempDir(), "data")).StartRefused(c.args...), c.says)
		})
	}
	cluster := proctest.Start(t, 1)
	front := newGateway(t, "front", filepath.Join(t.TempDir(), "front"))
	front.Start("--join", cluster.Members[0].At.GRPC)
	front.Stop()
	mustSay(t, front.StartRefused("--role", "storage"), "gateway member", "another name")
	m := cluster.Members[0]
	m.Stop()
	mustSay(t, m.StartRefused("--role", "gateway"), "storage member", "another name")
}
