package quorum_test

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/quorum"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// TestScenarios plays the protocols of testdata, one file a protocol. The
// commands:
//
//	object NAME context=(a1,b2) [live=(b2)]   an object, by its dots
//	get|put|delete|forward|list|route [self=a] [down=(c)] [fallbacks=(d,e)] [strict]
//	    [sloppy-after=MS] [r= w= pr= pw= dw=] ...
//	answer #SEQ KIND [OBJECT] [seen=(a1,b2)]    what a member says
//	lost #SEQ [sent]                 no answer will come
//	tick MS [hedge]                  the clock moves to MS after the beginning
//
// Each prints the effects.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &scenario{objects: make(map[string]causal.Object)}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return s.run(t, d)
		})
	})
}

var testKey = replica.Key{Type: "default", Bucket: "b", Key: "k"}

type scenario struct {
	objects map[string]causal.Object
	op      quorum.Op
	now     time.Time
}

func (s *scenario) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "object":
		return s.object(t, d)
	case "get", "put", "delete", "forward", "list", "route":
		return s.begin(t, d)
	case "answer":
		return s.answer(t, d)
	case "lost":
		return s.step(replica.Lost{Seq: seqOf(t, d.CmdArgs[0].Key), Sent: d.HasArg("sent")})
	case "tick":
		ms, err := strconv.Atoi(d.CmdArgs[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		s.now = start.Add(time.Duration(ms) * time.Millisecond)
		return s.step(replica.Tick{MayHedge: d.HasArg("hedge")})
	}
	t.Fatalf("%s: no such command", d.Pos)
	return ""
}

var start = time.Unix(1000, 0)

func (s *scenario) object(t *testing.T, d *datadriven.TestData) string {
	var o causal.Object
	live := make(map[string]bool)
	for _, arg := range d.CmdArgs {
		if arg.Key == "live" {
			for _, v := range arg.Vals {
				live[strings.TrimSuffix(v, "!")] = true
			}
		}
	}
	for _, arg := range d.CmdArgs {
		if arg.Key != "context" {
			continue
		}
		for _, v := range arg.Vals {
			o.Context = o.Context.With(dotOf(t, v))
		}
	}
	for _, arg := range d.CmdArgs {
		if arg.Key != "live" {
			continue
		}
		for _, v := range arg.Vals {
			name := strings.TrimSuffix(v, "!")
			sib := causal.Sibling{Dot: dotOf(t, name), Value: []byte(name), ValueSize: len(name)}
			if name != v {
				sib.Tombstone, sib.Value, sib.ValueSize = true, nil, 0
			}
			o.Siblings = append(o.Siblings, sib)
		}
	}
	sort.Slice(o.Siblings, func(i, j int) bool { return o.Siblings[i].Dot.Compare(o.Siblings[j].Dot) < 0 })
	if err := o.Check(); err != nil {
		t.Fatalf("%s: %v", d.Pos, err)
	}
	s.objects[d.CmdArgs[0].Key] = o
	return ""
}

func dotOf(t *testing.T, s string) causal.Dot {
	n, err := strconv.Atoi(s[1:])
	if err != nil {
		t.Fatalf("%q is no dot: %v", s, err)
	}
	return causal.Dot{Actor: causal.Actor(s[0]), Counter: uint64(n)}
}

func idOf(name string) ring.MemberID { return ring.MemberID{15: name[0]} }

