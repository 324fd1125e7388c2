package causal_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ringd/ringd/causal"
)

// The bytes of a version never change: objects on disk are written in them. With
// -update the files are written anew. Read the diff: only a file of a new version
// may appear; a line that changed means that old data can no longer be read.
var update = flag.Bool("update", false, "write the golden files of testdata anew; read the diff")

// golden has every field and flag of version 1.
var golden = map[string]causal.Object{
	"empty": {},
	"value": {
		Context: causal.Vector{{Actor: 0x0102030405060708, Counter: 1}},
		Siblings: []causal.Sibling{{
			Dot:   causal.Dot{Actor: 0x0102030405060708, Counter: 1},
			Value: []byte("hello"), ValueSize: 5, Time: 0x019a_a3b2_c1d0_0003,
		}},
	},
	"tombstone": {
		Context:  causal.Vector{{Actor: 1, Counter: 300}},
		Siblings: []causal.Sibling{{Dot: causal.Dot{Actor: 1, Counter: 300}, Tombstone: true, Time: 1 << 16}},
	},
	"siblings": {
		Context: causal.Vector{{Actor: 1, Counter: 9}, {Actor: 7, Counter: 1 << 40}, {Actor: 1<<64 - 1, Counter: 1<<64 - 1}},
		Siblings: []causal.Sibling{
			{
				Dot: causal.Dot{Actor: 1, Counter: 8}, Value: []byte(`{"a":1}`), ValueSize: 7, ContentType: "application/json",
				Meta: []causal.Meta{{Key: "", Value: "no name"}, {Key: "owner", Value: "\xff\x00"}},
				Time: 0x019a_a3b2_c1d0_ffff, Expiry: 1_800_000_000_000,
				Request: causal.RequestID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
			},
			{Dot: causal.Dot{Actor: 1, Counter: 9}, Tombstone: true},
			{Dot: causal.Dot{Actor: 7, Counter: 1 << 40}, Apart: true, ValueSize: 1 << 20, ContentType: "text/plain"},
			{Dot: causal.Dot{Actor: 1<<64 - 1, Counter: 1<<64 - 1}},
		},
	},
}

// checkGolden compares got with the hex in the file, 32 bytes a line, and
// returns the bytes that the file holds.
func checkGolden(t *testing.T, file string, got []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		var text strings.Builder
		for rest := got; len(rest) > 0; {
			n := min(32, len(rest))
			fmt.Fprintf(&text, "%x\n", rest[:n])
			rest = rest[n:]
		}
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s has\n%x, and now it is\n%x", path, want, got)
	}
	return want
}

func TestGoldenObjects(t *testing.T) {
	for name, o := range golden {
		must(t, o)
		file := checkGolden(t, "object-v1-"+name+".hex", causal.AppendObject(nil, o))
		if got, err := causal.DecodeObject(file); err != nil || !reflect.DeepEqual(got, o) {
			t.Errorf("%s is read as %+v: %v", name, got, err)
		}
	}
}

func TestGoldenContext(t *testing.T) {
	own := causal.Context{Seen: sample, Own: vector(2, 9)}
	for file, want := range map[string]causal.Context{"context-v1.hex": {Seen: sample}, "context-v2.hex": own} {
		bytes := checkGolden(t, file, seal(want))
		if got, err := open(bytes); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as %v: %v", file, got, err)
		}
	}
}

// Digests travel between members of different releases.
func TestGoldenDigests(t *testing.T) {
	for name, want := range map[string]uint64{"empty": 0xe934a84adb052768, "siblings": 0xc37cf17bfad07364} {
		if got := golden[name].Digest(); got != want {
			t.Errorf("digest of %s: %#x, was %#x", name, got, want)
		}
	}
}
