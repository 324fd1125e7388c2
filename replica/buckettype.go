package replica

import (
	"fmt"
	"strings"
	"time"
)

// DefaultBucketType is the name of the type that every cluster has.
const DefaultBucketType = "default"

// Count says how many replicas a request waits for: a number, or one of the
// symbolic counts, which are resolved against the bucket type's n.
type Count int

// The symbolic counts. Quorum is n/2+1.
const (
	Unset  Count = 0 // the next default up decides
	Quorum Count = -1
	All    Count = -2
	None   Count = -3 // no replica; for pr, pw and dw only
)

// Resolve returns the number of replicas that c asks for out of n.
func (c Count) Resolve(n int) int {
	switch c {
	case Quorum:
		return n/2 + 1
	case All:
		return n
	case None:
		return 0
	}
	return int(c)
}

// String returns the number, or the symbolic name as ParseCount reads it.
func (c Count) String() string {
	switch c {
	case Unset:
		return "default"
	case Quorum:
		return "quorum"
	case All:
		return "all"
	case None:
		return "none"
	}
	return fmt.Sprint(int(c))
}

// ParseCount reads a number from 0 or one of default, one, quorum, all, none.
func ParseCount(s string) (Count, error) {
	switch strings.ToLower(s) {
	case "default", "":
		return Unset, nil
	case "one":
		return 1, nil
	case "quorum":
		return Quorum, nil
	case "all":
		return All, nil
	case "none", "0":
		return None, nil
	}
	var n int
	if _, err := fmt.Sscanf(s, "%d", &n); err != nil || n < 0 || fmt.Sprint(n) != s {
		return 0, fmt.Errorf("%q is no replica count: use a number, one, quorum, all or none", s)
	}
	return Count(n), nil
}

// BucketType is the properties that the buckets of one type share.
type BucketType struct {
	Name string `json:"name"`
	// N is how many owners hold each key. It is fixed when the type is made.
	N int `json:"n"`
	// Everywhere is n=all: besides the owners, of whom there are then as many as the
	// cluster keeps replicas, all other members that store data hold copies, which count toward no
	// quorum and answer reads at r=1 by themselves.
	Everywhere bool `json:"everywhere,omitempty"`
	// Defaults for the requests that don't say.
	R      Count         `json:"r"`
	W      Count         `json:"w"`
	PR     Count         `json:"pr"`
	PW     Count         `json:"pw"`
	DW     Count         `json:"dw"`
	Strict bool          `json:"strict"` // the default of sloppy is off
	Time   time.Duration `json:"timeout"`
	// RepairBlocking makes reads wait until W owners have what they answer.
	RepairBlocking bool `json:"repair_blocking"`
	// LastWriteWins answers only the newest sibling, by hybrid logical clock.
	LastWriteWins bool `json:"last_write_wins"`
	// DefaultTTL is how long values are there whose put doesn't say; 0 is for
	// ever. It stands in what is persisted only where it was set, so that a
	// release without it can go on with the other types.
	DefaultTTL time.Duration `json:"default_ttl,omitempty"`
}

// TTLMax bounds how far ahead a value may expire: beyond it, a wrong unit is
// likelier than a wish.
const TTLMax = 100 * 365 * 24 * time.Hour

// DefaultTimeout bounds a request that names no deadline: long enough to ride
// out a lost member's detection, short enough that a caller notices.
const DefaultTimeout = 5 * time.Second

// NewBucketType returns the type with the defaults: r, w and dw a quorum, pr
// and pw none, sloppy, five seconds.
func NewBucketType(name string, n int) BucketType {
	return BucketType{Name: name, N: n, R: Quorum, W: Quorum, PR: None, PW: None, DW: Quorum, Time: DefaultTimeout}
}

// NewBucketTypeEverywhere returns the type with n=all in a cluster that keeps so many
// replicas, with the defaults: as NewBucketType, but for r, which is one: reads are
// answered where they are asked.
func NewBucketTypeEverywhere(name string, replicas int) BucketType {
	t := NewBucketType(name, replicas)
	t.Everywhere, t.R = true, 1
	return t
}

// Holders is the type's n in words: a number, or all.
func (t BucketType) Holders() string {
	if t.Everywhere {
		return "all"
	}
	return fmt.Sprint(t.N)
}

// Class is that of the type's keys: see CopyClass.
func (t BucketType) Class() int {
	if t.Everywhere {
		return CopyClass(t.N)
	}
	return t.N
}

// MaxTypeNameBytes bounds the name of a bucket type: it stands in every stored
// key.
const MaxTypeNameBytes = 64

// Validate checks t for a cluster that keeps replicas slots per partition. The
// error is of kind Invalid and names the field.
func (t BucketType) Validate(replicas int) error {
	if t.Name == "" || len(t.Name) > MaxTypeNameBytes {
		return Invalid("name", "a bucket type's name has 1 to %d bytes, not %d", MaxTypeNameBytes, len(t.Name))
	}
	for _, c := range []byte(t.Name) {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", rune(c)) {
			return Invalid("name", "a bucket type's name is made of letters, digits, '-', '_' and '.', not %q", t.Name)
		}
	}
	if t.N < 1 || t.N > replicas {
		return Invalid("n", "n is %d, and the cluster keeps %d replicas: use 1 to %d", t.N, replicas, replicas)
	}
	if t.Everywhere && t.N != replicas {
		return Invalid("n", "n is all, and the owners are %d: those of a type that is everywhere are all %d", t.N, replicas)
	}
	if t.Time <= 0 {
		return Invalid("timeout", "the timeout is %v: it has to be above 0", t.Time)
	}
	if t.DefaultTTL < 0 || t.DefaultTTL > TTLMax {
		return Invalid("default_ttl", "is %v: use 0, which is for ever, to %v", t.DefaultTTL, TTLMax)
	}
	_, err := Resolve(t, Options{})
	return err
}
