package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/internal/proctest"
)

// watchesProcesses leaves a test out where the race detector runs, which sees
// nothing of other processes.
func watchesProcesses(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it only watches other processes")
	}
	t.Parallel()
}

// joining starts members that have no slots yet.
func joining(t testing.TB, c *proctest.Cluster, names ...string) {
	t.Helper()
	for _, name := range names {
		p := proctest.New(t, name, filepath.Join(t.TempDir(), name))
		p.Start("--join", c.Members[0].At.GRPC)
		c.Members = append(c.Members, p)
	}
	c.WaitServing()
}

func change(name string, action ringdv1.MemberChange_Action) *ringdv1.MemberChange {
	return &ringdv1.MemberChange{Member: name, Action: action}
}

// stage has changes staged through one member.
func stage(t testing.TB, p *proctest.Process, changes ...*ringdv1.MemberChange) {
	t.Helper()
	proctest.Wait(t, "changes to be staged", func(ctx context.Context) error {
		_, err := proctest.Admin(t, p).StageChange(ctx, &ringdv1.StageChangeRequest{Changes: changes})
		return err
	})
}

// commit carries out what is staged, and checks that no more slots move than must.
func commit(t testing.TB, p *proctest.Process) (moves uint32) {
	t.Helper()
	proctest.Wait(t, "the plan to be committed", func(ctx context.Context) error {
		plan, err := proctest.Admin(t, p).Plan(ctx, &ringdv1.PlanRequest{})
		if err != nil {
			return err
		}
		if plan.Blocked != "" {
			return fmt.Errorf("blocked: %s", plan.Blocked)
		}
		if plan.Moves == 0 {
			return errors.New("nothing is planned, as far as it knows")
		}
		if plan.Moves != plan.Least {
			t.Errorf("%d moves are planned, %d are enough", plan.Moves, plan.Least)
		}
		r, err := proctest.Admin(t, p).Commit(ctx, &ringdv1.CommitRequest{Epoch: plan.Epoch, Revision: &plan.Revision})
		if err == nil {
			moves = r.Moves
		}
		return err
	})
	return moves
}

// settled waits until no slot moves any more, as the member sees it through which
// that was begun, and then the others.
func settled(t testing.TB, first *proctest.Process, others ...*proctest.Process) {
	t.Helper()
	var epoch string
	for _, p := range append([]*proctest.Process{first}, others...) {
		proctest.Wait(t, p.Name+" to see all moves done", func(ctx context.Context) error {
			s, err := proctest.Admin(t, p).Status(ctx, &ringdv1.StatusRequest{})
			if err != nil {
				return err
			}
			if n := len(s.Moves.GetActive()); n > 0 {
				return fmt.Errorf("%d of %d are done", s.Moves.GetDone(), s.Moves.GetTotal())
			}
			if epoch == "" {
				epoch = s.Epoch.String()
			}
			if got := s.Epoch.String(); got != epoch {
				return fmt.Errorf("it has ring %s, another %s", got, epoch)
			}
			return nil
		})
	}
}

// midMove waits until some moves are done and others are not.
func midMove(t *testing.T, p *proctest.Process) {
	t.Helper()
	proctest.Wait(t, "moves to be under way", func(ctx context.Context) error {
		s, err := proctest.Admin(t, p).Status(ctx, &ringdv1.StatusRequest{})
		if err != nil {
			return err
		}
		if s.Moves.GetDone() < 2 {
			return fmt.Errorf("%d moves are done", s.Moves.GetDone())
		}
		if len(s.Moves.GetActive()) == 0 {
			t.Fatal("all moves are done already")
		}
		return nil
	})
}

// slowly has slots move one at a time, so that there is time to get in between.
func slowly(t *testing.T, c *proctest.Cluster) {
	t.Helper()
	set(t, c, map[string]string{"transfer_concurrency": "1"})
}

// agree waits until a comparison of all owners finds nothing.
func agree(t *testing.T, p *proctest.Process) {
	t.Helper()
	proctest.Wait(t, "all owners to agree", func(ctx context.Context) error {
		s, err := proctest.Admin(t, p).Verify(ctx, &ringdv1.VerifyRequest{})
		if err != nil {
			return err
		}
		for {
			v, err := s.Recv()
			switch {
			case err != nil:
				return err
			case len(v.Unreachable) > 0:
				return fmt.Errorf("%s", v.Unreachable[0])
			case v.Done && v.KeysDiffer > 0:
				return fmt.Errorf("%d keys differ", v.KeysDiffer)
			case v.Done:
				return nil
			}
		}
	})
}

// even checks that every member named has its share, within one.
func even(t *testing.T, p *proctest.Process, names ...string) {
	t.Helper()
	const slots = 32 * 3
	for _, m := range proctest.Status(t, p).Members {
		share := float64(slots) / float64(len(names))
		least, most := uint32(math.Ceil(share-1)), uint32(math.Floor(share+1))
		if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+m.Name+" ") {
			least, most = 0, 0
		}
		if m.Slots < least || m.Slots > most {
			t.Errorf("%s has %d slots, its share is %d to %d", m.Name, m.Slots, least, most)
		}
	}
}

