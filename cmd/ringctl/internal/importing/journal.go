package importing

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"github.com/ringd/ringd/cmd/ringctl/internal/statefile"
)

// Target is where an import goes.
type Target struct {
	Cluster    string `json:"cluster"`
	BucketType string `json:"bucket_type"`
	Bucket     []byte `json:"bucket"`
	Overwrite  bool   `json:"overwrite"`
}

// Journal says in a file how far an import came. It is of one source and one
// target; for others it is begun anew.
type Journal struct {
	path  string
	state journalState
}

// journalState is the journal's file.
type journalState struct {
	Version int             `json:"version"`
	Source  string          `json:"source"`
	Target  json.RawMessage `json:"target"`
	// Through: the items with numbers up to it are stored, but for Failed.
	Through int64   `json:"through"`
	Failed  []int64 `json:"failed,omitempty"`
}

const journalVersion = 1

// OpenJournal reads the journal at path, if it is there and of this source and
// target; fresh has it begin anew. Note says in words what was found; it may be
// empty.
func OpenJournal(path string, s *Source, t Target, fresh bool) (j *Journal, note string, err error) {
	target, err := json.Marshal(t)
	if err != nil {
		return nil, "", err
	}
	j = &Journal{path: path, state: journalState{Version: journalVersion, Source: s.Identity, Target: target}}
	if fresh {
		return j, "", nil
	}
	src, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return j, "", nil
	} else if err != nil {
		return nil, "", err
	}
	var found journalState
	switch {
	case json.Unmarshal(src, &found) != nil || found.Version != journalVersion:
		return j, path + " is no journal that this ringctl can read: beginning anew", nil
	case found.Source != s.Identity || string(found.Target) != string(target):
		return j, path + " is of another import, or the source has changed: beginning anew", nil
	}
	j.state = found
	return j, "", nil
}

// Through is the number up to which a former run came.
func (j *Journal) Through() int64 { return j.state.Through }

// save records that all items up to through are stored but for failed.
func (j *Journal) save(through int64, failed []int64) error {
	j.state.Through, j.state.Failed = through, failed
	out, err := json.Marshal(j.state)
	if err != nil {
		return err
	}
	return statefile.Write(j.path, append(out, '\n'))
}

// remove is called when there is nothing left to go on with.
func (j *Journal) remove() error {
	if err := os.Remove(j.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