func (s *scenario) begin(t *testing.T, d *datadriven.TestData) string {
	s.now = start
	o := replica.Options{}
	v := quorum.View{Self: idOf("a"), Deadline: start.Add(time.Second), ReadAfter: 200 * time.Millisecond}
	owners, fallbacks, down := []string{"a", "b", "c"}, []string(nil), map[string]bool{}
	forwarded := false
	w := replica.Write{Key: testKey, Value: []byte("v"), Delete: d.Cmd == "delete", Request: causal.RequestID{1}}
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "self":
			v.Self = idOf(arg.Vals[0])
		case "owners":
			owners = arg.Vals
		case "down":
			for _, m := range arg.Vals {
				down[m] = true
			}
		case "fallbacks":
			fallbacks = arg.Vals
		case "copies":
			for _, m := range arg.Vals {
				v.Copies = append(v.Copies, idOf(m))
			}
		case "strict":
			o.Sloppy = replica.Off
		case "sloppy-after":
			ms, err := strconv.Atoi(arg.Vals[0])
			if err != nil {
				t.Fatal(err)
			}
			v.SloppyAfter = time.Duration(ms) * time.Millisecond
		case "forwarded":
			forwarded = true
		case "hedge":
			v.HedgeAfter = 20 * time.Millisecond
		case "r", "w", "pr", "pw", "dw":
			c, err := replica.ParseCount(arg.Vals[0])
			if err != nil {
				t.Fatal(err)
			}
			*map[string]*replica.Count{"r": &o.R, "w": &o.W, "pr": &o.PR, "pw": &o.PW, "dw": &o.DW}[arg.Key] = c
		case "blocking":
			o.RepairBlocking = replica.On
		case "on":
			w.Context.Seen = s.objects[arg.Vals[0]].Context
		case "if-absent":
			w.IfAbsent = true
		case "if-match":
			w.IfMatch = true
		default:
			t.Fatalf("%s: no such argument: %s", d.Pos, arg.Key)
		}
	}
	for i, m := range owners {
		v.Owners = append(v.Owners, quorum.Candidate{ID: idOf(m), Up: !down[m], Latency: time.Duration(i) * time.Millisecond})
	}
	for _, m := range fallbacks {
		v.Fallbacks = append(v.Fallbacks, quorum.Candidate{ID: idOf(m), Up: !down[m]})
	}
	q, err := replica.Resolve(replica.NewBucketType("default", len(owners)), o)
	if err != nil {
		return err.Error() + "\n"
	}
	v.Quorums = q
	switch d.Cmd {
	case "get":
		s.op = quorum.NewGet(v, testKey)
	case "forward":
		s.op = quorum.NewForward(v, w)
	case "route":
		return []string{"forward", "as an owner", "as a fallback", "refused"}[quorum.RouteOf(v, forwarded)] + "\n"
	case "list":
		s.op = quorum.NewListPage(v, replica.List{Type: "default", Bucket: "b", Limit: 2})
	default:
		s.op = quorum.NewPut(v, w)
	}
	return s.step(replica.Begin{})
}

func (s *scenario) answer(t *testing.T, d *datadriven.TestData) string {
	seq := seqOf(t, d.CmdArgs[0].Key)
	rest := d.CmdArgs[2:]
	object := func() causal.Object {
		o, ok := s.objects[rest[0].Key]
		if !ok {
			t.Fatalf("%s: no object %s", d.Pos, rest[0].Key)
		}
		return o
	}
	var m replica.Message
	switch kind := d.CmdArgs[1].Key; kind {
	case "absent":
		m = replica.ReadAnswer{Digest: causal.Object{}.Digest(), Seen: seenOf(t, rest)}
	case "full":
		o := object()
		m = replica.ReadAnswer{Object: causal.AppendObject(nil, o), Context: o.Context, Digest: o.Digest(), Seen: seenOf(t, rest)}
	case "digest":
		o := object()
		m = replica.ReadAnswer{Context: o.Context, Digest: o.Digest(), Seen: seenOf(t, rest)}
	case "stored":
		m = replica.StoreAnswer{Durable: true, Changed: true}
	case "memory":
		m = replica.StoreAnswer{Changed: true}
	case "prepared":
		o := object()
		m = replica.Prepared{Object: causal.AppendObject(nil, o), Dot: o.Siblings[0].Dot}
	case "committed":
		m = replica.Committed{}
	case "forwarded":
		m = replica.ForwardAnswer{Result: replica.WriteResult{Context: causal.Context{Seen: object().Context}}}
	case "keys":
		m = s.listAnswer(t, rest)
	case "fail":
		m = replica.Failure{Err: failureOf(t, rest)}
	default:
		t.Fatalf("%s: no such answer: %s", d.Pos, kind)
	}
	return s.step(replica.Answer{Seq: seq, Message: m})
}

func seenOf(t *testing.T, args []datadriven.CmdArg) causal.Vector {
	var seen causal.Vector
	for _, arg := range args {
		if arg.Key == "seen" {
			for _, v := range arg.Vals {
				seen = seen.With(dotOf(t, v))
			}
		}
	}
	return seen
}