// TestMembersComeAndGo: 3 members become 5, 5 become 3, and one is replaced, under a
// load that notices whatever is lost or stale.
func TestMembersComeAndGo(t *testing.T) {
	watchesProcesses(t)
	c := proctest.Start(t, 3)
	load := keepLedger(c.Client())
	load.until(t, 500)

	joining(t, c, "m3", "m4")
	stage(t, c.Members[1], change("m3", ringdv1.MemberChange_JOIN), change("m4", ringdv1.MemberChange_JOIN))
	commit(t, c.Members[2])
	settled(t, c.Members[2], c.Members...)
	even(t, c.Members[0], "m0", "m1", "m2", "m3", "m4")
	load.until(t, 500)

	stage(t, c.Members[4], change("m0", ringdv1.MemberChange_LEAVE), change("m1", ringdv1.MemberChange_LEAVE))
	commit(t, c.Members[3])
	c.Members[0].Ended()
	c.Members[1].Ended()
	c.Members = c.Members[2:]
	settled(t, c.Members[0], c.Members...)
	even(t, c.Members[0], "m2", "m3", "m4")
	load.until(t, 500)

	joining(t, c, "m5")
	stage(t, c.Members[0], change("m2", ringdv1.MemberChange_LEAVE), change("m5", ringdv1.MemberChange_JOIN))
	if moves := commit(t, c.Members[0]); moves != 32 {
		t.Errorf("%d slots move to replace a member of 32", moves)
	}
	c.Members[0].Ended()
	c.Members = c.Members[1:]
	settled(t, c.Members[0], c.Members...)
	even(t, c.Members[0], "m3", "m4", "m5")
	load.until(t, 500)
	load.close(t)
	agree(t, c.Members[0])
}

// TestKillsInMidMove: the source, the target and the leader of the log are killed
// while slots move, and started again.
func TestKillsInMidMove(t *testing.T) {
	watchesProcesses(t)
	c := proctest.Start(t, 4)
	slowly(t, c)
	load := keepLedger(c.Client())
	load.until(t, 500)
	joining(t, c, "m4")
	stage(t, c.Members[0], change("m4", ringdv1.MemberChange_JOIN))
	commit(t, c.Members[0])
	midMove(t, c.Members[0])
	killInTurn(t, c, load)
	settled(t, c.Members[0], c.Members...)
	even(t, c.Members[0], "m0", "m1", "m2", "m3", "m4")
	load.until(t, 300)
	load.close(t)
	agree(t, c.Members[0])
}

// TestCancelInMidMove: what has moved stays where it is, the rest where it was.
func TestCancelInMidMove(t *testing.T) {
	watchesProcesses(t)
	c := proctest.Start(t, 3)
	slowly(t, c)
	load := keepLedger(c.Client())
	load.until(t, 500)
	joining(t, c, "m3")
	stage(t, c.Members[0], change("m3", ringdv1.MemberChange_JOIN))
	commit(t, c.Members[0])
	midMove(t, c.Members[0])
	r, err := proctest.Admin(t, c.Members[1]).Cancel(within(t), &ringdv1.CancelRequest{})
	if err != nil || r.Cancelled == 0 || r.Left != 0 {
		t.Fatalf("cancelled: %v, %v", r, err)
	}
	settled(t, c.Members[0], c.Members...)
	load.until(t, 300)
	agree(t, c.Members[0])
	// And on from there.
	commit(t, c.Members[2])
	settled(t, c.Members[2], c.Members...)
	even(t, c.Members[0], "m0", "m1", "m2", "m3")
	load.close(t)
	agree(t, c.Members[0])
}

// TestRemoveOneThatIsGone: a member that is killed and removed is rebuilt by others;
// started again, it is told so.
func TestRemoveOneThatIsGone(t *testing.T) {
	watchesProcesses(t)
	c := proctest.Start(t, 4)
	load := keepLedger(c.Client())
	load.until(t, 500)
	gone := c.Members[3]
	gone.Kill()
	c.Members = c.Members[:3]
	stage(t, c.Members[0], change("m3", ringdv1.MemberChange_REMOVE))
	commit(t, c.Members[0])
	settled(t, c.Members[0], c.Members...)
	even(t, c.Members[0], "m0", "m1", "m2")
	load.until(t, 300)
	load.close(t)
	agree(t, c.Members[0])
	mustSay(t, gone.StartRefused(), "removed", "another name")
}

