package handoff_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/handoff"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/vnode"
)

func TestExchangeSendsWhatDiffersAndNoMore(t *testing.T) {
	c := newCluster(t)
	for i := range 300 {
		c.put("A", fmt.Sprintf("k%d", i), "old", nil, "B", "C")
	}
	if n := c.round(); n != 0 {
		t.Fatalf("%d objects were sent between owners that agree", n)
	}
	// C misses changes, deletes and new keys.
	for i := range 20 {
		a, _ := c.read("A", fmt.Sprintf("k%d", i))
		c.put("A", fmt.Sprintf("k%d", i), "new", a.Context, "B")
	}
	for i := 20; i < 30; i++ {
		a, _ := c.read("B", fmt.Sprintf("k%d", i))
		c.delete("B", fmt.Sprintf("k%d", i), a.Context, "A")
	}
	for i := 300; i < 310; i++ {
		c.put("B", fmt.Sprintf("k%d", i), "created", nil, "A")
	}
	if n := c.agree("A", "B"); n != 0 {
		t.Fatalf("%d objects were sent between owners that agree", n)
	}
	if n := c.agree("A", "C"); n != 40 {
		t.Fatalf("%d objects were sent for 40 keys that differ", n)
	}
	if n := c.round(); n != 0 {
		t.Fatalf("%d objects were sent right after", n)
	}
	wantValues(t, c.values("C", "k0"), "new")
	wantValues(t, c.values("C", "k25"))
	wantValues(t, c.values("C", "k305"), "created")
}

func TestExchangeOfSiblings(t *testing.T) {
	c := newCluster(t)
	c.put("A", "k", "a", nil)
	c.put("B", "k", "b", nil)
	c.put("C", "k", "c", nil)
	c.round()
	c.round()
	for _, name := range []string{"A", "B", "C"} {
		wantValues(t, c.values(name, "k"), c.values("A", "k")...)
		if n := len(c.values(name, "k")); n != 3 {
			t.Fatalf("%s has %d siblings", name, n)
		}
	}
	if n := c.round(); n != 0 {
		t.Fatalf("%d objects were sent between owners that agree", n)
	}
}

func TestExchangeOfSmallerClasses(t *testing.T) {
	c := newCluster(t)
	for _, typ := range []string{"default", "pair", "one"} {
		c.write("A", replica.Write{Key: replica.Key{Type: typ, Bucket: "b", Key: "k"}, Value: []byte(typ)})
	}
	sent := c.agree("A", "C")
	if sent != 1 {
		t.Fatalf("%d objects went to the third owner, which holds one of them", sent)
	}
	if sent := c.agree("A", "B"); sent != 2 {
		t.Fatalf("%d objects went to the second owner, which holds two of them", sent)
	}
	if n := c.round(); n != 0 {
		t.Fatalf("%d objects were sent between owners that agree", n)
	}
}

func TestDeletesAreForgotten(t *testing.T) {
	c := newCluster(t)
	o := c.put("A", "k", "v", nil, "B", "C")
	c.delete("B", "k", o.Context, "A", "C")
	c.round()
	c.round()
	for _, name := range []string{"A", "B", "C"} {
		if r := c.reap(name); r.Reaped != 1 || r.Kept != 0 {
			t.Fatalf("%s: %+v", name, r)
		}
		if c.hasRecord(name, "k") {
			t.Fatalf("%s keeps the record", name)
		}
	}
	if n := c.round(); n != 0 {
		t.Fatalf("%d objects were sent for what is forgotten", n)
	}
	wantValues(t, c.values("A", "k"))
}

// A deletion that the owners were not compared since is kept, and not said to be
// there for ever. One that names a write that was lost with the vnode that made it
// is.
func TestDeletesThatStayAreTold(t *testing.T) {
	c := newCluster(t)
	o := c.put("A", "k", "v", nil, "B", "C")
	c.delete("B", "k", o.Context, "A", "C")
	if r := c.reap("A"); r.Kept != 1 || r.Stuck != 0 {
		t.Fatalf("before a round: %+v", r)
	}
	a := c.host("A")
	a.held = true
	o = c.put("A", "lost", "v", nil, "B", "C")
	a.held = false
	a.crash()
	c.delete("B", "lost", o.Context, "A", "C")
	for _, stuck := range []int{0, 1} {
		for _, name := range []string{"A", "B", "C"} {
			if r := c.reap(name); r.Stuck != stuck {
				t.Fatalf("%s: %+v, and %d can never be forgotten", name, r, stuck)
			}
		}
		c.now = c.now.Add(time.Second)
		c.round()
		c.round()
	}
	for _, name := range []string{"A", "B", "C"} {
		if r := c.reap(name); r.Reaped != 0 || r.Kept != 1 || r.Stuck != 1 {
			t.Fatalf("%s: %+v", name, r)
		}
	}
}

func TestWipedOwnerIsRefilled(t *testing.T) {
	c := newCluster(t)
	for i := range 50 {
		c.put("A", fmt.Sprintf("k%d", i), "v", nil, "B")
	}
	c.agree("B", "C")
	b := c.host("B")
	b.wipe()
	if _, err := c.read("B", "k0"); err == nil || err.Kind != replica.KindUnavailable {
		t.Fatalf("an owner that lost its data answers: %v", err)
	}
	c.agree("A", "B")
	if _, err := c.read("B", "k0"); err == nil {
		t.Fatal("an owner that lost its data answers after it has got back that of one other owner")
	}
	c.agree("B", "C")
	for i := range 50 {
		wantValues(t, c.values("B", fmt.Sprintf("k%d", i)), "v")
	}
	if n := c.round(); n != 0 {
		t.Fatalf("%d objects were sent right after", n)
	}
}

