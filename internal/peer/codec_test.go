package peer

import (
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

var epoch0 = time.Unix(1_700_000_000, 0)

func genBytes(t *rapid.T, name string) []byte {
	return some(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, name))
}

func genText(t *rapid.T, name string) string { return string(genBytes(t, name)) }

func genKey(t *rapid.T) replica.Key {
	return replica.Key{Type: genText(t, "type"), Bucket: genText(t, "bucket"), Key: genText(t, "key")}
}

func genVector(t *rapid.T) causal.Vector {
	var v causal.Vector
	actors := rapid.SliceOfNDistinct(rapid.Uint64Min(1), 0, 4, rapid.ID[uint64]).Draw(t, "actors")
	slices.Sort(actors)
	for _, a := range actors {
		v = append(v, causal.Entry{Actor: causal.Actor(a), Counter: rapid.Uint64Min(1).Draw(t, "counter")})
	}
	return v
}

func genMeta(t *rapid.T) []causal.Meta {
	var out []causal.Meta
	keys := rapid.SliceOfNDistinct(rapid.String(), 0, 3, rapid.ID[string]).Draw(t, "meta")
	slices.Sort(keys)
	for _, k := range keys {
		out = append(out, causal.Meta{Key: k, Value: genText(t, "value")})
	}
	return out
}

func genObject(t *rapid.T) causal.Object {
	o := causal.Object{Context: genVector(t)}
	for _, e := range o.Context {
		s := causal.Sibling{
			Dot: causal.Dot(e), Tombstone: rapid.Bool().Draw(t, "tombstone"),
			ContentType: genText(t, "content type"), Meta: genMeta(t), Time: causal.HLC(rapid.Uint64().Draw(t, "time")),
		}
		if !s.Tombstone {
			s.Value = genBytes(t, "value")
			s.ValueSize = len(s.Value)
			if s.Apart = rapid.Bool().Draw(t, "apart"); s.Apart {
				s.Value = nil
			}
		}
		o.Siblings = append(o.Siblings, s)
	}
	return o
}

func genContext(t *rapid.T) causal.Context {
	return causal.Context{Seen: genVector(t), Own: genVector(t)}
}

func genWrite(t *rapid.T) replica.Write {
	count := func(name string) replica.Count {
		return replica.Count(rapid.IntRange(int(replica.None), 9).Draw(t, name))
	}
	tri := func(name string) replica.Tri { return replica.Tri(rapid.IntRange(0, 2).Draw(t, name)) }
	w := replica.Write{
		Key: genKey(t), Delete: rapid.Bool().Draw(t, "delete"), Context: genContext(t), Value: genBytes(t, "value"),
		ContentType: genText(t, "content type"), Meta: genMeta(t),
		IfAbsent: rapid.Bool().Draw(t, "if absent"), IfMatch: rapid.Bool().Draw(t, "if match"),
		Options: replica.Options{
			R: count("r"), W: count("w"), PR: count("pr"), PW: count("pw"), DW: count("dw"),
			Sloppy: tri("sloppy"), RepairBlocking: tri("repair"), Timeout: time.Duration(rapid.Int64().Draw(t, "timeout")),
		},
		Return: replica.Return(rapid.IntRange(0, 2).Draw(t, "return")),
		Expiry: rapid.Int64Min(0).Draw(t, "expiry"),
	}
	copy(w.Request[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "request"))
	return w
}

