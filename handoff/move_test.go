package handoff_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ringd/ringd/handoff"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
	"github.com/ringd/ringd/vnode"
)

// beginMove has all members know of a move of a slot of A's, B's or C's.
func (c *cluster) beginMove(number uint64, from, to string, rebuild bool) replica.Move {
	c.t.Helper()
	slot, ok := c.ring.SlotOf(part, c.host(from).id)
	if !ok {
		c.t.Fatalf("%s owns nothing", from)
	}
	m := replica.Move{
		Number: number, Partition: part, Slot: slot, From: c.host(from).id, To: c.host(to).id,
		Rebuild: rebuild, Sources: replica.AllSources,
	}
	c.moves = map[ring.PartitionID]replica.Move{part: m}
	if rebuild {
		c.arrive(m)
		return m
	}
	c.install()
	return m
}

// endMove decides the move: the slot is its new owner's, or stays.
func (c *cluster) endMove(m replica.Move, cancelled bool) {
	c.t.Helper()
	c.moves = nil
	if cancelled {
		c.install()
		return
	}
	c.arrive(m)
}

func (c *cluster) arrive(m replica.Move) {
	c.t.Helper()
	epoch := ring.Epoch{Generation: 1, Number: c.ring.Epoch().Number + 1}
	next, err := c.ring.WithArrivals(epoch, []ring.Arrived{{Slot: ring.Slot{Partition: part, Index: m.Slot}, Owner: m.To, Number: m.Number}})
	if err != nil {
		c.t.Fatal(err)
	}
	c.ring = next
	c.install()
}

func (c *cluster) install() {
	c.t.Helper()
	for _, h := range c.members {
		h.step(vnode.Installed{Ring: c.ring, Moves: c.moves, Types: c.types, HintBytesMax: c.hintBytesMax})
	}
}

func (c *cluster) move(m replica.Move) *replica.Error {
	c.t.Helper()
	return c.run(c.byID(m.From), handoff.NewMove(handoff.MoveConfig{Move: m, Replicas: 3, Leaves: replica.Leaves(partitions), Throttle: free{}}))
}

// captured is what a vnode says of itself to one that compares itself with it.
func (c *cluster) captured(name, from string) replica.CaptureAnswer {
	c.t.Helper()
	a, ok := c.host(name).ask(c.host(from), false, replica.Capture{Look: true}).(replica.CaptureAnswer)
	if !ok {
		c.t.Fatalf("%s is not compared with %s", name, from)
	}
	return a
}

func (c *cluster) kept(name string, m replica.Message) replica.Message {
	return c.host(name).ask(c.host(name), false, m)
}

// objects are the records of the partition that a member has on disk, and what is
// derived from them.
func (c *cluster) objects(name string) string {
	c.t.Helper()
	var all strings.Builder
	for _, r := range storage.HeldRanges(uint32(part)) {
		if err := c.host(name).disk.Scan(r.Lower, r.Upper, func(key, value []byte) bool {
			fmt.Fprintf(&all, "%x = %x\n", key, value)
			return true
		}); err != nil {
			c.t.Fatal(err)
		}
	}
	return all.String()
}

// answers says whether a member answers a read as an owner, and what.
func (c *cluster) answers(name, k string) (replica.ReadAnswer, bool) {
	a, ok := c.host(name).ask(c.host("C"), false, replica.Read{Key: key(k), Full: true}).(replica.ReadAnswer)
	return a, ok
}

func (c *cluster) fill(n int) {
	c.t.Helper()
	for i := range n {
		c.put("A", fmt.Sprintf("k%04d", i), strings.Repeat("x", i%100), nil, "B", "C")
	}
}

