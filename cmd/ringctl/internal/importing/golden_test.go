package importing

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/lines"
)

// Request ids are what makes importing again safe, also with a later ringctl:
// they never change.
func TestRequestIDGolden(t *testing.T) {
	b := new(client.Client).BucketType("t").Bucket("b")
	v := lines.Value{Data: []byte("v"), ContentType: "text/plain", Metadata: map[string]string{"b": "2", "a": "1"}}
	ids := make(map[client.RequestID]bool)
	for _, c := range []struct {
		id   client.RequestID
		want string
	}{
		{requestID(b, "k", v, 0), "a7ea6a15fb63b9238e49b29e6ca2b551"},
		{requestID(b, "k", v, 1), "2cb28d8020c964429e7a481034661448"},
		{requestID(b, "k", lines.Value{Data: []byte("v")}, 0), "462ddd47c6f1843b366dac3c99031a63"},
		{requestID(b, "kv", lines.Value{}, 0), "e5f9256a7ed51730ecfdd6aa991f3f4e"},
		{requestID(b, "k", lines.Value{Data: []byte("v"), Expiry: 1896091200123}, 0), "9ed433ccff8a719f93332248456fb279"},
		{requestID(b, "k", lines.Value{Data: []byte("v"), Expiry: lines.Never}, 0), "1f7f79d7b3dd58b3ac8c89b8c8b08f94"},
		{requestID(new(client.Client).Bucket("b"), "k", v, 0), "66ac4bc94303be61b1781258cad08278"},
	} {
		if got := c.id.String(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
		ids[c.id] = true
	}
	if len(ids) != 7 {
		t.Errorf("%d different ids of 7 writes", len(ids))
	}
}

func TestJournalGolden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	source := &Source{Identity: "file x"}
	target := Target{Cluster: "c", BucketType: "default", Bucket: []byte("b")}
	const golden = `{"version":1,"source":"file x","target":{"cluster":"c","bucket_type":"default","bucket":"Yg==","overwrite":false},"through":9,"failed":[2,5]}` + "\n"
	j, note, err := OpenJournal(path, source, target, false)
	if err != nil || note != "" {
		t.Fatal(note, err)
	}
	if err := j.save(9, []int64{2, 5}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != golden {
		t.Errorf("the journal is %s, %v", got, err)
	}
	j, note, err = OpenJournal(path, source, target, false)
	if err != nil || note != "" || j.Through() != 9 || len(j.state.Failed) != 2 {
		t.Errorf("read again: %+v, %q, %v", j, note, err)
	}
	if j, _, err := OpenJournal(path, source, target, true); err != nil || j.Through() != 0 {
		t.Errorf("begun anew: %+v, %v", j, err)
	}
	target.Cluster = "d"
	if j, note, err := OpenJournal(path, source, target, false); err != nil || note == "" || j.Through() != 0 {
		t.Errorf("for another cluster: %+v, %q, %v", j, note, err)
	}
	if err := j.remove(); err != nil {
		t.Error(err)
	}
	if err := j.remove(); err != nil {
		t.Errorf("removing what is gone: %v", err)
	}
}