func genMessage(t *rapid.T) replica.Message {
	switch kind := rapid.IntRange(0, 9+exchangeKinds-1).Draw(t, "message"); kind {
	case 0:
		return replica.Read{Key: genKey(t), Full: rapid.Bool().Draw(t, "full")}
	case 1:
		return replica.ReadAnswer{Object: genBytes(t, "object"), Context: genVector(t), Digest: rapid.Uint64().Draw(t, "digest"), Seen: genVector(t)}
	case 2:
		return replica.Store{Key: genKey(t), Object: genBytes(t, "object"), Slot: rapid.IntRange(0, slotMax).Draw(t, "slot")}
	case 3:
		return replica.StoreAnswer{Durable: rapid.Bool().Draw(t, "durable"), Changed: rapid.Bool().Draw(t, "changed")}
	case 4:
		return replica.Forward{Write: genWrite(t)}
	case 5:
		return replica.ForwardAnswer{Result: replica.WriteResult{Context: genContext(t), Object: genObject(t)}}
	case 6:
		return replica.List{
			Type: genText(t, "type"), Bucket: genText(t, "bucket"), Buckets: rapid.Bool().Draw(t, "buckets"),
			After: genText(t, "after"), Started: rapid.Bool().Draw(t, "started"), Limit: rapid.IntRange(0, maxUint32).Draw(t, "limit"),
		}
	case 7:
		a := replica.ListAnswer{Done: rapid.Bool().Draw(t, "done")}
		for range rapid.IntRange(0, 3).Draw(t, "entries") {
			a.Entries = append(a.Entries, replica.ListEntry{Name: genText(t, "name"), Live: rapid.Bool().Draw(t, "live"), Context: genVector(t)})
		}
		return a
	case 8:
	default:
		return genExchange(t, kind-9)
	}
	return replica.Failure{
		Err: &replica.Error{
			Kind: replica.Kind(rapid.IntRange(0, int(replica.KindCorrupt)).Draw(t, "kind")), Field: genText(t, "field"), Message: genText(t, "text"),
			Needed: rapid.IntRange(0, 9).Draw(t, "needed"), Got: rapid.IntRange(0, 9).Draw(t, "got"),
			MaybeApplied: rapid.Bool().Draw(t, "maybe"), RetryAfter: time.Duration(rapid.Int64().Draw(t, "retry")),
		},
		State: genBytes(t, "state"),
	}
}

// What is encoded, sent as bytes, and decoded is what it was.
func TestEncodeDecodeIdentity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		env := replica.Envelope{
			ID:        rapid.Uint64Min(1).Draw(t, "id"),
			Epoch:     ring.Epoch{Generation: rapid.Uint64().Draw(t, "generation"), Number: rapid.Uint64().Draw(t, "number")},
			Partition: ring.PartitionID(rapid.Uint32().Draw(t, "partition")),
			Fallback:  rapid.Bool().Draw(t, "fallback"),
			Message:   genMessage(t),
		}
		if us := rapid.Int64Range(0, 1<<40).Draw(t, "remaining"); us > 0 {
			env.Deadline = epoch0.Add(time.Duration(us) * time.Microsecond)
		}
		var out peerpb.Envelope
		if err := encode(&out, &env, env.ID, epoch0); err != nil {
			t.Fatal(err)
		}
		b, err := proto.Marshal(&out)
		if err != nil {
			t.Fatal(err)
		}
		var in peerpb.Envelope
		if err := proto.Unmarshal(b, &in); err != nil {
			t.Fatal(err)
		}
		got, err := decode(&in, epoch0)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, env) {
			t.Fatalf("got  %+v\nwant %+v", got, env)
		}
		if estimate := sizeOf(env.Message); estimate < len(b) || estimate > 4*len(b)+4*envelopeBytes {
			t.Fatalf("%T of %d bytes is taken for %d", env.Message, len(b), estimate)
		}
	})
}

