package history

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func TestWhatIsRecordedIsRead(t *testing.T) {
	dir := t.TempDir()
	now := time.Duration(0)
	r, err := Record(dir, 0, func() time.Duration { now += time.Millisecond; return now })
	if err != nil {
		t.Fatal(err)
	}
	first := r.Begin(Op{Client: 1, Kind: "put", Write: true, Key: "k", Value: "v"})
	second := r.Begin(Op{Client: 2, Kind: "get", Key: "k"})
	second.Outcome, second.Values = OK, []string{"v"}
	r.End(second)
	first.Outcome, first.Error = Unknown, "lost"
	r.End(first)
	r.Fault(Fault{Name: "b", Begin: 9, End: 10})
	r.Fault(Fault{Name: "a", Members: []string{"m0"}, Begin: 1, End: 20})
	want := r.History()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if len(want.Ops) != 2 || want.Ops[0].Client != 1 || want.Ops[0].End <= want.Ops[1].End || want.Faults[0].Name != "a" {
		t.Errorf("not by id, or by beginning: %+v", want)
	}
	got, err := Read(dir)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %+v\nwant %+v", err, got, want)
	}

	// A run that was killed in the middle of a line.
	path := filepath.Join(dir, opsFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw[:len(raw)-5], 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(dir); err != nil || len(got.Ops) != 1 {
		t.Errorf("with half a line at its end: %v, %+v", err, got.Ops)
	}
	if err := os.WriteFile(path, append([]byte("{\n"), raw...), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); err == nil {
		t.Error("a line that is no operation is taken")
	}
	if _, err := Record(dir, 0, nil); err == nil {
		t.Error("a second history is begun in one directory")
	}
}

func TestOperationsArePaced(t *testing.T) {
	now := time.Duration(0)
	r, err := Record(t.TempDir(), 10, func() time.Duration { return now })
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i := range 3 {
		if wait, want := r.turn(), time.Duration(i)*time.Second/10; wait != want {
			t.Errorf("operation %d waits %v, want %v", i, wait, want)
		}
	}
	now = time.Minute
	if wait := r.turn(); wait != 0 {
		t.Errorf("after a minute without any, one waits %v", wait)
	}
}
