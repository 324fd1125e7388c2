package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/internal/proctest"
)

var inputFile = flag.String("ringd.input", "", "TestRealInput: a gzipped file of JSON lines with a key and a value each")

type record struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// TestRealInput does all that can be done to the members of a cluster that holds a
// real input, under a load that remembers what was acknowledged.
func TestRealInput(t *testing.T) {
	if *inputFile == "" {
		t.Skip("no -ringd.input")
	}
	records := readInput(t)
	c := proctest.Start(t, 3)
	cl := c.Client()
	load := keepLedger(cl)
	stored := cl.Bucket("input")
	each(t, records, func(ctx context.Context, key string, value []byte) error {
		_, err := stored.Put(ctx, key, value)
		return err
	})
	t.Logf("%d records stored", len(records))
	step := func(what string, do func()) {
		began, writes := time.Now(), load.writes.Load()
		do()
		t.Logf("%s: %v, %d writes of the load meanwhile", what, time.Since(began).Round(100*time.Millisecond), load.writes.Load()-writes)
	}
	all := func() { settled(t, c.Members[0], c.Members...) }

	step("3 to 5", func() {
		joining(t, c, "m3", "m4")
		stage(t, c.Members[0], change("m3", ringdv1.MemberChange_JOIN), change("m4", ringdv1.MemberChange_JOIN))
		t.Logf("%d moves", commit(t, c.Members[0]))
		all()
		even(t, c.Members[0], "m0", "m1", "m2", "m3", "m4")
		agree(t, c.Members[0])
	})
	step("5 to 3", func() {
		stage(t, c.Members[2], change("m0", ringdv1.MemberChange_LEAVE), change("m1", ringdv1.MemberChange_LEAVE))
		t.Logf("%d moves", commit(t, c.Members[2]))
		c.Members[0].Ended()
		c.Members[1].Ended()
		c.Members = c.Members[2:]
		all()
		even(t, c.Members[0], "m2", "m3", "m4")
		agree(t, c.Members[0])
	})
	step("one is replaced", func() {
		joining(t, c, "m5")
		stage(t, c.Members[1], change("m2", ringdv1.MemberChange_LEAVE), change("m5", ringdv1.MemberChange_JOIN))
		t.Logf("%d moves", commit(t, c.Members[1]))
		c.Members[0].Ended()
		c.Members = c.Members[1:]
		all()
		even(t, c.Members[0], "m3", "m4", "m5")
		agree(t, c.Members[0])
	})
	step("source, target and leader are killed in mid-move", func() {
		joining(t, c, "m6")
		slowly(t, c)
		stage(t, c.Members[0], change("m6", ringdv1.MemberChange_JOIN))
		t.Logf("%d moves", commit(t, c.Members[0]))
		midMove(t, c.Members[0])
		killInTurn(t, c, load)
		all()
		even(t, c.Members[0], "m3", "m4", "m5", "m6")
		agree(t, c.Members[0])
	})
	step("a move is cancelled", func() {
		joining(t, c, "m7")
		stage(t, c.Members[0], change("m7", ringdv1.MemberChange_JOIN))
		t.Logf("%d moves", commit(t, c.Members[0]))
		midMove(t, c.Members[0])
		r, err := proctest.Admin(t, c.Members[0]).Cancel(within(t), &ringdv1.CancelRequest{})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d moves turned back", r.Cancelled)
		all()
		agree(t, c.Members[0])
		set(t, c, map[string]string{"transfer_concurrency": "8"})
		commit(t, c.Members[0])
		all()
		agree(t, c.Members[0])
	})
	step("one is killed and removed", func() {
		gone := c.Members[4]
		gone.Kill()
		c.Members = c.Members[:4]
		stage(t, c.Members[0], change(gone.Name, ringdv1.MemberChange_REMOVE))
		t.Logf("%d moves", commit(t, c.Members[0]))
		all()
		even(t, c.Members[0], "m3", "m4", "m5", "m6")
		agree(t, c.Members[0])
	})
	load.close(t)
	each(t, records, func(ctx context.Context, key string, value []byte) error {
		o, err := stored.Get(ctx, key, client.R(client.All))
		if err != nil {
			return err
		}
		got, err := o.Value()
		if err == nil && string(got) != string(value) {
			err = fmt.Errorf("it is %q", got)
		}
		return err
	})
	t.Logf("all %d records are there", len(records))
}

// killInTurn kills the target, the leader of the log and the source of the moves
// under way, one after the other, and starts each again.
func killInTurn(t *testing.T, c *proctest.Cluster, load *ledger) {
	t.Helper()
	restart := func(p *proctest.Process) {
		t.Logf("%s is killed", p.Name)
		p.Kill()
		load.until(t, 50)
		p.Start()
	}
	named := func(name string) *proctest.Process {
		for _, m := range c.Members {
			if m.Name == name {
				return m
			}
		}
		return nil
	}
	target := c.Members[len(c.Members)-1]
	restart(target)
	proctest.Wait(t, "a leader", func(ctx context.Context) error {
		s, err := proctest.Admin(t, target).Status(ctx, &ringdv1.StatusRequest{})
		if err == nil && named(s.Leader) == nil {
			err = fmt.Errorf("there is none")
		}
		if err == nil {
			restart(named(s.Leader))
		}
		return err
	})
	if active := proctest.Status(t, target).Moves.GetActive(); len(active) > 0 && named(active[0].From) != nil {
		restart(named(active[0].From))
	}
}

func readInput(t *testing.T) []record {
	t.Helper()
	f, err := os.Open(*inputFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []record
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// each does something with every record, 32 at a time.
func each(t *testing.T, records []record, do func(ctx context.Context, key string, value []byte) error) {
	t.Helper()
	var running sync.WaitGroup
	next := make(chan record)
	for range 32 {
		running.Go(func() {
			for r := range next {
				ctx, cancel := context.WithTimeout(context.Background(), proctest.Within)
				if err := do(ctx, r.Key, r.Value); err != nil {
					t.Errorf("%s: %v", r.Key, err)
				}
				cancel()
			}
		})
	}
	for _, r := range records {
		next <- r
	}
	close(next)
	running.Wait()
}
