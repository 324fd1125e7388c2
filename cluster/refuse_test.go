package cluster

import (
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ringd/ringd/ring"
)

func mustSay(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("it does not say %q: %v", w, err)
		}
	}
}

func TestRefusesSecondProcess(t *testing.T) {
	path := t.TempDir()
	d, err := OpenDir(path, "m")
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenDir(path, "m")
	mustSay(t, err, path, "in use by another ringd")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := OpenDir(path, "m")
	if err != nil {
		t.Fatal(err)
	}
	if again.ID() != d.ID() {
		t.Error("the directory has another member now")
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = OpenDir(path, "other")
	mustSay(t, err, `belongs to member "m"`, "keeps its name")
}

func TestRefusesLostIdentity(t *testing.T) {
	path := t.TempDir()
	d, err := OpenDir(path, "m")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.setStarts(starts{Count: 3}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(d.Path(identityFile)); err != nil {
		t.Fatal(err)
	}
	_, err = OpenDir(path, "m")
	mustSay(t, err, identityFile, "another name")
}

func TestRefusesStrangers(t *testing.T) {
	t.Parallel()
	f := newFakeNet()
	hosts := newCluster(t, f, 3)
	lone := newHost(t, f, "lone")
	mustSay(t, lone.try(), "--bootstrap", "--join")

	wiped := hosts[2]
	wiped.stop()
	if err := os.RemoveAll(wiped.path); err != nil {
		t.Fatal(err)
	}
	mustSay(t, wiped.try(joining(hosts[0].addr)), wiped.name, "belongs to member", "another name")

	other := newHost(t, f, "other")
	other.start(begin)
	other.started()
	hosts[1].stop()
	mustSay(t, hosts[1].try(joining(other.addr)), "belongs to cluster "+other.dir.ClusterID())
	// Where a peer was, another cluster's member may be by now: that is no reason.
	wiped.addr, other.addr = other.addr, wiped.addr
	hosts[1].start()
	hosts[1].started()
	if b := hosts[1].dir.ClusterID(); b != hosts[0].dir.ClusterID() {
		t.Errorf("it is in cluster %s now", b)
	}
	// Beginning again on a directory that has a cluster does nothing.
	hosts[1].stop()
	hosts[1].start(begin)
	hosts[1].started()
	if hosts[1].dir.ClusterID() != hosts[0].dir.ClusterID() {
		t.Error("--bootstrap began another cluster")
	}
}

// TestRefusesOlderCopy: as soon as a peer can be asked, at the start or later.
func TestRefusesOlderCopy(t *testing.T) {
	t.Parallel()
	f := newFakeNet()
	hosts := newCluster(t, f, 3)
	m := hosts[2]
	m.stop()
	older := m.path + "-copy"
	copyDir(t, m.path, older)
	m.start()
	m.started()
	m.stop()
	copyDir(t, older, m.path)
	mustSay(t, m.try(), "older than this member's last start", "another name")

	copyDir(t, older, m.path)
	f.setCut(m.addr, true)
	m.start()
	f.setCut(m.addr, false)
	select {
	case err := <-m.node.Failed():
		mustSay(t, err, "older than this member's last start")
	case <-m.node.committed:
		t.Error("the older copy was taken for the member")
	case <-within(t).Done():
		t.Error("the older copy was not found out")
	}
}

// TestStartCountedBeforeCrash: the log has the start, the directory does not
// know. The next start settles it, and counts anew.
func TestStartCountedBeforeCrash(t *testing.T) {
	t.Parallel()
	hosts := newCluster(t, newFakeNet(), 3)
	m := hosts[1]
	nonce := m.node.State().Members[m.node.ID()].Nonce
	m.stop()
	d, err := OpenDir(m.path, m.name)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.setStarts(starts{Count: 0, Nonce: nonce}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	m.start()
	if got := m.node.Starts(); got < 1 {
		t.Errorf("it speaks from start %d, and peers saw 1", got)
	}
	m.started()
	if got := m.node.Starts(); got != 2 {
		t.Errorf("start %d, want 2", got)
	}
	// One that may or may not have been counted, and was not.
	m.stop()
	if d, err = OpenDir(m.path, m.name); err != nil {
		t.Fatal(err)
	}
	if err := d.setStarts(starts{Count: 2, Nonce: uuid.NewString()}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	m.start()
	m.started()
	if got := m.node.Starts(); got != 4 {
		t.Errorf("start %d, want 4", got)
	}
}

// TestCrashWhileBeginning: at each step of beginning a cluster, the next start
// goes on or begins anew, with a state that fits the cluster's id.
func TestCrashWhileBeginning(t *testing.T) {
	t.Parallel()
	f := newFakeNet()
	saved := newHost(t, f, "saved")
	if err := saved.prepare(begin); err != nil {
		t.Fatal(err)
	}
	if err := saved.node.bootstrap(); err != nil {
		t.Fatal(err)
	}
	saved.stop()
	// The log was not begun: no flag is needed to go on.
	saved.start()
	saved.started()
	saved.stop()
	saved.start()
	saved.started()

	half := newHost(t, f, "half")
	if err := half.prepare(begin); err != nil {
		t.Fatal(err)
	}
	if err := half.node.bootstrap(); err != nil {
		t.Fatal(err)
	}
	lost := half.dir.ClusterID()
	if err := half.dir.setCluster("", false); err != nil {
		t.Fatal(err)
	}
	half.stop()
	half.start(begin)
	half.started()
	if got := half.node.State().ClusterID; got != half.dir.ClusterID() || got == lost {
		t.Errorf("the directory is of cluster %s, its state of %s", half.dir.ClusterID(), got)
	}
	if _, ok := half.node.State().Members[half.node.ID()]; !ok {
		t.Error("the member is not in its own cluster")
	}
}

func TestRefusesRemoved(t *testing.T) {
	t.Parallel()
	f := newFakeNet()
	h := newCluster(t, f, 1)[0]
	other := newHost(t, f, "gone")
	other.start(joining(h.addr))
	other.started()
	id := other.node.ID()
	other.stop()
	s := h.node.State().clone()
	delete(s.Members, id)
	s.Removed, s.Version = map[ring.MemberID]bool{id: true}, s.Version+10
	if err := h.node.take(s); err != nil {
		t.Fatal(err)
	}
	mustSay(t, other.try(), "was removed", "another name")
}
