package exporting

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/statefile"
)

// Output is where the lines go. A file is written under another name and gets
// its own when the export is complete; how far it came is recorded beside it.
// Whoever opens it calls Finish or Abandon.
type Output struct {
	lines *bufio.Writer // what writes lines into zip, or into out
	zip   *gzip.Writer  // nil if not compressed
	out   io.Writer

	// Nil and empty if not a file.
	file                  *os.File
	path, part, statePath string
	state                 state
	saved                 bool // the state stands on disk
}

// state is the file that says how far an export came.
type state struct {
	Version int             `json:"version"`
	Target  json.RawMessage `json:"target"`
	// Cursor behind the last key in the file's first Bytes bytes.
	Cursor client.Cursor `json:"cursor"`
	Bytes  int64         `json:"bytes"`
	Counts Counts        `json:"counts"`
}

const stateVersion = 1

// Suffix is added to the name of a file for its state, PartSuffix for what is
// written until it is complete.
const (
	Suffix     = ".ringctl-export"
	PartSuffix = ".part"
)

// Target is what is exported.
type Target struct {
	Cluster    string `json:"cluster"`
	BucketType string `json:"bucket_type"`
	Bucket     []byte `json:"bucket"`
}

// Stream returns an output that w takes as it comes.
func Stream(w io.Writer) *Output {
	return &Output{lines: bufio.NewWriterSize(w, bufferBytes), out: w}
}

const bufferBytes = 256 << 10

// File returns an output to the file at path, compressed if its name ends in
// .gz. With resume it goes on where an export of the same target was; note says
// in words if there is none, or one that isn't gone on with.
func File(path string, t Target, resume bool) (o *Output, note string, err error) {
	target, err := json.Marshal(t)
	if err != nil {
		return nil, "", err
	}
	o = &Output{path: path, part: path + PartSuffix, statePath: path + Suffix}
	o.state = state{Version: stateVersion, Target: target}
	found, there, err := o.find()
	if err != nil {
		return nil, "", err
	}
	switch {
	case resume && !there:
		note = "there is no unfinished export to go on with: beginning anew"
	case resume && string(found.Target) != string(target):
		note, there = "the unfinished export is of something else: beginning anew", false
	case !resume && there:
		note = "an unfinished export was there, and is begun anew (--resume would have gone on with it)"
	}
	if there && resume {
		o.state, o.saved = found, true
	} else if err := os.Remove(o.statePath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	if o.file, err = os.OpenFile(o.part, os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return nil, "", err
	}
	if err := o.truncate(); err != nil {
		o.file.Close()
		return nil, "", err
	}
	o.out = o.file
	if strings.HasSuffix(path, ".gz") {
		o.zip = gzip.NewWriter(o.file)
		o.lines = bufio.NewWriterSize(o.zip, bufferBytes)
	} else {
		o.lines = bufio.NewWriterSize(o.file, bufferBytes)
	}
	return o, note, nil
}

// find reads the state, if the file that it speaks of has all it says.
func (o *Output) find() (found state, ok bool, err error) {
	src, err := os.ReadFile(o.statePath)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, false, nil
	} else if err != nil {
		return state{}, false, err
	}
	info, err := os.Stat(o.part)
	if err != nil || json.Unmarshal(src, &found) != nil || found.Version != stateVersion || found.Bytes < 0 || info.Size() < found.Bytes {
		return state{}, false, nil
	}
	return found, true, nil
}

func (o *Output) truncate() error {
	if err := o.file.Truncate(o.state.Bytes); err != nil {
		return err
	}
	_, err := o.file.Seek(o.state.Bytes, io.SeekStart)
	return err
}

// checkpoint makes what was written durable, and records it.
func (o *Output) checkpoint(cursor client.Cursor, c Counts) error {
	if o.file == nil {
		return nil
	}
	if err := o.flush(); err != nil {
		return err
	}
	if o.zip != nil {
		// Members one behind the other are one gzip file.
		o.zip.Reset(o.file)
	}
	if err := o.file.Sync(); err != nil {
		return err
	}
	at, err := o.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	o.state.Cursor, o.state.Bytes, o.state.Counts = cursor, at, c
	out, err := json.Marshal(o.state)
	if err != nil {
		return err
	}
	if err := statefile.Write(o.statePath, append(out, '\n')); err != nil {
		return fmt.Errorf("recording how far the export came: %w", err)
	}
	o.saved = true
	return nil
}

func (o *Output) flush() error {
	if err := o.lines.Flush(); err != nil {
		return err
	}
	if o.zip != nil {
		return o.zip.Close()
	}
	return nil
}

// Finish ends a complete export: the file gets its name.
func (o *Output) Finish() error {
	if err := o.flush(); err != nil {
		return errors.Join(err, o.Abandon())
	}
	if o.file == nil {
		return nil
	}
	if err := o.file.Sync(); err != nil {
		return errors.Join(err, o.Abandon())
	}
	if err := o.file.Close(); err != nil {
		return err
	}
	if err := os.Rename(o.part, o.path); err != nil {
		return err
	}
	if err := os.Remove(o.statePath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Abandon ends an export that isn't complete. What a later one can go on with
// stays.
func (o *Output) Abandon() error {
	if o.file == nil {
		return o.lines.Flush()
	}
	err := o.file.Close()
	if !o.saved {
		err = errors.Join(err, os.Remove(o.part))
	}
	return err
}

// Resumable reports whether there is something to go on with after Abandon.
func (o *Output) Resumable() bool { return o.saved }