func TestMoveBringsEverything(t *testing.T) {
	c := newCluster(t)
	c.fill(1000)
	c.delete("B", "k0007", nil, "A", "C")
	want := c.objects("B")
	m := c.beginMove(1, "B", "F", false)
	if err := c.move(m); err != nil {
		t.Fatal(err)
	}
	c.endMove(m, false)
	if got := c.objects("F"); got != want {
		t.Fatalf("the former owner had\n%s, the new one has\n%s", want, got)
	}
	c.wantTreesRight("F")
	if a, ok := c.answers("B", "k0001"); ok {
		t.Errorf("the former owner answered %+v", a)
	}
	if n := c.agree("A", "F"); n > 0 {
		t.Errorf("%d objects went between the new owner and another", n)
	}
	if a, ok := c.kept("B", replica.Leftovers{}).(replica.LeftoversAnswer); !ok || !a.Any {
		t.Errorf("the former owner has left %+v", a)
	}
	if _, ok := c.kept("B", replica.Drop{}).(replica.DropAnswer); !ok {
		t.Error("the former owner does not drop what it had")
	}
	if a, ok := c.kept("B", replica.Leftovers{}).(replica.LeftoversAnswer); !ok || a.Any {
		t.Errorf("the former owner has left %+v", a)
	}
	for _, name := range []string{"A", "F"} {
		if _, ok := c.kept(name, replica.Drop{}).(replica.DropAnswer); ok {
			t.Errorf("%s, an owner, drops its data", name)
		}
	}
	if got := c.objects("B"); got != "" {
		t.Errorf("the former owner still has\n%s", got)
	}
}

// TestMoveUnderWrites: what is acknowledged while a slot moves, up to the fence, is
// at its new owner; after the fence the former one takes nothing.
func TestMoveUnderWrites(t *testing.T) {
	c := newCluster(t)
	c.fill(300)
	m := c.beginMove(1, "A", "F", false)
	writes := 0
	c.intercept = func(*host, replica.Message) replica.Message {
		intercept := c.intercept
		c.intercept = nil
		defer func() { c.intercept = intercept }()
		in := c.host("A").give(c.host("A"), false, replica.Coordinate{Write: replica.Write{
			Key: key(fmt.Sprintf("k%04d", (writes*37)%400)), Value: []byte(fmt.Sprint(writes)), Request: [16]byte{1, byte(writes), byte(writes >> 8)},
		}})
		if _, ok := in.answers[len(in.answers)-1].(replica.Committed); ok {
			writes++
		}
		return nil
	}
	if err := c.move(m); err != nil {
		t.Fatal(err)
	}
	c.intercept = nil
	if writes < 20 {
		t.Fatalf("only %d writes while the slot moved", writes)
	}
	if got, want := c.objects("F"), c.objects("A"); got != want {
		t.Fatalf("the former owner has\n%s, the new one\n%s", want, got)
	}
	c.endMove(m, false)
	if _, ok := c.answers("F", "k0037"); !ok {
		t.Error("the new owner does not answer")
	}
}

// TestMoveGoesOnFromTheCursor: neither a crash of the former owner nor one of the
// new one lets the move begin anew.
func TestMoveGoesOnFromTheCursor(t *testing.T) {
	for _, crashed := range []string{"A", "F"} {
		c := newCluster(t)
		c.fill(1000)
		m := c.beginMove(1, "A", "F", false)
		transfers := 0
		c.intercept = func(_ *host, msg replica.Message) replica.Message {
			if _, ok := msg.(replica.Transfer); ok {
				if transfers++; transfers == 3 {
					return replica.Failure{Err: replica.Errorf(replica.KindUnavailable, "gone")}
				}
			}
			return nil
		}
		if err := c.move(m); err == nil {
			t.Fatal("the move did not notice")
		}
		c.intercept = nil
		before := c.sent["F"]
		c.host(crashed).crash()
		c.install()
		c.put("A", "k0000", "behind the cursor", nil, "B", "C")
		if err := c.move(m); err != nil {
			t.Fatal(err)
		}
		if again := c.sent["F"] - before; before < 256 || again > 1010-256 {
			t.Errorf("%d objects before the crash of %s, %d after", before, crashed, again)
		}
		if got, want := c.objects("F"), c.objects("A"); got != want {
			t.Fatalf("the former owner has\n%s, the new one\n%s", want, got)
		}
	}
}