// TestFormerMembersAreTold: one that left, one of an older copy of its directory and
// one that was wiped are told what they are, and change nothing.
func TestFormerMembersAreTold(t *testing.T) {
	watchesProcesses(t)
	c := proctest.Start(t, 4)
	b := c.Client().Bucket("b")
	every(t, 0, 50, func(ctx context.Context, key string) error {
		_, err := b.Put(ctx, key, []byte("v"), client.W(client.All))
		return err
	})
	left := c.Members[3]
	kept := filepath.Join(t.TempDir(), "kept")
	left.Stop()
	if err := os.CopyFS(kept, os.DirFS(left.Dir)); err != nil {
		t.Fatal(err)
	}
	left.Start()
	c.WaitServing()
	stage(t, c.Members[0], change("m3", ringdv1.MemberChange_LEAVE))
	commit(t, c.Members[0])
	left.Ended()
	c.Members = c.Members[:3]
	settled(t, c.Members[0], c.Members...)
	before := proctest.Status(t, c.Members[0]).Epoch.String()
	mustSay(t, left.StartRefused(), "left", "another name")
	replaceDir(t, left.Dir, kept)
	mustSay(t, left.StartRefused(), "left", "another name")
	older := c.Members[2]
	older.Stop()
	if err := os.CopyFS(kept+"2", os.DirFS(older.Dir)); err != nil {
		t.Fatal(err)
	}
	older.Start()
	c.WaitServing()
	older.Stop()
	replaceDir(t, older.Dir, kept+"2")
	mustSay(t, older.StartRefused(), "older", "another name")
	if err := os.RemoveAll(older.Dir); err != nil {
		t.Fatal(err)
	}
	mustSay(t, older.StartRefused("--join", c.Members[0].At.GRPC), "name", "another name")
	if after := proctest.Status(t, c.Members[0]).Epoch.String(); after != before {
		t.Errorf("the ring went from %s to %s", before, after)
	}
}

func replaceDir(t *testing.T, dir, by string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(by, dir); err != nil {
		t.Fatal(err)
	}
}

// TestTwoAdministrators: of two that commit what they saw, one wins, and the other is
// told to look again.
func TestTwoAdministrators(t *testing.T) {
	watchesProcesses(t)
	c := proctest.Start(t, 3)
	joining(t, c, "m3")
	one, two := proctest.Admin(t, c.Members[0]), proctest.Admin(t, c.Members[1])
	stage(t, c.Members[0], change("m3", ringdv1.MemberChange_JOIN))
	var plans []*ringdv1.PlanResponse
	for _, a := range []ringdv1.AdminClient{one, two} {
		proctest.Wait(t, "the plan to be seen", func(ctx context.Context) error {
			p, err := a.Plan(ctx, &ringdv1.PlanRequest{})
			if err == nil && p.Moves == 0 {
				err = fmt.Errorf("nothing is planned")
			}
			if err == nil {
				plans = append(plans, p)
			}
			return err
		})
	}
	answers := make(chan error, 2)
	for i, a := range []ringdv1.AdminClient{one, two} {
		go func() {
			_, err := a.Commit(within(t), &ringdv1.CommitRequest{Epoch: plans[i].Epoch, Revision: &plans[i].Revision})
			answers <- err
		}()
	}
	first, second := <-answers, <-answers
	if first != nil {
		first, second = second, first
	}
	if first != nil || status.Code(second) != codes.Aborted || !strings.Contains(second.Error(), "plan") {
		t.Errorf("the commits were answered %v and %v", first, second)
	}
	proctest.Wait(t, "the commit to be known", func(ctx context.Context) error {
		p, err := one.Plan(ctx, &ringdv1.PlanRequest{})
		if err == nil && len(p.Staged) > 0 {
			err = fmt.Errorf("%v is staged", p.Staged)
		}
		return err
	})
	settled(t, c.Members[0], c.Members...)
	even(t, c.Members[0], "m0", "m1", "m2", "m3")
}

// TestTopologyWithoutMajority: with two of three members killed, requests go on as
// far as they may, and changes of the topology say why they can't.
func TestTopologyWithoutMajority(t *testing.T) {
	watchesProcesses(t)
	c := proctest.Start(t, 3)
	c.Members[1].Kill()
	c.Members[2].Kill()
	last := c.Members[0]
	b := c.Client().Bucket("b")
	every(t, 0, 20, func(ctx context.Context, key string) error {
		_, err := b.Put(ctx, key, []byte("v"), client.W(1))
		return err
	})
	every(t, 0, 20, func(ctx context.Context, key string) error {
		_, err := b.Get(ctx, key, client.R(1))
		return err
	})
	proctest.Wait(t, "the loss of the leader to be noticed", func(ctx context.Context) error {
		s, err := proctest.Admin(t, last).Status(ctx, &ringdv1.StatusRequest{})
		if err == nil && s.Leader != "" {
			err = fmt.Errorf("%s leads", s.Leader)
		}
		return err
	})
	_, err := proctest.Admin(t, last).StageChange(within(t), &ringdv1.StageChangeRequest{Changes: []*ringdv1.MemberChange{change("m1", ringdv1.MemberChange_LEAVE)}})
	if err == nil || !strings.Contains(err.Error(), "majority") {
		t.Errorf("staging a change was answered %v", err)
	}
}