func TestUnsendable(t *testing.T) {
	bad := causal.Vector{{Actor: 2, Counter: 1}, {Actor: 1, Counter: 1}}
	for _, m := range []replica.Message{
		replica.Coordinate{},
		replica.Prepared{},
		replica.Committed{},
		nil,
		replica.ReadAnswer{Context: bad},
		replica.ReadAnswer{Seen: bad},
		replica.Store{Slot: -1},
		replica.Store{Slot: 256},
		replica.Forward{Write: replica.Write{Expiry: -1}},
		replica.Forward{Write: replica.Write{Context: causal.Context{Seen: bad}}},
		replica.Forward{Write: replica.Write{Context: causal.Context{Own: bad}}},
		replica.Forward{Write: replica.Write{Return: 3}},
		replica.Forward{Write: replica.Write{Options: replica.Options{Sloppy: 3}}},
		replica.Forward{Write: replica.Write{Options: replica.Options{DW: replica.None - 1}}},
		replica.ForwardAnswer{Result: replica.WriteResult{Context: causal.Context{Seen: bad}}},
		replica.ForwardAnswer{Result: replica.WriteResult{Object: causal.Object{Siblings: make([]causal.Sibling, 1)}}},
		replica.List{Limit: -1},
		replica.ListAnswer{Entries: []replica.ListEntry{{Context: bad}}},
		replica.Failure{},
	} {
		if err := encode(new(peerpb.Envelope), &replica.Envelope{Message: m}, 1, epoch0); !errors.Is(err, ErrUnsendable) {
			t.Errorf("%#v: %v", m, err)
		}
	}
}

// The numbers of the wire are the numbers of package replica.
func TestNumbersOfTheWire(t *testing.T) {
	for n, name := range peerpb.Kind_name {
		words := map[string]string{
			"INTERNAL": "internal error", "PRECONDITION": "precondition failed", "UNKNOWN": "outcome unknown",
			"NOT_OWNER": "not an owner", "STORAGE": "storage error", "CORRUPT": "corrupt record",
		}[name]
		if words == "" {
			words = strings.ToLower(strings.ReplaceAll(name, "_", " "))
		}
		if got := replica.Kind(n).String(); got != words {
			t.Errorf("kind %d is %s on the wire and %q in replica", n, name, got)
		}
	}
	if next := replica.Kind(len(peerpb.Kind_name)); !strings.HasPrefix(next.String(), "kind ") {
		t.Errorf("%q is not on the wire", next)
	}
	later := unpackError(&peerpb.Error{Kind: 99, Text: []byte("x")})
	if later.Kind != replica.KindInternal || later.Message != "x" {
		t.Errorf("a kind of a later release: %+v", later)
	}
	if replica.ReturnBody != replica.Return(peerpb.Return_BODY) || replica.ReturnHead != replica.Return(peerpb.Return_HEAD) ||
		replica.On != replica.Tri(peerpb.Choice_ON) || replica.Off != replica.Tri(peerpb.Choice_OFF) {
		t.Error("a choice has another number on the wire")
	}
}

var update = flag.Bool("update", false, "write the golden files anew")

// goldenFrame has one message of each kind that version 1 has.
func goldenFrame(t testing.TB) *peerpb.Frame {
	key := replica.Key{Type: "default", Bucket: "b\xff", Key: "k\x00"}
	v := causal.Vector{{Actor: 0x0102030405060708, Counter: 9}, {Actor: 0xf102030405060708, Counter: 300}}
	request := causal.RequestID{1, 2, 3, 15: 16}
	meta := []causal.Meta{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}}
	object := causal.Object{Context: v, Siblings: []causal.Sibling{{
		Dot: causal.Dot{Actor: v[0].Actor, Counter: 9}, Value: []byte("value"), ValueSize: 5, ContentType: "text/plain",
		Meta: meta, Time: 0x123456789abc, Request: request,
	}}}
	return frameOf(t, []replica.Message{
		replica.Read{Key: key, Full: true},
		replica.ReadAnswer{Object: []byte("object"), Context: v, Digest: 0xdeadbeef},
		replica.Store{Key: key, Object: []byte("object")},
		replica.StoreAnswer{Durable: true, Changed: true},
		replica.Forward{Write: replica.Write{
			Key: key, Context: causal.Context{Seen: v}, Value: []byte("value"), ContentType: "text/plain", Meta: meta, Request: request, IfMatch: true,
			Options: replica.Options{R: 2, W: replica.Quorum, PW: replica.All, DW: replica.None, Sloppy: replica.Off, RepairBlocking: replica.On, Timeout: 5 * time.Second},
			Return:  replica.ReturnBody,
		}},
		replica.Forward{Write: replica.Write{Key: key, Delete: true, IfAbsent: true}},
		replica.ForwardAnswer{Result: replica.WriteResult{Context: causal.Context{Seen: v}, Object: object}},
		replica.List{Type: "default", Bucket: "b", Buckets: true, After: "a", Started: true, Limit: 100},
		replica.ListAnswer{Entries: []replica.ListEntry{{Name: "n", Live: true, Context: v}}, Done: true},
		replica.Failure{Err: &replica.Error{Kind: replica.KindStaleRing, Field: "f", Message: "m", Needed: 2, Got: 1, MaybeApplied: true, RetryAfter: time.Second}, State: []byte("state")},
	}, false)
}

