package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Command is one change of the agreed state: exactly one field besides Format is
// set.
type Command struct {
	Format           int                 `json:"format"`
	Bootstrap        *State              `json:"bootstrap,omitempty"`
	AddMember        *AddMember          `json:"add_member,omitempty"`
	StartMember      *StartMember        `json:"start_member,omitempty"`
	RemoveMember     *RemoveMember       `json:"remove_member,omitempty"`
	Stage            *Stage              `json:"stage,omitempty"`
	Unstage          *Unstage            `json:"unstage,omitempty"`
	CommitPlan       *CommitPlan         `json:"commit_plan,omitempty"`
	FinishMoves      *FinishMoves        `json:"finish_moves,omitempty"`
	CancelMoves      *CancelMoves        `json:"cancel_moves,omitempty"`
	CreateBucketType *replica.BucketType `json:"create_bucket_type,omitempty"`
	UpdateBucketType *replica.BucketType `json:"update_bucket_type,omitempty"`
	UpdateSettings   *Settings           `json:"update_settings,omitempty"`
}

const commandFormat = 1

// AddMember brings in a member without slots. Adding it again, with the same id
// and name, changes nothing.
type AddMember struct {
	Member Member `json:"member"`
}

// StartMember says that a member starts: its count of starts goes up by one if
// it was Before. A repeat with the same nonce does not count again. What the
// member says of itself is taken over.
type StartMember struct {
	ID     ring.MemberID `json:"id"`
	Before uint64        `json:"before"`
	Nonce  string        `json:"nonce"`
	GRPC   string        `json:"grpc"`
	Gossip string        `json:"gossip"`
	HTTP   string        `json:"http"`
	Zone   string        `json:"zone,omitempty"`
	Weight int           `json:"weight"`
	// Wire and Capabilities: see Member.
	Wire         uint32       `json:"wire,omitempty"`
	Capabilities Capabilities `json:"capabilities,omitempty"`
}

// RemoveMember takes out a member that owns no slot and is to get none.
type RemoveMember struct {
	ID ring.MemberID `json:"id"`
}

// Encode returns the form that goes into the log.
func (c Command) Encode() ([]byte, error) {
	c.Format = commandFormat
	return json.Marshal(c)
}

// DecodeCommand reads what Encode made. A command of a later release is an
// error that ends the member: it could not follow the others.
func DecodeCommand(src []byte) (Command, error) {
	var c Command
	d := json.NewDecoder(bytes.NewReader(src))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("cluster: a command that this ringd does not know: %w", err)
	}
	if c.Format != commandFormat {
		return c, fmt.Errorf("cluster: a command of format %d, and this ringd knows %d", c.Format, commandFormat)
	}
	if c.Bootstrap != nil {
		c.Bootstrap.upgrade()
	}
	return c, nil
}

// Apply returns the state after c; a nil state is that before Bootstrap. An
// error, of *replica.Error, leaves the state as it is; every member comes to the
// same.
func (s *State) Apply(c Command) (*State, error) {
	if c.Bootstrap != nil {
		if s != nil {
			return s, replica.Errorf(replica.KindPrecondition, "the cluster has begun already")
		}
		if err := c.Bootstrap.check(); err != nil {
			return nil, replica.Errorf(replica.KindInvalid, "%v", err)
		}
		return c.Bootstrap, nil
	}
	if s == nil {
		// Unavailable: who joins at once has to ask again, not to give up.
		return nil, replica.Errorf(replica.KindUnavailable, "the cluster has not begun yet")
	}
	err := s.admits(c)
	if err != nil {
		return s, err
	}
	next := s.clone()
	next.Version++
	switch {
	case c.AddMember != nil:
		err = next.addMember(c.AddMember.Member)
	case c.StartMember != nil:
		err = next.startMember(*c.StartMember)
	case c.RemoveMember != nil:
		err = next.removeMember(c.RemoveMember.ID)
	case c.Stage != nil:
		err = next.stage(*c.Stage)
	case c.Unstage != nil:
		err = next.unstage()
	case c.CommitPlan != nil:
		err = next.commitPlan(*c.CommitPlan)
	case c.FinishMoves != nil:
		err = next.finishMoves(*c.FinishMoves)
	case c.CancelMoves != nil:
		err = next.cancelMoves()
	case c.CreateBucketType != nil:
		err = next.createBucketType(*c.CreateBucketType)
	case c.UpdateBucketType != nil:
		err = next.updateBucketType(*c.UpdateBucketType)
	case c.UpdateSettings != nil:
		if err = c.UpdateSettings.Validate(); err == nil {
			next.Settings = *c.UpdateSettings
		}
	default:
		err = replica.Errorf(replica.KindInternal, "a command without a change")
	}
	if err != nil {
		return s, err
	}
	if len(next.Moves) == 0 {
		next.MovesTotal = 0
	}
	return next, nil
}