// TestFenceOutlastsACrash: a fenced owner stays so until the move is decided.
func TestFenceOutlastsACrash(t *testing.T) {
	for _, cancelled := range []bool{false, true} {
		c := newCluster(t)
		c.fill(10)
		m := c.beginMove(1, "A", "F", false)
		if err := c.move(m); err != nil {
			t.Fatal(err)
		}
		c.host("A").crash()
		c.install()
		if _, ok := c.answers("A", "k0001"); ok {
			t.Error("the fence did not outlast the crash")
		}
		c.endMove(m, cancelled)
		if _, ok := c.answers("A", "k0001"); ok != cancelled {
			t.Errorf("cancelled %v: it answers reads %v", cancelled, ok)
		}
	}
}

// TestMoveOfAnotherNumber: what belongs to a move that was cancelled has no effect
// on the next.
func TestMoveOfAnotherNumber(t *testing.T) {
	c := newCluster(t)
	c.fill(10)
	old := c.beginMove(1, "A", "F", false)
	if err := c.move(old); err != nil {
		t.Fatal(err)
	}
	life := c.captured("F", "A").Life
	c.endMove(old, true)
	m := c.beginMove(2, "A", "F", false)
	if _, ok := c.answers("A", "k0001"); !ok {
		t.Error("the fence of a move that was cancelled holds for the next")
	}
	if _, ok := c.host("F").ask(c.host("A"), false, replica.Inherit{Move: 2}).(replica.InheritAnswer); !ok {
		t.Fatal("the next move does not begin")
	}
	if got := c.objects("F"); got != "" {
		t.Errorf("F still has\n%s", got)
	}
	now := c.captured("F", "A")
	if now.Life == life || len(now.Seen) > 0 {
		t.Errorf("F goes on in life %x, having seen %v", now.Life, now.Seen)
	}
	for _, msg := range []replica.Message{
		replica.Inherit{Move: 1},
		replica.Transfer{Move: 1},
		replica.Settle{Move: 1, Life: now.Life},
		replica.Settle{Move: 2, Life: life},
		replica.Adopt{From: c.host("A").id, Life: life},
	} {
		if _, ok := c.host("F").ask(c.host("A"), false, msg).(replica.Failure); !ok {
			t.Errorf("F takes %+v", msg)
		}
	}
	if _, ok := c.kept("A", replica.Fence{Move: 1}).(replica.Failure); !ok {
		t.Error("A is fenced by a move that was cancelled")
	}
	if err := c.move(m); err != nil {
		t.Fatal(err)
	}
	c.endMove(m, false)
	if a, ok := c.answers("F", "k0001"); !ok || len(a.Context) == 0 {
		t.Errorf("the new owner answers %+v", a)
	}
	c.host("F").crash()
	c.install()
	if a, ok := c.answers("F", "k0001"); !ok || len(a.Context) == 0 {
		t.Errorf("the new owner answers %+v after a crash", a)
	}
}

// TestWhoMayAskDuringAMove: the new owner is nobody's but the former one's, which
// after the fence is compared with nobody else: what others told it then, the new one
// would lack, though its seen says otherwise.
func TestWhoMayAskDuringAMove(t *testing.T) {
	c := newCluster(t)
	c.fill(10)
	m := c.beginMove(1, "A", "F", false)
	refused := func(name, from string, msg replica.Message) {
		t.Helper()
		if _, ok := c.host(name).ask(c.host(from), false, msg).(replica.Failure); !ok {
			t.Errorf("%s takes %T from %s", name, msg, from)
		}
	}
	for _, from := range []string{"B", "F"} {
		refused("F", from, replica.Inherit{Move: 1})
	}
	if _, ok := c.host("F").ask(c.host("A"), false, replica.Inherit{Move: 1}).(replica.InheritAnswer); !ok {
		t.Fatal("the move does not begin")
	}
	c.host("F").crash()
	c.install()
	c.captured("F", "A")
	refused("F", "A", replica.Read{Key: key("k0001")})
	refused("F", "B", replica.Capture{Look: true})
	refused("F", "F", replica.Drop{})
	c.captured("A", "B")
	if err := c.move(m); err != nil {
		t.Fatal(err)
	}
	refused("F", "A", replica.Read{Key: key("k0001")})
	refused("A", "B", replica.Capture{Look: true})
	c.captured("A", "A")
}

