// Package cluster keeps what all members agree on: which members there are, who
// owns what, bucket types and settings; and it knows who is up.
//
// The agreed state is a value, changed only by commands in one log (raft); who
// is up is what gossip (memberlist) says, each member for itself.
package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// State is what the members agree on. It is not changed once it is made: Apply
// returns the next one.
type State struct {
	Format    int    `json:"format"`
	ClusterID string `json:"cluster_id"`
	// Version counts the commands that led here: of two states of one cluster
	// and log, the higher is the newer.
	Version uint64 `json:"version"`
	// Secret that all members share; contexts are sealed with it.
	Secret []byte     `json:"secret"`
	Ring   *ring.Ring `json:"ring"`
	// Members by id, those without slots too.
	Members map[ring.MemberID]Member `json:"members"`
	// Removed members are told so when they come back.
	Removed map[ring.MemberID]bool `json:"removed,omitempty"`
	// Left are those of the removed that took their leave by themselves.
	Left        map[ring.MemberID]bool        `json:"left,omitempty"`
	BucketTypes map[string]replica.BucketType `json:"bucket_types"`
	Settings    Settings                      `json:"settings"`
	// Staged are the changes that the next commit carries out, by member.
	Staged map[ring.MemberID]Change `json:"staged,omitempty"`
	// Revision counts what changes the outcome of a plan, besides the ring: a commit
	// names the one that its plan was made at.
	Revision uint64 `json:"revision,omitempty"`
	// Moves are under way, those of one partition one after the other, in this order.
	Moves []replica.Move `json:"moves,omitempty"`
	// LastMove is the highest number of a move that there ever was.
	LastMove uint64 `json:"last_move,omitempty"`
	// MovesTotal counts the moves under way and those that have come to their end
	// since none was: for people to see how far it is.
	MovesTotal int `json:"moves_total,omitempty"`
	// Recovery is how the ring's generation began, nil for the first.
	Recovery *Recovery `json:"recovery,omitempty"`
}

// Member is one member as all know it.
type Member struct {
	ID     ring.MemberID `json:"id"`
	Name   string        `json:"name"`
	GRPC   string        `json:"grpc"`
	Gossip string        `json:"gossip"`
	HTTP   string        `json:"http"`
	Zone   string        `json:"zone,omitempty"`
	Weight int           `json:"weight"`
	Role   Role          `json:"role"`
	// Starts counts the starts of the member; Nonce names the last one.
	Starts uint64 `json:"starts"`
	Nonce  string `json:"nonce,omitempty"`
	// Wire and Capabilities are what the release speaks and can do that started last
	// (capability.go); Wire is 0 if it did not say.
	Wire         uint32       `json:"wire,omitempty"`
	Capabilities Capabilities `json:"capabilities,omitempty"`
	// JoinedAt is by the member's own clock, for people to read.
	JoinedAt time.Time `json:"joined_at,omitzero"`
	// Placed: a commit has brought it in, and plans give it slots.
	Placed bool `json:"placed,omitempty"`
	// Leaving: a commit has its slots moved away. It removes itself once it owns
	// nothing and keeps nothing for others.
	Leaving bool `json:"leaving,omitempty"`
	// Gone for good: a commit has its slots rebuilt by others, and nobody talks to it
	// any more. It is removed once they are rebuilt.
	Gone bool `json:"gone,omitempty"`
}

// The limits of what a member says of itself: it has to fit into gossip, which
// carries 512 bytes per member.
const (
	memberNameBytesMax    = 64
	memberAddressBytesMax = 160
	memberZoneBytesMax    = 64
	memberWeightMax       = 1000
)

// validate returns an error of kind Invalid that names the field.
func (m Member) validate() error {
	if m.ID.IsZero() {
		return replica.Invalid("id", "a member has an id")
	}
	for _, f := range []struct {
		name, value string
		least, most int
	}{
		{"name", m.Name, 1, memberNameBytesMax},
		{"grpc", m.GRPC, 1, memberAddressBytesMax},
		{"gossip", m.Gossip, 0, memberAddressBytesMax},
		{"http", m.HTTP, 0, memberAddressBytesMax},
		{"zone", m.Zone, 0, memberZoneBytesMax},
	} {
		if len(f.value) < f.least || len(f.value) > f.most {
			return replica.Invalid(f.name, "has %d bytes: use %d to %d", len(f.value), f.least, f.most)
		}
	}
	if m.Weight < 1 || m.Weight > memberWeightMax {
		return replica.Invalid("weight", "is %d: use 1 to %d", m.Weight, memberWeightMax)
	}
	if m.Role != RoleStorage && m.Role != RoleGateway {
		return replica.Invalid("role", "is %q: there are %q and %q", m.Role, RoleStorage, RoleGateway)
	}
	return nil
}

