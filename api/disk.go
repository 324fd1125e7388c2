package api

import (
	"fmt"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// States of a disk.
const (
	diskOK   = "ok"
	diskFull = "full"
)

// diskTo is nil as long as nothing is known of the disk.
func diskTo(d Disk) *ringdv1.Disk {
	if d == (Disk{}) {
		return nil
	}
	out := &ringdv1.Disk{
		FreeBytes: uint64(max(0, d.FreeBytes)), ReserveBytes: uint64(max(0, d.ReserveBytes)), State: diskOK, VnodesFailed: uint32(d.FailedVnodes),
		StoreBytes: uint64(max(0, d.StoreBytes)),
	}
	if d.Full {
		out.State = diskFull
	}
	return out
}

func diskWarnings(m *ringdv1.Member) []string {
	var out []string
	d := m.GetDisk()
	if d.GetState() == diskFull {
		out = append(out, fmt.Sprintf("the disk of member %s is full: %d MiB are free, of a reserve of %d MiB (disk_reserve_bytes); it refuses writes", m.Name, d.FreeBytes>>20, d.ReserveBytes>>20))
	}
	if n := d.GetVnodesFailed(); n > 0 {
		out = append(out, fmt.Sprintf("%d vnodes of member %s don't serve: its disk returned errors", n, m.Name))
	}
	return out
}
