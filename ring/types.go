package ring

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// MemberID identifies a member for as long as its data directory lives: a UUID
// drawn when the directory was made. The zero value names no member.
type MemberID [16]byte

// IsZero reports whether id names no member.
func (id MemberID) IsZero() bool { return id == MemberID{} }

// Compare orders ids by their bytes.
func (id MemberID) Compare(other MemberID) int { return bytes.Compare(id[:], other[:]) }

// String returns the id in the canonical UUID form.
func (id MemberID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], id[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], id[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], id[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], id[10:16])
	return string(b[:])
}

// MarshalText implements encoding.TextMarshaler with the canonical UUID form.
func (id MemberID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *MemberID) UnmarshalText(text []byte) error {
	parsed, err := ParseMemberID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

var errMemberID = errors.New("not a member id: want 32 hex digits as 8-4-4-4-12")

// ParseMemberID reads the canonical UUID form.
func ParseMemberID(s string) (MemberID, error) {
	var id MemberID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return MemberID{}, fmt.Errorf("%q: %w", s, errMemberID)
	}
	digits := s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36]
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		return MemberID{}, fmt.Errorf("%q: %w", s, errMemberID)
	}
	return id, nil
}

// PartitionID numbers a partition: 0 to Q-1.
type PartitionID uint32

// Epoch orders the rings of one cluster. A recovery begins a new generation;
// within a generation every change of the ring has the next number. The zero
// Epoch is that of a cluster without owners.
//
// A recovery's numbers begin with a branch, above the bits that count; that of a
// cluster's first generation is 0.
type Epoch struct {
	Generation uint64 `json:"generation"`
	Number     uint64 `json:"number"`
}

// Compare returns -1, 0 or +1 as e is before, equal to or after other.
func (e Epoch) Compare(other Epoch) int {
	if c := cmp.Compare(e.Generation, other.Generation); c != 0 {
		return c
	}
	return cmp.Compare(e.Number, other.Number)
}

// branchBits are those of a number that tell the recoveries of one generation apart,
// above the branchShift bits that count: below 2^53, which all readers of JSON keep.
const (
	branchBits  = 20
	branchShift = 32
)

// NextGeneration is the first epoch of a generation that by begins after e. The
// branch is the higher the higher by is: of two members that begin the same
// generation, all rings of the one with the higher id are later than all of the
// other's. (Ids that begin with the same 20 bits are not told apart.)
func (e Epoch) NextGeneration(by MemberID) Epoch {
	branch := binary.BigEndian.Uint64(by[:8]) >> (64 - branchBits)
	return Epoch{Generation: max(1, e.Generation) + 1, Number: branch<<branchShift | 1}
}

// String returns "generation.number", and behind a slash the branch in hex, if there
// is one.
func (e Epoch) String() string {
	if branch := e.Number >> branchShift; branch > 0 {
		return fmt.Sprintf("%d.%d/%05x", e.Generation, e.Number&(1<<branchShift-1), branch)
	}
	return fmt.Sprintf("%d.%d", e.Generation, e.Number)
}
