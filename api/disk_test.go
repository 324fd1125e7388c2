package api

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

func TestDisk(t *testing.T) {
	for _, c := range []struct {
		disk  Disk
		want  *ringdv1.Disk
		warns []string
	}{
		{Disk{}, nil, nil},
		{Disk{FreeBytes: 9 << 20, ReserveBytes: 1 << 20}, &ringdv1.Disk{FreeBytes: 9 << 20, ReserveBytes: 1 << 20, State: "ok"}, nil},
		{
			Disk{FreeBytes: 1 << 20, ReserveBytes: 9 << 20, Full: true, FailedVnodes: 2},
			&ringdv1.Disk{FreeBytes: 1 << 20, ReserveBytes: 9 << 20, State: "full", VnodesFailed: 2},
			[]string{"the disk of member one is full: 1 MiB are free", "2 vnodes of member one don't serve"},
		},
	} {
		got := diskTo(c.disk)
		if !proto.Equal(got, c.want) {
			t.Errorf("%+v is sent as %v", c.disk, got)
		}
		warns := diskWarnings(&ringdv1.Member{Name: "one", Disk: got})
		if len(warns) != len(c.warns) {
			t.Fatalf("%+v: warnings %q", c.disk, warns)
		}
		for i, w := range warns {
			if !strings.HasPrefix(w, c.warns[i]) {
				t.Errorf("%+v: warning %q", c.disk, w)
			}
		}
	}
}