// TestNotSettled: a slot that was given away too early is not served by who has not
// been told that it has everything, nor by who was told so for another move.
func TestNotSettled(t *testing.T) {
	c := newCluster(t)
	c.fill(10)
	m := c.beginMove(1, "A", "F", false)
	if _, ok := c.host("F").ask(c.host("A"), false, replica.Inherit{Move: 1}).(replica.InheritAnswer); !ok {
		t.Fatal("the move does not begin")
	}
	c.endMove(m, false)
	if a, ok := c.answers("F", "k0001"); ok {
		t.Errorf("it was not settled, and answers %+v", a)
	}

	c = newCluster(t)
	c.fill(10)
	m = c.beginMove(1, "A", "F", false)
	if err := c.move(m); err != nil {
		t.Fatal(err)
	}
	c.endMove(m, true)
	c.put("A", "k0001", "after the move was cancelled", nil, "B")
	c.host("A").down = true
	m = c.beginMove(2, "A", "F", true)
	if a, ok := c.answers("F", "k0001"); ok {
		t.Errorf("it was settled for another move, and answers %+v", a)
	}
	c.kept("F", replica.Inherit{Move: m.Number, Rebuild: true})
	if got := c.objects("F"); got != "" {
		t.Errorf("the rebuild begins with\n%s", got)
	}
}

// TestCorruptRecordIsNotLeftBehind: what can't be read can't be compared, and the slot
// stays until it is restored.
func TestCorruptRecordIsNotLeftBehind(t *testing.T) {
	c := newCluster(t)
	c.fill(10)
	c.host("A").corrupt(t, dataKeyOf(key("k0001")))
	if err := c.move(c.beginMove(1, "A", "F", false)); err == nil {
		t.Fatal("a slot was handed over of which a record can't be read")
	}
	if slices.Contains(c.asked, "Fence") {
		t.Error("its owner does not serve the rest meanwhile")
	}
}

// TestFallbackBecomesOwner: what a member coordinated as a fallback, it has as hints;
// getting a slot does not make it one that has merged it.
func TestFallbackBecomesOwner(t *testing.T) {
	c := newCluster(t)
	c.fill(3)
	c.put("F", "lent", "v", nil)
	m := c.beginMove(1, "C", "F", false)
	if err := c.move(m); err != nil {
		t.Fatal(err)
	}
	c.endMove(m, false)
	for _, pair := range [][2]string{{"A", "B"}, {"A", "F"}, {"B", "F"}} {
		c.agree(pair[0], pair[1])
	}
	for slot, to := range []string{"A", "B", "F"} {
		d := handoff.NewDelivery(c.host("F").id, part, slot, c.host(to).id, free{})
		if err := c.run(c.host("F"), d); err != nil {
			t.Fatal(err)
		}
	}
	for _, pair := range [][2]string{{"A", "B"}, {"A", "F"}, {"B", "F"}} {
		c.agree(pair[0], pair[1])
	}
	for _, name := range []string{"A", "B", "F"} {
		if a, ok := c.answers(name, "lent"); !ok || len(a.Object) == 0 || c.objects(name) != c.objects("A") {
			t.Errorf("%s has %+v", name, a)
		}
	}
}

// TestMoveThatFailsFreesItsVnodes: whoever comes next need not wait until the session
// of a comparison that failed is given up.
func TestMoveThatFailsFreesItsVnodes(t *testing.T) {
	c := newCluster(t)
	c.fill(10)
	m := c.beginMove(1, "A", "F", false)
	c.intercept = func(_ *host, msg replica.Message) replica.Message {
		if _, ok := msg.(replica.Adopt); ok {
			return replica.Failure{Err: replica.Errorf(replica.KindUnavailable, "gone")}
		}
		return nil
	}
	if err := c.move(m); err == nil {
		t.Fatal("the move did not notice")
	}
	c.intercept = nil
	if x, err := c.exchange("B", "A"); err != nil {
		t.Errorf("another owner is refused: %v, busy: %v", err, x.Busy())
	}
}
