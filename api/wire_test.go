package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/ring"
)

func TestWireWarnings(t *testing.T) {
	for _, c := range []struct {
		wires []uint32 // of members a, b, c; c is gone for good
		want  string
	}{
		{[]uint32{3, 3, 2}, ""},
		{[]uint32{0, 0, 3}, ""},
		{[]uint32{3, 2, 3}, "version 2 is spoken until all members speak 3; still to be upgraded: b"},
		{[]uint32{3, 0, 1}, "version 2 is spoken until all members speak 3; still to be upgraded: b"},
	} {
		s := &cluster.State{Members: make(map[ring.MemberID]cluster.Member)}
		for i, wire := range c.wires {
			id := ring.MemberID{15: byte(i + 1)}
			s.Members[id] = cluster.Member{ID: id, Name: string(rune('a' + i)), Wire: wire, Gone: i == 2}
		}
		if got := fmt.Sprint(wireWarnings(s)); got != "["+c.want+"]" && (c.want == "" || !strings.Contains(got, c.want)) {
			t.Errorf("%v: %s", c.wires, got)
		}
	}
}