func TestHintsAreDelivered(t *testing.T) {
	c := newCluster(t)
	for i := range 300 {
		o := c.put("A", fmt.Sprintf("k%d", i), "v", nil, "B")
		c.hint("F", "C", key(fmt.Sprintf("k%d", i)), o)
	}
	if got := c.deliver("F", "C").Progress(); got.Done != 300 || got.Total != 300 {
		t.Fatalf("%+v", got)
	}
	f := c.host("F")
	if n := f.ask(f, true, replica.HintCount{}).(replica.HintCountAnswer); n.Count[2] != 0 || n.Bytes[2] != 0 {
		t.Fatalf("left are %+v", n)
	}
	if n := c.round(); n != 0 {
		t.Fatalf("%d objects were sent for what the hints had brought", n)
	}
}

// What a fallback coordinated is forgotten, too, once it was deleted.
func TestDeletesOfAFallbackAreForgotten(t *testing.T) {
	c := newCluster(t)
	o := c.put("F", "k", "v", nil)
	c.delete("F", "k", o.Context)
	for _, name := range []string{"A", "B", "C"} {
		c.deliver("F", name)
	}
	c.round()
	c.round()
	for _, name := range []string{"A", "B", "C"} {
		if r := c.reap(name); r.Reaped != 1 {
			t.Fatalf("%s: %+v", name, r)
		}
	}
}

func TestVerify(t *testing.T) {
	c := newCluster(t)
	for i := range 40 {
		c.put("A", fmt.Sprintf("k%d", i), "v", nil, "B", "C")
	}
	verify := func() handoff.VerifyReport {
		v := handoff.NewVerify(handoff.VerifyConfig{Partition: part, Owners: c.ring.Owners(part), Types: c.types, DifferencesMax: 10})
		if err := c.run(c.host("A"), v); err != nil {
			t.Fatal(err)
		}
		return v.Report()
	}
	if r := verify(); r.Keys != 40 || r.Differ != 0 {
		t.Fatalf("%+v", r)
	}
	c.put("B", "k1", "w", nil)
	c.put("C", "new", "w", nil)
	r := verify()
	if r.Keys != 41 || r.Differ != 2 || len(r.Differences) != 2 || r.Differences[0].Key != key("k1") {
		t.Fatalf("%+v", r)
	}
	c.round()
	c.round()
	if r := verify(); r.Keys != 41 || r.Differ != 0 {
		t.Fatalf("%+v", r)
	}
}

// An exchange of one bucket type tells nobody what the other had seen, and is not
// taken for one of everything: an owner that lost its data waits for that.
func TestExchangeOfOneTypeDoesNotAgree(t *testing.T) {
	c := newCluster(t)
	c.put("A", "k", "v", nil, "C")
	c.host("B").wipe()
	x := c.exchangeConfig("A", "B")
	x.BucketType, x.Class = "default", 3
	op := handoff.NewExchange(x)
	if err := c.run(c.host("A"), op); err != nil {
		t.Fatal(err)
	}
	if op.Progress().Done != 1 || op.Agreed() {
		t.Fatalf("%d objects were sent, and agreed: %v", op.Progress().Done, op.Agreed())
	}
}

// An owner without room on disk takes no objects. That is a failure, and told from
// an owner that is being compared with another: that one is asked again at once.
func TestExchangeWithAFullDiskIsNotBusy(t *testing.T) {
	c := newCluster(t)
	c.put("A", "k", "v", nil)
	c.host("B").step(vnode.Room{Level: vnode.RoomNone})
	x, err := c.exchange("A", "B")
	if err == nil || err.Kind != replica.KindOverloaded || x.Busy() {
		t.Fatalf("%v, busy: %v", err, x.Busy())
	}
	c.host("B").step(vnode.Room{Level: vnode.RoomEnough})
	busy := c.begin("C", c.exchangeOf("B", "C")).landUntil("Adopt", "C")
	if x, err = c.exchange("A", "B"); err == nil || err.Kind != replica.KindOverloaded || !x.Busy() {
		t.Fatalf("%v, busy: %v", err, x.Busy())
	}
	busy.land()
}

// A session lasts as long as its objects are on their way, however slowly: two
// owners that fill a third would send it the same ones.
func TestSessionLastsWhileObjectsArrive(t *testing.T) {
	c := newCluster(t)
	a, b := c.host("A"), c.host("B")
	object := causal.AppendObject(nil, c.put("A", "k", "v", nil))
	capture := func(from *host) bool {
		_, ok := b.ask(from, false, replica.Capture{}).(replica.CaptureAnswer)
		return ok
	}
	if !capture(a) {
		t.Fatal("no session")
	}
	for range 4 {
		c.now = c.now.Add(10 * time.Second)
		b.ask(a, false, replica.Transfer{Items: []replica.Item{{Key: key("k"), Object: object}}})
		if capture(c.host("C")) {
			t.Fatal("a second session began while objects of the first came in")
		}
	}
	c.now = c.now.Add(16 * time.Second)
	if !capture(c.host("C")) {
		t.Fatal("a session of which nothing is heard does not end")
	}
}
