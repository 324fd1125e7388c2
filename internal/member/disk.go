package member

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"github.com/ringd/ringd/api"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/vnode"
)

// disk watches how much room is left. A full disk ends the process in the middle
// of a write, so that writes are refused before.
type disk struct {
	path string
	log  *slog.Logger

	mu struct {
		sync.Mutex
		free    int64
		reserve int64
		level   vnode.RoomLevel
		// failed are partitions whose vnodes got an error from the disk lately.
		failed map[ring.PartitionID]bool
	}
}

// roomTick is how often the room is looked at: in that time the fastest disks
// write about as much as the smaller half of the default reserve.
const roomTick = 250 * time.Millisecond

func newDisk(path string, log *slog.Logger) *disk {
	d := &disk{path: path, log: log}
	d.mu.failed = make(map[ring.PartitionID]bool)
	return d
}

// watch tells of changes of the level until ctx ends.
func (d *disk) watch(ctx context.Context, reserve func() int64, tell func(vnode.RoomLevel)) {
	ticker := time.NewTicker(roomTick)
	defer ticker.Stop()
	for {
		if level, changed := d.look(reserve()); changed {
			tell(level)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look reads the free space and returns the level, and whether it is another one.
func (d *disk) look(reserve int64) (vnode.RoomLevel, bool) {
	free, err := freeBytes(d.path)
	if err != nil {
		d.log.Error("the free space of the data directory is not known", "error", err)
		return 0, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.mu.level
	d.mu.free, d.mu.reserve, d.mu.level = free, reserve, roomLevel(free, reserve, before)
	if d.mu.level != before {
		d.log.Warn("room on disk", "free_bytes", free, "reserve_bytes", reserve, "level", levelNames[d.mu.level])
	}
	return d.mu.level, d.mu.level != before
}

var levelNames = [...]string{"enough", "reserve: writes are refused, deletes are not", "none: deletes are refused, too"}

// roomLevel is what may be written with so much free: from the reserve down only
// deletes, from half of it on nothing. It rises again an eighth of the reserve
// later, so that it does not flutter.
func roomLevel(free, reserve int64, before vnode.RoomLevel) vnode.RoomLevel {
	level := vnode.RoomEnough
	switch {
	case free < reserve/2:
		level = vnode.RoomNone
	case free < reserve:
		level = vnode.RoomReserve
	}
	if level < before && roomLevel(free-reserve/8, reserve, 0) >= before {
		return before
	}
	return level
}

func freeBytes(path string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", path, err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}

// notice takes what the vnodes tell of the disk.
func (d *disk) notice(n vnode.Notice) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch n.Kind {
	case vnode.NoticeVnodeFailed:
		d.mu.failed[n.Partition] = true
	case vnode.NoticeVnodeServes:
		delete(d.mu.failed, n.Partition)
	}
}

// state is what is known now.
func (d *disk) state() api.Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return api.Disk{FreeBytes: d.mu.free, ReserveBytes: d.mu.reserve, Full: d.mu.level != vnode.RoomEnough, FailedVnodes: len(d.mu.failed)}
}
