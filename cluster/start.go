package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// countWithin bounds one attempt to have a start counted. After it, whoever can
// be reached by then is asked.
const countWithin = 5 * time.Second

// reply is what a member answered to callReturn.
type reply struct {
	addr   string
	answer answer
	err    error
}

// returnToCluster asks whoever can be reached whether this directory is the last
// that the member had.
func (n *Node) returnToCluster(ctx context.Context) error {
	if s := n.State(); s != nil {
		// A restored starts.json is older than the state beside it.
		if err := n.learnStarts(s.Members[n.id].Starts, s.Members[n.id].Nonce); err != nil {
			return err
		}
	}
	replies, err := n.askAll(ctx)
	if err != nil {
		return err
	}
	for _, r := range replies {
		// An address that was a member's once may be another cluster's now; one
		// that somebody named just now must not be.
		if r.err != nil && final(r.err) && (slices.Contains(n.config.Join, r.addr) || !isOtherCluster(r.err)) {
			return fmt.Errorf("asking %s: %w", r.addr, r.err)
		}
	}
	return n.learn(replies)
}

// askAll asks every address that a member was ever said to be at.
func (n *Node) askAll(ctx context.Context) ([]reply, error) {
	known, err := n.config.Dir.peers()
	if err != nil {
		return nil, err
	}
	addrs := slices.Clone(n.config.Join)
	for _, p := range known {
		addrs = append(addrs, p.GRPC)
	}
	if s := n.State(); s != nil {
		for _, m := range s.Members {
			addrs = append(addrs, m.GRPC)
		}
	}
	slices.Sort(addrs)
	addrs = slices.DeleteFunc(slices.Compact(addrs), func(a string) bool { return a == "" || a == n.config.GRPC })
	replies := make([]reply, len(addrs))
	var all sync.WaitGroup
	for i, addr := range addrs {
		all.Go(func() {
			a, err := n.ask(ctx, addr, callReturn, question{GRPC: n.config.GRPC, Starts: n.config.Dir.counted().Count})
			replies[i] = reply{addr, a, err}
		})
	}
	all.Wait()
	return replies, ctx.Err()
}

// learn takes in what members answered. It returns an error if the directory is
// older than the member's last start.
func (n *Node) learn(replies []reply) error {
	for _, r := range replies {
		if r.err != nil {
			continue
		}
		if err := n.learnStarts(r.answer.Starts, r.answer.Nonce); err != nil {
			return err
		}
	}
	for _, r := range replies {
		if r.err != nil {
			continue
		}
		n.seeSeeds(r.answer.Gossip)
		if err := n.Adopt(r.answer.State); err != nil {
			n.log.Warn("a state was not taken over", "from", r.addr, "error", err)
		}
	}
	return nil
}

// learnStarts compares what others know of this member's starts with what the
// directory knows. A pending start that they know of was counted, before a
// crash: it is settled at once, because peers don't listen to a lower count.
func (n *Node) learnStarts(last uint64, nonce string) error {
	d := n.config.Dir.counted()
	switch {
	case last <= d.Count:
		return nil
	case last == d.Count+1 && d.Nonce != "" && nonce == d.Nonce:
		return n.counted()
	}
	return errOlderCopy(d.Count, last)
}

// counted settles the pending start: it is agreed on.
func (n *Node) counted() error {
	next := n.config.Dir.counted().Count + 1
	if err := n.config.Dir.setStarts(starts{Count: next}); err != nil {
		return err
	}
	n.starts.Store(next)
	if g := n.gossip.Load(); g != nil {
		g.update(func(m *meta) { m.Starts = next })
	}
	return nil
}

// commitStart lets the log count this start. A nonce that an earlier start left
// behind is settled first: it may have been counted.
func (n *Node) commitStart() {
	d := n.config.Dir
	if d.begins("") && !n.begin("") {
		return
	}
	if d.counted().Nonce != "" && !n.countStart() {
		return
	}
	if err := d.setStarts(starts{Count: d.counted().Count, Nonce: uuid.NewString()}); err != nil {
		n.fail(err)
		return
	}
	if n.countStart() {
		n.warnOfFlags()
		close(n.committed)
		n.poke()
	}
}

// countStart repeats the directory's pending start until the log has it. It
// reports false if the node ends first.
func (n *Node) countStart() bool {
	for n.ctx.Err() == nil {
		d := n.config.Dir.counted()
		ctx, cancel := context.WithTimeout(n.ctx, countWithin)
		err := n.Apply(ctx, Command{StartMember: &StartMember{
			ID: n.id, Before: d.Count, Nonce: d.Nonce,
			GRPC: n.config.GRPC, Gossip: n.gossip.Load().address(), HTTP: n.config.HTTP,
			Zone: n.config.Zone, Weight: n.config.Weight, Wire: n.config.Wire, Capabilities: n.config.Capabilities,
		}})
		cancel()
		switch {
		case err == nil:
			err = n.counted()
		case !final(err) || isOtherCluster(err):
			n.log.Debug("this start is not agreed on yet", "error", err)
			// Peers that came up since may know more than the directory does.
			replies, askErr := n.askAll(n.ctx)
			if askErr == nil {
				askErr = n.learn(replies)
			}
			if err = askErr; n.ctx.Err() != nil {
				return false
			}
		}
		if err != nil {
			n.fail(err)
			return false
		}
		if n.config.Dir.counted().Nonce == "" {
			return true
		}
		sleep(n.ctx, retryEvery)
	}
	return false
}
