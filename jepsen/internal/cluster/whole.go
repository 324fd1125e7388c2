package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/grpc"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// WaitServing waits until every member runs, has the ring, and sees all others.
func (c *Cluster) WaitServing(ctx context.Context) error {
	return Wait(ctx, "all members to serve and see each other", func(ctx context.Context) error {
		members := c.Members()
		epochs := make(map[string][]string)
		for _, m := range members {
			if !m.Running() {
				return fmt.Errorf("%s does not run", m.Name)
			}
		}
		err := c.each(ctx, func(_ context.Context, m *Member, s *ringdv1.StatusResponse) error {
			alive := 0
			for _, o := range s.Members {
				if o.Liveness == ringdv1.Member_ALIVE {
					alive++
				}
			}
			// Names of members that are gone stay until their slots are rebuilt.
			if !s.HasOwners || alive < len(members) || s.Leader == "" {
				return fmt.Errorf("%s: has owners: %v; sees %d of %d alive; leader %q", m.Name, s.HasOwners, alive, len(members), s.Leader)
			}
			epoch := s.Epoch.String()
			epochs[epoch] = append(epochs[epoch], m.Name)
			return nil
		})
		if err == nil && len(epochs) > 1 {
			err = fmt.Errorf("they have different rings: %v", epochs)
		}
		return err
	})
}

// WaitWhole waits until nothing is left of any fault: every member serves and sees
// the others, no slot moves, no hint is kept, and all owners agree on all keys. It
// has them compared rather than wait for their own round.
func (c *Cluster) WaitWhole(ctx context.Context) error {
	if err := c.WaitServing(ctx); err != nil {
		return err
	}
	if err := c.Settled(ctx); err != nil {
		return err
	}
	if err := c.hintsDelivered(ctx); err != nil {
		return err
	}
	last := errors.New("nobody has compared them yet")
	for {
		differ, err := c.Verify(ctx)
		if err == nil && len(differ) == 0 {
			return nil
		}
		if err == nil {
			err = errors.New(strings.Join(differ, "; "))
		}
		if ctx.Err() == nil {
			last = err
		}
		// Its own error is told by the next comparison.
		_, _ = c.Repair(ctx)
		if err := pause(ctx); err != nil {
			return fmt.Errorf("waiting for all owners to agree: %w (%w)", last, err)
		}
	}
}

func (c *Cluster) hintsDelivered(ctx context.Context) error {
	return Wait(ctx, "all hints to be delivered", func(ctx context.Context) error {
		for _, m := range c.Members() {
			t, err := m.Admin().Transfers(ctx, &ringdv1.TransfersRequest{})
			if err != nil {
				return fmt.Errorf("%s: %w", m.Name, err)
			}
			if n := t.Hints.GetKept(); n > 0 {
				return fmt.Errorf("%s keeps %d hints", m.Name, n)
			}
		}
		return nil
	})
}

// Copied waits until what was acknowledged before is where it belongs, even if some
// of it was in one place only: no slot moves, no hint is kept, and all owners have
// compared what they have. Writes go on meanwhile.
func (c *Cluster) Copied(ctx context.Context) error {
	if err := c.Settled(ctx); err != nil {
		return err
	}
	if err := c.hintsDelivered(ctx); err != nil {
		return err
	}
	for {
		_, err := c.Repair(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// verifyTold is how many keys that differ are named.
const verifyTold = 5

// Verify has all owners of all keys compared, and returns what differs, in words;
// an error if some could not be compared.
func (c *Cluster) Verify(ctx context.Context) (differ []string, err error) {
	members := c.Members()
	s, err := members[0].Admin().Verify(ctx, &ringdv1.VerifyRequest{List: true})
	if err != nil {
		return nil, err
	}
	err = stream(s, func(v *ringdv1.VerifyProgress) error {
		if len(v.Unreachable) > 0 {
			return errors.New(v.Unreachable[0])
		}
		for _, d := range v.Differences {
			if len(differ) < verifyTold {
				differ = append(differ, fmt.Sprintf("%s/%s: %v", d.Key.GetBucket(), d.Key.GetKey(), d.Copies))
			}
		}
		if v.Done && v.KeysDiffer > 0 {
			differ = slices.Insert(differ, 0, fmt.Sprintf("%d of %d keys differ", v.KeysDiffer, v.KeysCompared))
		}
		return nil
	})
	return differ, err
}

// Repair has every member make its comparisons now, and returns the number of keys
// that differed.
func (c *Cluster) Repair(ctx context.Context) (keys uint64, err error) {
	for _, m := range c.Members() {
		s, err := m.Admin().Repair(ctx, &ringdv1.RepairRequest{})
		if err == nil {
			err = stream(s, func(p *ringdv1.RepairProgress) error {
				if p.Done && p.SessionsFailed > 0 {
					return fmt.Errorf("%d comparisons failed: %s", p.SessionsFailed, p.LastError)
				}
				if p.Done {
					keys += p.KeysDiffered
				}
				return nil
			})
		}
		if err != nil {
			return keys, fmt.Errorf("repair by %s: %w", m.Name, err)
		}
	}
	return keys, nil
}

// WaitGone waits until those that are out of the cluster have ended: they are told so
// once they reach others, and then end by themselves.
func (c *Cluster) WaitGone(ctx context.Context) error {
	for _, m := range c.all() {
		m.mu.Lock()
		waits := m.mu.gone && m.proc.Running()
		m.mu.Unlock()
		if !waits {
			continue
		}
		select {
		case <-m.Ended():
		case <-ctx.Done():
			return fmt.Errorf("%s is out of the cluster and runs on: %w", m.Name, ctx.Err())
		}
	}
	return nil
}

// Quiet returns what is wrong with a cluster that is whole, in words: a repair that
// still moves something, hash trees that don't stand for the data.
func (c *Cluster) Quiet(ctx context.Context) (wrong []string, err error) {
	keys, err := c.Repair(ctx)
	if err != nil {
		return nil, err
	}
	if keys > 0 {
		wrong = append(wrong, fmt.Sprintf("a repair of owners that agree found %d keys that differ", keys))
	}
	for _, m := range c.Members() {
		s, err := m.Admin().CheckTrees(ctx, &ringdv1.CheckTreesRequest{})
		if err == nil {
			err = stream(s, func(p *ringdv1.CheckTreesProgress) error {
				if len(p.Failed) > 0 {
					return errors.New(p.Failed[0])
				}
				if p.Done && p.EntriesWrong+p.SumsWrong > 0 {
					wrong = append(wrong, fmt.Sprintf("%s: %d entries and %d sums of hash trees were wrong, such as %v", m.Name, p.EntriesWrong, p.SumsWrong, p.Wrong))
				}
				return nil
			})
		}
		if err != nil {
			return wrong, fmt.Errorf("hash trees of %s: %w", m.Name, err)
		}
	}
	return wrong, nil
}

func stream[T any](s grpc.ServerStreamingClient[T], each func(*T) error) error {
	for {
		v, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(v); err != nil {
			return err
		}
	}
}
