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

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// State is what the members agree on. It is not changed once it is made: Apply
// returns the next one.
type State struct {
	Format    int    `json:"format"`
	ClusterID string `json:"cluster_id"`
	// Version counts the commands that led here: of two states of one cluster
	// and recovery generation, the higher is the newer.
	Version uint64 `json:"version"`
	// Secret that all members share; contexts are sealed with it.
	Secret []byte     `json:"secret"`
	Ring   *ring.Ring `json:"ring"`
	// Members by id, those without slots too.
	Members map[ring.MemberID]Member `json:"members"`
	// Removed members are told so when they come back.
	Removed     map[ring.MemberID]bool        `json:"removed,omitempty"`
	BucketTypes map[string]replica.BucketType `json:"bucket_types"`
	Settings    Settings                      `json:"settings"`
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
}

// Role is what a member is for.
type Role string

// RoleStorage members own slots.
const RoleStorage Role = "storage"

const stateFormat = 1

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
	if s.Format != stateFormat {
		return nil, fmt.Errorf("cluster: the state has format %d, and this ringd reads %d", s.Format, stateFormat)
	}
	if s.Ring == nil || s.ClusterID == "" {
		return nil, fmt.Errorf("cluster: the state has no ring or no cluster id")
	}
	return s, s.Ring.Check()
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
	if g, o := s.Ring.Epoch().Generation, other.Ring.Epoch().Generation; g != o {
		return g > o
	}
	return s.Version > other.Version
}

// clone returns a copy whose maps may be changed.
func (s *State) clone() *State {
	next := *s
	next.Members = maps.Clone(s.Members)
	next.BucketTypes = maps.Clone(s.BucketTypes)
	next.Removed = maps.Clone(s.Removed)
	return &next
}

// Candidates are the members that a plan may give slots to.
func (s *State) Candidates() []ring.Member {
	var out []ring.Member
	for _, m := range s.Members {
		if m.Role == RoleStorage {
			out = append(out, ring.Member{ID: m.ID, Zone: m.Zone, Weight: m.Weight})
		}
	}
	return out
}