func (s *State) addMember(m Member) error {
	if s.IsOut(m.ID) {
		return s.errOut(m.ID)
	}
	if err := m.validate(); err != nil {
		return err
	}
	if old, ok := s.MemberNamed(m.Name); ok && old.ID != m.ID {
		return replica.Errorf(replica.KindPrecondition, "the name %q belongs to member %v: a member whose data directory was lost is a new one and needs another name", m.Name, old.ID)
	}
	if old, ok := s.Members[m.ID]; ok {
		if old.Name != m.Name {
			return replica.Errorf(replica.KindPrecondition, "member %v is named %q, not %q: a member keeps its name", m.ID, old.Name, m.Name)
		}
		// A repeat. What the member said at its starts since is newer.
		return nil
	}
	if err := s.admitRelease(m); err != nil {
		return err
	}
	m.Starts, m.Nonce = 0, ""
	m.Placed, m.Leaving, m.Gone = false, false, false
	s.Members[m.ID] = m
	return nil
}

// errOut says why a member that IsOut has no part in the cluster any more.
func (s *State) errOut(id ring.MemberID) error {
	if s.Left[id] {
		return replica.Errorf(replica.KindPrecondition, "member %v left this cluster: start with an empty data directory, under another name", id)
	}
	return replica.Errorf(replica.KindPrecondition, "member %v was removed from this cluster: start with an empty data directory, under another name", id)
}

func (s *State) startMember(c StartMember) error {
	m, ok := s.Members[c.ID]
	switch {
	case s.IsOut(c.ID):
		return s.errOut(c.ID)
	case !ok:
		return replica.Errorf(replica.KindNotFound, "member %v is not in this cluster", c.ID)
	case c.Nonce == "":
		return replica.Invalid("nonce", "a start has a nonce")
	case m.Starts == c.Before+1 && m.Nonce == c.Nonce:
		// A repeat.
	case m.Starts == c.Before, m.Starts < c.Before && s.Recovery != nil:
		// (The log that was lost may have counted starts that nobody else knows of.)
		m.Starts = c.Before + 1
		m.Nonce = c.Nonce
	default:
		return errOlderCopy(c.Before, m.Starts)
	}
	m.Wire, m.Capabilities = c.Wire, c.Capabilities
	if err := s.admitRelease(m); err != nil {
		return err
	}
	m.GRPC, m.Gossip, m.HTTP = c.GRPC, c.Gossip, c.HTTP
	if !m.Placed {
		// From then on they are changed by a commit, which moves slots.
		if _, staged := s.Staged[c.ID]; staged && (m.Zone != c.Zone || m.Weight != c.Weight) {
			s.Revision++
		}
		m.Zone, m.Weight = c.Zone, c.Weight
	}
	if err := m.validate(); err != nil {
		return err
	}
	s.Members[c.ID] = m
	return nil
}

func errOlderCopy(have, last uint64) error {
	return replica.Errorf(replica.KindPrecondition, "the data directory is older than this member's last start (it knows of %d starts, the cluster of %d): acknowledged writes are missing in it; start with an empty data directory, under another name", have, last)
}

// removeMember keeps a member from coming back.
func (s *State) removeMember(id ring.MemberID) error {
	m, ok := s.Members[id]
	if !ok {
		return replica.Errorf(replica.KindNotFound, "member %v is not in this cluster", id)
	}
	if s.concerns(id) {
		return replica.Errorf(replica.KindPrecondition, "member %s owns slots, or is to get some: let it leave first", m.Name)
	}
	if m.Role == RoleStorage && len(s.placed()) == 0 && len(s.Members) == 1 {
		return replica.Errorf(replica.KindPrecondition, "member %s is the last one", m.Name)
	}
	s.retire(id)
	return nil
}

func (s *State) createBucketType(t replica.BucketType) error {
	if err := t.Validate(s.Ring.Replicas()); err != nil {
		return err
	}
	if _, ok := s.BucketTypes[t.Name]; ok {
		return replica.Errorf(replica.KindPrecondition, "bucket type %q exists already", t.Name)
	}
	s.BucketTypes[t.Name] = t
	return nil
}

func (s *State) updateBucketType(t replica.BucketType) error {
	old, ok := s.BucketTypes[t.Name]
	if !ok {
		return replica.Errorf(replica.KindNotFound, "there is no bucket type %q", t.Name)
	}
	if t.N != old.N || t.Everywhere != old.Everywhere {
		return replica.Invalid("n", "n of bucket type %q is %s and fixed: make another type", t.Name, old.Holders())
	}
	if err := t.Validate(s.Ring.Replicas()); err != nil {
		return err
	}
	s.BucketTypes[t.Name] = t
	return nil
}

// newState is that of a cluster that begins with its first member.
func newState(clusterID string, secret []byte, seed uint64, partitions, replicas int, first Member) (*State, error) {
	r, err := ring.New(ring.Config{Seed: seed, Partitions: partitions, Replicas: replicas})
	if err != nil {
		return nil, err
	}
	s := &State{
		Format: stateFormat, ClusterID: clusterID, Version: 1, Secret: secret, Ring: r,
		Members:     map[ring.MemberID]Member{first.ID: first},
		BucketTypes: make(map[string]replica.BucketType),
		Settings:    DefaultSettings(),
	}
	t := replica.NewBucketType(replica.DefaultBucketType, replicas)
	s.BucketTypes[t.Name] = t
	return s, s.check()
}
