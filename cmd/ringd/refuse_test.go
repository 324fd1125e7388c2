package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/internal/proctest"
)

func mustSay(t *testing.T, log string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(log, w) {
			t.Errorf("it does not say %q:\n%s", w, log)
		}
	}
}

func TestRefusesSecondProcess(t *testing.T) {
	t.Parallel()
	cluster := proctest.Start(t, 1)
	second := proctest.New(t, "m0", cluster.Members[0].Dir)
	mustSay(t, refusedBeside(t, second, cluster.Members[0]), "in use by another ringd")
}

// refusedBeside starts p on the directory of a member that runs, whose file of
// endpoints has to survive.
func refusedBeside(t *testing.T, p, running *proctest.Process) string {
	t.Helper()
	path := filepath.Join(running.Dir, "endpoints.json")
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	log := p.StartRefused()
	if err := os.WriteFile(path, kept, 0o644); err != nil {
		t.Fatal(err)
	}
	return log
}

func TestRefusesMemberOfAnotherCluster(t *testing.T) {
	t.Parallel()
	one, two := proctest.Start(t, 1), proctest.Start(t, 1)
	one.Members[0].Stop()
	log := one.Members[0].StartRefused("--join", two.Members[0].At.GRPC)
	mustSay(t, log, "of cluster", "data directory of the right cluster")
}

func TestRefusesWipedMemberUnderItsName(t *testing.T) {
	t.Parallel()
	cluster := proctest.Start(t, 3)
	m := cluster.Members[2]
	m.Kill()
	if err := os.RemoveAll(m.Dir); err != nil {
		t.Fatal(err)
	}
	log := m.StartRefused("--join", cluster.Members[0].At.GRPC)
	mustSay(t, log, "name", m.Name, "another name")
	renamed := proctest.New(t, "m3", filepath.Join(t.TempDir(), "new"))
	renamed.Start("--join", cluster.Members[0].At.GRPC)
}

func TestRefusesOlderCopy(t *testing.T) {
	t.Parallel()
	cluster := proctest.Start(t, 3)
	m := cluster.Members[1]
	m.Stop()
	older := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(older, os.DirFS(m.Dir)); err != nil {
		t.Fatal(err)
	}
	m.Start()
	cluster.WaitServing()
	c := cluster.Client()
	if _, err := c.Bucket("b").Put(within(t), "k", []byte("v"), client.W(client.All)); err != nil {
		t.Fatal(err)
	}
	m.Stop()
	if err := os.RemoveAll(m.Dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(older, m.Dir); err != nil {
		t.Fatal(err)
	}
	mustSay(t, m.StartRefused(), "older", "another name")
}

func TestRefusesBadSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"neither bootstrap nor join": {nil, "--bootstrap"},
		"open to others":             {[]string{"--bootstrap", "--listen", "0.0.0.0:0"}, "--insecure"},
		"partitions":                 {[]string{"--bootstrap", "--partitions", "100"}, "power of two"},
		"replicas":                   {[]string{"--bootstrap", "--replicas", "0"}, "replicas is 0"},
		"gossip key":                 {[]string{"--bootstrap", "--gossip-key", "c2hvcnQ="}, "16, 24 or 32 bytes"},
		"weight":                     {[]string{"--bootstrap", "--weight", "0"}, "weight"},
		"config file":                {[]string{"--config", filepath.Join(dir, "none.yaml")}, "there is no file"},
	} {
		t.Run(name, func(t *testing.T) {
			p := proctest.New(t, "m", filepath.Join(t.TempDir(), "data"))
			mustSay(t, p.StartRefused(c.args...), c.says)
		})
	}
}

func TestConfigFileAndEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ringd.yaml")
	if err := os.WriteFile(path, []byte("bootstrap: true\nreplicas: 1\npartitions: 8\nzone: from-file\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RINGD_ZONE", "from-environment")
	p := proctest.New(t, "m", filepath.Join(t.TempDir(), "data"), proctest.Args("--config", path))
	p.Start()
	status := proctest.Status(t, p)
	if status.Partitions != 8 || status.Self.Zone != "from-environment" {
		t.Fatalf("%v", status)
	}
}