// listAnswer reads entries like k1=OBJECT, and "done".
func (s *scenario) listAnswer(t *testing.T, args []datadriven.CmdArg) replica.ListAnswer {
	var a replica.ListAnswer
	for _, arg := range args {
		if arg.Key == "done" {
			a.Done = true
			continue
		}
		o, ok := s.objects[arg.Vals[0]]
		if !ok {
			t.Fatalf("no object %s", arg.Vals[0])
		}
		a.Entries = append(a.Entries, replica.ListEntry{Name: arg.Key, Live: o.Live(), Context: o.Context})
	}
	return a
}

func failureOf(t *testing.T, args []datadriven.CmdArg) *replica.Error {
	kinds := map[string]replica.Kind{
		"storage": replica.KindStorage, "corrupt": replica.KindCorrupt, "aborted": replica.KindAborted, "overloaded": replica.KindOverloaded,
		"not-owner": replica.KindNotOwner, "unavailable": replica.KindUnavailable, "precondition": replica.KindPrecondition,
	}
	k, ok := kinds[args[0].Key]
	if !ok {
		t.Fatalf("no kind %s", args[0].Key)
	}
	e := replica.Errorf(k, "%s", k)
	e.MaybeApplied = len(args) > 1 && args[1].Key == "maybe"
	return e
}

func seqOf(t *testing.T, s string) uint32 {
	n, err := strconv.Atoi(strings.TrimPrefix(s, "#"))
	if err != nil {
		t.Fatalf("%q is no number of a send: %v", s, err)
	}
	return uint32(n)
}

func (s *scenario) step(e replica.Event) string {
	fx := s.op.Step(s.now, e)
	var b strings.Builder
	for _, send := range fx.Sends {
		as := ""
		if send.Fallback {
			as = " as fallback"
		}
		fmt.Fprintf(&b, "send #%d to %c%s: %s\n", send.Seq, send.To[15], as, messageText(send))
	}
	if fx.Hedged {
		fmt.Fprintln(&b, "hedged")
	}
	if fx.Result != nil {
		fmt.Fprintf(&b, "result: %s\n", resultText(*fx.Result))
	}
	switch {
	case fx.Finished:
		fmt.Fprintln(&b, "finished")
	case !fx.Tick.IsZero():
		fmt.Fprintf(&b, "tick at %d\n", fx.Tick.Sub(start).Milliseconds())
	}
	if b.Len() == 0 {
		return "ok\n"
	}
	return b.String()
}

func messageText(send replica.Send) string {
	switch m := send.Message.(type) {
	case replica.Read:
		if m.Full {
			return "read whole"
		}
		return "read digest"
	case replica.Store:
		o, err := causal.DecodeObject(m.Object)
		if err != nil {
			return err.Error()
		}
		text := "store " + objectText(o)
		if send.Fallback {
			text += fmt.Sprintf(" for slot %d", m.Slot)
		}
		return text
	case replica.Coordinate:
		text := fmt.Sprintf("coordinate on %s", contextText(m.Write.Context))
		if send.Fallback {
			text += fmt.Sprintf(" for %d slots", m.Slots)
		}
		if m.Conditional {
			text += " if nothing beyond " + vectorText(m.Expect)
		}
		return text
	}
	return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", send.Message), "replica."))
}

func resultText(r quorum.Result) string {
	if r.Err != nil {
		return fmt.Sprintf("%v: %v", r.Err.Kind, r.Err)
	}
	if r.List.Names != nil || r.List.Done || r.List.Through != "" {
		return fmt.Sprintf("names %v through %q, done %v", r.List.Names, r.List.Through, r.List.Done)
	}
	return fmt.Sprintf("%s context %s", objectText(r.Object), contextText(r.Context))
}

func objectText(o causal.Object) string {
	var live []string
	for _, s := range o.Siblings {
		text := fmt.Sprintf("%c%d", rune(s.Dot.Actor), s.Dot.Counter)
		if s.Tombstone {
			text += "!"
		}
		live = append(live, text)
	}
	return fmt.Sprintf("{%s of %s}", strings.Join(live, " "), vectorText(o.Context))
}

func contextText(c causal.Context) string {
	if len(c.Own) == 0 {
		return vectorText(c.Seen)
	}
	return fmt.Sprintf("%s and own %s", vectorText(c.Seen), vectorText(c.Own))
}

func vectorText(v causal.Vector) string {
	var parts []string
	for _, e := range v {
		parts = append(parts, fmt.Sprintf("%c%d", rune(e.Actor), e.Counter))
	}
	return "[" + strings.Join(parts, " ") + "]"
}
