package causal

import (
	"fmt"
	"time"
)

// logicalBits of an HLC count events within one millisecond.
const logicalBits = 16

// Time returns the physical part.
func (h HLC) Time() time.Time { return time.UnixMilli(int64(h >> logicalBits)).UTC() }

// String returns the physical part and the logical counter.
func (h HLC) String() string {
	return fmt.Sprintf("%s+%d", h.Time().Format("2006-01-02T15:04:05.000Z"), h&(1<<logicalBits-1))
}

// millisMax is the last millisecond that an HLC can hold, in the year 10889.
const millisMax = 1<<(64-logicalBits) - 1

func fromWall(wall time.Time) HLC {
	return HLC(min(max(0, wall.UnixMilli()), millisMax)) << logicalBits
}

// Next returns the timestamp of an event at the given wall time, after h. A
// logical counter that is full carries into the milliseconds.
func (h HLC) Next(wall time.Time) HLC { return max(h+1, fromWall(wall)) }

// Observe returns the later of h and remote, so that what comes Next is after
// both. A remote timestamp more than maxSkew ahead of the wall time is an error,
// and h stays as it is.
func (h HLC) Observe(remote HLC, wall time.Time, maxSkew time.Duration) (HLC, error) {
	if remote > fromWall(wall.Add(maxSkew))|(1<<logicalBits-1) {
		return h, fmt.Errorf("timestamp %v is more than %v ahead of %v", remote, maxSkew, wall.UTC())
	}
	return max(h, remote), nil
}