// Role is what a member is for.
type Role string

const (
	// RoleStorage members own slots.
	RoleStorage Role = "storage"
	// RoleGateway members coordinate requests and keep nothing.
	RoleGateway Role = "gateway"
)

const (
	// stateFormat 2 has the settings of repair, 3 has moves; older ones are read, too.
	stateFormat         = 3
	stateFormatPlaced   = 3
	stateFormatEarliest = 1
	// secretBytes is the length of the cluster's secret: that of a SHA-256 key.
	secretBytes = 32
)

// Encode returns the persisted form of s.
func (s *State) Encode() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("cluster: encoding the state: %w", err)
	}
	return b, nil
}

// DecodeState reads what Encode made.
func DecodeState(src []byte) (*State, error) {
	s := new(State)
	d := json.NewDecoder(bytes.NewReader(src))
	d.DisallowUnknownFields()
	if err := d.Decode(s); err != nil {
		return nil, fmt.Errorf("cluster: reading the state: %w", err)
	}
	s.upgrade()
	return s, s.check()
}

// upgrade makes the present format of an earlier one. (What format 1 lacks, reading
// its settings has filled in.)
func (s *State) upgrade() {
	if s.Format < stateFormatEarliest || s.Format >= stateFormat {
		return
	}
	if s.Format < stateFormatPlaced && s.Ring != nil {
		for _, id := range s.Ring.Members() {
			if m, ok := s.Members[id]; ok {
				m.Placed = true
				s.Members[id] = m
			}
		}
	}
	s.Format = stateFormat
}

// check returns an error if an invariant does not hold.
func (s *State) check() error {
	if s.Format != stateFormat {
		return fmt.Errorf("cluster: the state has format %d, and this ringd reads %d", s.Format, stateFormat)
	}
	if s.Ring == nil || s.ClusterID == "" || s.Version == 0 || len(s.Secret) != secretBytes {
		return fmt.Errorf("cluster: the state lacks its ring, its cluster id, its version or its secret")
	}
	names := make(map[string]bool)
	for id, m := range s.Members {
		if id != m.ID || s.Removed[id] || names[m.Name] {
			return fmt.Errorf("cluster: the state has member %v under another id or name, or removed", id)
		}
		if err := m.validate(); err != nil {
			return fmt.Errorf("cluster: the state's member %v: %w", id, err)
		}
		names[m.Name] = true
	}
	for _, id := range s.Ring.Members() {
		if _, ok := s.Members[id]; !ok {
			return fmt.Errorf("cluster: the ring names %v, which is no member", id)
		}
	}
	for name, t := range s.BucketTypes {
		if name != t.Name {
			return fmt.Errorf("cluster: the state has bucket type %q under the name %q", t.Name, name)
		}
		if err := t.Validate(s.Ring.Replicas()); err != nil {
			return fmt.Errorf("cluster: the state's bucket type %q: %w", name, err)
		}
	}
	if _, ok := s.BucketTypes[replica.DefaultBucketType]; !ok {
		return fmt.Errorf("cluster: the state has no bucket type %q", replica.DefaultBucketType)
	}
	if err := s.Settings.Validate(); err != nil {
		return fmt.Errorf("cluster: the state's settings: %w", err)
	}
	for id := range s.Left {
		if !s.Removed[id] {
			return fmt.Errorf("cluster: the state has member %v, which left, and not as removed", id)
		}
	}
	for id := range s.Staged {
		if _, ok := s.Members[id]; !ok {
			return fmt.Errorf("cluster: the state has a change staged of %v, which is no member", id)
		}
	}
	if err := s.Ring.Check(); err != nil {
		return err
	}
	if err := s.checkRecovery(); err != nil {
		return err
	}
	return s.checkMoves()
}

// BucketType returns a bucket type by its name.
func (s *State) BucketType(name string) (replica.BucketType, bool) {
	t, ok := s.BucketTypes[name]
	return t, ok
}

// MemberNamed returns the member of a name.
func (s *State) MemberNamed(name string) (Member, bool) {
	for _, m := range s.Members {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}

// NewerThan reports whether s has all that other has, and more. A nil state is
// the oldest.
func (s *State) NewerThan(other *State) bool {
	if other == nil {
		return true
	}
	if order := s.compareLogs(other); order != 0 {
		return order > 0
	}
	return s.Version > other.Version
}

// clone returns a copy whose maps may be changed.
func (s *State) clone() *State {
	next := *s
	next.Members = maps.Clone(s.Members)
	next.BucketTypes = maps.Clone(s.BucketTypes)
	next.Removed, next.Left = maps.Clone(s.Removed), maps.Clone(s.Left)
	next.Staged = maps.Clone(s.Staged)
	next.Moves = slices.Clone(s.Moves)
	return &next
}
