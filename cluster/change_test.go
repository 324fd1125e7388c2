package cluster

import (
	"context"
	"testing"
	"time"

	"github.com/ringd/ringd/replica"
)

// TestUpdatesOfWhatHasChanged: an update that was made from an older state than there is
// would undo what was changed since.
func TestUpdatesOfWhatHasChanged(t *testing.T) {
	s := able(mustApply(t, firstState(t), Command{CreateBucketType: bucketType("b", 2)}))
	were := s.Settings
	mine, others := were, were
	mine.SiblingsMax, others.HintEvery = 7, 3*time.Second
	s = mustApply(t, s, Command{UpdateSettings: &others, SettingsWere: &were})
	if next, err := s.Apply(Command{UpdateSettings: &mine, SettingsWere: &were}); replica.KindOf(err) != replica.KindAborted || next.Settings != others {
		t.Errorf("settings from before another change: %v", err)
	}
	was := *bucketType("b", 2)
	expires, strict := was, was
	expires.DefaultTTL, strict.Strict = time.Hour, true
	s = mustApply(t, s, Command{UpdateBucketType: &expires, TypeWas: &was})
	if next, err := s.Apply(Command{UpdateBucketType: &strict, TypeWas: &was}); replica.KindOf(err) != replica.KindAborted || next.BucketTypes["b"] != expires {
		t.Errorf("a bucket type from before another change: %v", err)
	}
}

// TestChangeIsMadeAnew: of two changes at the same time, the second is made from what the
// first left.
func TestChangeIsMadeAnew(t *testing.T) {
	t.Parallel()
	alone := newHost(t, newFakeNet(), "alone")
	alone.start(begin)
	voting(alone, 1)
	n := alone.node
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	asked := 0
	update := func(change func(*Settings)) func(*State) (Command, error) {
		return func(s *State) (Command, error) {
			were, next := s.Settings, s.Settings
			change(&next)
			return Command{UpdateSettings: &next, SettingsWere: &were}, nil
		}
	}
	err := n.Change(ctx, func(s *State) (Command, error) {
		if asked++; asked == 1 {
			defer func() {
				if err := n.Change(ctx, update(func(s *Settings) { s.HintEvery = 3 * time.Second })); err != nil {
					t.Error(err)
				}
			}()
		}
		return update(func(s *Settings) { s.SiblingsMax = 7 })(s)
	})
	if now := n.State().Settings; err != nil || asked != 2 || now.SiblingsMax != 7 || now.HintEvery != 3*time.Second {
		t.Errorf("after two changes, the second of which was asked for %d times: %v, %v", asked, now, err)
	}
}
