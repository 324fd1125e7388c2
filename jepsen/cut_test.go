package main

import (
	"slices"
	"testing"
	"time"

	"github.com/ringd/ringd/jepsen/internal/hosts"
)

// TestCutBetweenMembers cuts one member of three off. Each has a copy of
// everything, so writes that ask for one acknowledgement go on on both sides,
// and what they wrote is siblings afterwards; those that ask for a quorum go on
// where there is one.
func TestCutBetweenMembers(t *testing.T) {
	net, on := newHosts(t, 3)
	members := startCluster(t, on)
	alone, others := members[0], members[1:]
	alone.put("before", "0", []int{exitOK}, "--w", "all")

	cut, err := net.Cut(hosts.Between(on[:1], on[1:]))
	if err != nil {
		t.Fatal(err)
	}
	// At once, when nobody can know of the cut yet: who waits for the owners on
	// the other side waits in vain.
	const soon = 4 * time.Second
	for value, m := range map[string]*member{"here": alone, "there": others[0]} {
		if took := m.put("k", value, []int{exitOK}, "--w", "1"); took > soon {
			t.Errorf("a write at w=1 by %s took %v, though an owner was there", m.Name, took)
		}
	}
	alone.put("q", "minority", []int{exitUnknown, exitUnavailable})
	for _, m := range others {
		if took := m.put("q-"+m.Name, "majority", []int{exitOK}); took > soon {
			t.Errorf("a write at a quorum by %s took %v, though a quorum was there", m.Name, took)
		}
	}

	// And again when both sides know.
	alone.waitSeen(alone.Name+" to miss the others", func(s status) bool { return s.alive() == 1 })
	for _, m := range others {
		m.waitSeen(m.Name+" to miss "+alone.Name, func(s status) bool { return s.alive() == len(others) })
	}
	for value, m := range map[string]*member{"here": alone, "there": others[1]} {
		m.put("late", value, []int{exitOK}, "--w", "1")
	}
	alone.put("q", "minority", []int{exitUnknown, exitUnavailable})
	others[1].put("q-late", "majority", []int{exitOK})

	if err := cut.Heal(); err != nil {
		t.Fatal(err)
	}
	for i, key := range []string{"k", "late"} {
		reader := members[i]
		o := reader.getAll(key)
		if got := o.values(); !slices.Equal(got, []string{"here", "there"}) {
			t.Errorf("%s after the cut: %q, want what was written on either side", key, got)
		}
		if code, out := reader.ringctl("get", "b", key, "--r", "all"); code != exitSiblings {
			t.Errorf("get %s: exit code %d, want %d for siblings\n%s", key, code, exitSiblings, out)
		}
		reader.put(key, "merged", []int{exitOK}, "--w", "all", "--context", o.Context)
		for _, m := range members {
			if got := m.getAll(key).values(); !slices.Equal(got, []string{"merged"}) {
				t.Errorf("%s by %s after a write with the context of both: %q", key, m.Name, got)
			}
		}
	}
	waitWhole(members)
	for _, m := range others {
		if got := alone.getAll("q-" + m.Name).values(); !slices.Equal(got, []string{"majority"}) {
			t.Errorf("what %s took in the cut: %q", m.Name, got)
		}
	}
}
