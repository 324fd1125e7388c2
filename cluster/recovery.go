package cluster

import (
	"cmp"
	"fmt"
	"time"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Recovery says how the present recovery generation began. The one that a cluster
// begins with has none.
type Recovery struct {
	// By is the member at which a person began it, and with which its log began.
	By ring.MemberID `json:"by"`
	// At is by that member's clock, for people to read.
	At time.Time `json:"at"`
}

// movesLostMax bounds the moves that were made by a log that was lost and that
// nobody who is left knows of: what is numbered after a recovery begins that much
// higher, so that no number on a disk ever stands for two moves.
const movesLostMax = 1 << 32

// IsOfEarlierLog says that a move was begun before the present recovery generation, so
// that it may have been finished by a log that was lost.
func (s *State) IsOfEarlierLog(move uint64) bool { return move/movesLostMax < s.LastMove/movesLostMax }

// log names the log that leads to states like s: that of a recovery generation as
// one member began it. The first of a cluster has no name.
func (s *State) log() string {
	if s.Recovery == nil {
		return ""
	}
	return fmt.Sprintf("%d.%v", s.Ring.Epoch().Generation, s.Recovery.By)
}

// compareLogs orders states by their logs: a later generation counts more. That two
// members began the same one is a mistake; then one of them counts, everywhere the
// same, and so do its epochs (see ring.Epoch.NextGeneration).
func (s *State) compareLogs(other *State) int {
	by := func(s *State) (id ring.MemberID) {
		if s.Recovery != nil {
			id = s.Recovery.By
		}
		return id
	}
	return cmp.Or(cmp.Compare(s.Ring.Epoch().Generation, other.Ring.Epoch().Generation), by(s).Compare(by(other)))
}

// recovered is the state that a new recovery generation begins with: what s says of
// members, bucket types and settings, and the same owners, whom messages of earlier
// rings don't reach any more. Nothing is staged and nothing moves, but for rebuilds,
// as there is nothing to turn back to.
func (s *State) recovered(by ring.MemberID, at time.Time) (*State, error) {
	next := s.clone()
	if len(next.Moves) > 0 {
		if err := next.cancelMoves(); err != nil && replica.KindOf(err) != replica.KindPrecondition {
			return nil, err
		}
	}
	if len(next.Moves) == 0 {
		next.MovesTotal = 0
	}
	next.Staged = nil
	next.Version++
	next.Revision++
	next.LastMove += movesLostMax
	next.Recovery = &Recovery{By: by, At: at.UTC().Truncate(time.Second)}
	var err error
	if next.Ring, err = next.Ring.WithEpoch(next.Ring.Epoch().NextGeneration(by)); err != nil {
		return nil, err
	}
	return next, next.check()
}

// checkRecovery returns an error if an invariant of recovery generations does not
// hold.
func (s *State) checkRecovery() error {
	generation := s.Ring.Epoch().Generation
	switch {
	case (generation > 1) != (s.Recovery != nil):
		return fmt.Errorf("cluster: the state is of recovery generation %d, and does not say by whom, or says so of the first", generation)
	case s.Recovery != nil && s.Recovery.By.IsZero():
		return fmt.Errorf("cluster: the state's recovery was begun by nobody")
	}
	return nil
}