func frameOf(t testing.TB, messages []replica.Message, fallback bool) *peerpb.Frame {
	t.Helper()
	var frame peerpb.Frame
	for i, m := range messages {
		env := replica.Envelope{
			Epoch: ring.Epoch{Generation: 1, Number: 1000}, Partition: 255, Deadline: epoch0.Add(time.Second),
			Fallback: fallback, Message: m,
		}
		e := new(peerpb.Envelope)
		if err := encode(e, &env, uint64(i+1), epoch0); err != nil {
			t.Fatal(err)
		}
		frame.Envelopes = append(frame.Envelopes, e)
	}
	return &frame
}

// The bytes of the wire's versions don't change, and all are read.
func TestGoldenFrames(t *testing.T) {
	t.Run("v1", func(t *testing.T) { checkGolden(t, goldenFrame(t), "testdata/frame.v1.hex") })
	t.Run("v2", func(t *testing.T) { checkGolden(t, goldenFrame2(t), "testdata/frame.v2.hex") })
	t.Run("v3", func(t *testing.T) { checkGolden(t, goldenFrame3(t), "testdata/frame.v3.hex") })
}

func checkGolden(t *testing.T, frame *peerpb.Frame, goldenFile string) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(frame)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(goldenFile, []byte(wrap(hex.EncodeToString(b))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if got := wrap(hex.EncodeToString(b)); got != string(text) {
		t.Errorf("the frame is\n%s, want\n%s", got, text)
	}
	golden, err := hex.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	var read peerpb.Frame
	if err := proto.Unmarshal(golden, &read); err != nil {
		t.Fatal(err)
	}
	got, _, err := decodeFrame(nil, &read, epoch0)
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := decodeFrame(nil, frame, epoch0)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, want %+v, %v", got, want, err)
	}
}

func wrap(s string) string {
	var b strings.Builder
	for chunk := range slices.Chunk([]byte(s), 100) {
		b.Write(chunk)
		b.WriteByte('\n')
	}
	return b.String()
}

// Whatever a peer sends is an error or something that can be sent again.
func FuzzDecodeFrame(f *testing.F) {
	whole, err := proto.Marshal(goldenFrame(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	for _, e := range slices.Concat(goldenFrame(f).Envelopes, goldenFrame2(f).Envelopes, goldenFrame3(f).Envelopes) {
		b, err := proto.Marshal(&peerpb.Frame{Envelopes: []*peerpb.Envelope{e}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var frame peerpb.Frame
		if proto.Unmarshal(b, &frame) != nil {
			return
		}
		if _, err := plain.parseHello(frame.GetHello()); err != nil && !errors.Is(err, errMalformed) && !errors.Is(err, ErrRefused) {
			t.Fatal(err)
		}
		frame.Hello = nil
		envs, _, err := decodeFrame(nil, &frame, epoch0)
		if err != nil && !errors.Is(err, errMalformed) {
			t.Fatal(err)
		}
		for i := range envs {
			var again peerpb.Envelope
			if err := encode(&again, &envs[i], envs[i].ID, epoch0); err != nil {
				t.Fatalf("%+v was decoded, but is not encoded: %v", envs[i], err)
			}
			got, err := decode(&again, epoch0)
			if err != nil || !reflect.DeepEqual(got, envs[i]) {
				t.Fatalf("got %+v, %v\nwant %+v", got, err, envs[i])
			}
		}
	})
}
