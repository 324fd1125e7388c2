package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/internal/proctest"
)

const (
	keyBytesMax      = 1 << 10
	valueBytesMax    = 1 << 20
	metadataBytesMax = 8 << 10
	batchMax         = 1000
	batchBytesMax    = 16 << 20
)

func number(n uint32) *ringdv1.Count {
	return &ringdv1.Count{Count: &ringdv1.Count_Number{Number: n}}
}

func symbol(s ringdv1.Count_Symbol) *ringdv1.Count {
	return &ringdv1.Count{Count: &ringdv1.Count_Symbol_{Symbol: s}}
}

func keyIn(bucketType, bucket, key string) *ringdv1.Key {
	return &ringdv1.Key{BucketType: bucketType, Bucket: []byte(bucket), Key: []byte(key)}
}

// refusal is what an answer has to be: a code, the field that was wrong, and
// words of the message, such as the limit.
type refusal struct {
	code  codes.Code
	field string
	says  []string
}

func invalid(field string, says ...any) refusal {
	r := refusal{code: codes.InvalidArgument, field: field}
	for _, s := range says {
		r.says = append(r.says, fmt.Sprint(s))
	}
	return r
}

func (want refusal) check(t *testing.T, err error) {
	t.Helper()
	s := status.Convert(err)
	for _, d := range s.Details() {
		if d, ok := d.(*ringdv1.ErrorDetail); ok {
			if s.Code() != codes.Code(d.Code) {
				t.Errorf("status %v, detail %v", s, d)
			}
			want.checkDetail(t, d)
			return
		}
	}
	t.Errorf("%v without a detail, want %v", err, want)
}

func (want refusal) checkDetail(t *testing.T, d *ringdv1.ErrorDetail) {
	t.Helper()
	if codes.Code(d.GetCode()) != want.code || d.GetField() != want.field || d.GetMaybeApplied() {
		t.Errorf("%v, want %v of %q", d, want.code, want.field)
	}
	for _, s := range want.says {
		if !strings.Contains(d.GetMessage(), s) {
			t.Errorf("%q does not say %q", d.GetMessage(), s)
		}
	}
}

// TestBadInput: what is malformed is refused with the field and the limit, and
// nothing of it is done.
func TestBadInput(t *testing.T) {
	t.Parallel()
	cluster := proctest.Start(t, 3)
	kv := proctest.KV(t, cluster.Members[1])
	first, err := kv.Put(within(t), &ringdv1.PutRequest{Key: key("kept"), Value: []byte("v")})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("keys", func(t *testing.T) { badKeys(t, kv) })
	t.Run("puts", func(t *testing.T) { badPuts(t, kv, first.Context) })
	t.Run("gets", func(t *testing.T) { badGets(t, kv) })
	t.Run("contexts", func(t *testing.T) { badContexts(t, kv, first.Context) })
	t.Run("batches", func(t *testing.T) { badBatches(t, kv) })
	t.Run("cursors", func(t *testing.T) { badCursors(t, kv) })
	t.Run("pipeline", func(t *testing.T) { badPipeline(t, kv) })
	t.Run("any bytes", func(t *testing.T) { anyBytes(t, cluster) })

	for _, m := range cluster.Members {
		r := get(t, proctest.KV(t, m), "kept")
		if values := valuesOf(r); len(values) != 1 || values[0] != "v" {
			t.Errorf("%s: the key that no refused write was to change: %q", m.Name, values)
		}
		if r := get(t, proctest.KV(t, m), "refused"); r.Found || len(r.Context) > 0 {
			t.Errorf("%s: a refused write left %v", m.Name, r)
		}
	}
}

func badKeys(t *testing.T, kv ringdv1.KVClient) {
	long := strings.Repeat("k", keyBytesMax+1)
	for name, c := range map[string]struct {
		key  *ringdv1.Key
		want refusal
	}{
		"no key":              {nil, invalid("key")},
		"empty key":           {keyIn("", "b", ""), invalid("key", keyBytesMax)},
		"long key":            {keyIn("", "b", long), invalid("key", keyBytesMax)},
		"empty bucket":        {keyIn("", "", "refused"), invalid("bucket", keyBytesMax)},
		"long bucket":         {keyIn("", long, "refused"), invalid("bucket", keyBytesMax)},
		"long bucket type":    {keyIn(long, "b", "refused"), invalid("bucket_type", 64)},
		"unknown bucket type": {keyIn("none", "b", "refused"), refusal{code: codes.NotFound, says: []string{`"none"`}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := kv.Get(within(t), &ringdv1.GetRequest{Key: c.key})
			c.want.check(t, err)
			_, err = kv.Put(within(t), &ringdv1.PutRequest{Key: c.key, Value: []byte("v")})
			c.want.check(t, err)
			_, err = kv.Delete(within(t), &ringdv1.DeleteRequest{Key: c.key})
			c.want.check(t, err)
		})
	}
}

func badPuts(t *testing.T, kv ringdv1.KVClient, known []byte) {
	below, soon, micros := int64(-1), time.Now().Add(time.Hour).UnixMilli(), time.Now().UnixMicro()
	options := func(o *ringdv1.WriteOptions) *ringdv1.PutRequest { return &ringdv1.PutRequest{Options: o} }
	for name, c := range map[string]struct {
		put  *ringdv1.PutRequest
		want refusal
	}{
		"large value":    {&ringdv1.PutRequest{Value: make([]byte, valueBytesMax+1)}, invalid("value", valueBytesMax)},
		"large metadata": {&ringdv1.PutRequest{Metadata: map[string]string{"a": strings.Repeat("m", metadataBytesMax)}}, invalid("metadata", metadataBytesMax)},
		"large content type": {
			&ringdv1.PutRequest{ContentType: strings.Repeat("m", metadataBytesMax+1)}, invalid("metadata", metadataBytesMax),
		},
		"nameless metadata": {&ringdv1.PutRequest{Metadata: map[string]string{"": "m"}}, invalid("metadata")},
		"short request id":  {&ringdv1.PutRequest{RequestId: make([]byte, 15)}, invalid("request_id", 16)},
		"long request id":   {&ringdv1.PutRequest{RequestId: make([]byte, 17)}, invalid("request_id", 16)},
		"zero request id":   {&ringdv1.PutRequest{RequestId: make([]byte, 16)}, invalid("request_id", 16)},
		"both conditions":   {&ringdv1.PutRequest{Key: key("kept"), IfAbsent: true, IfMatch: true, Context: known}, invalid("if_absent", "if_match")},
		"if_match alone":    {&ringdv1.PutRequest{IfMatch: true}, invalid("context", "if_match")},
		"ttl":               {&ringdv1.PutRequest{Ttl: durationpb.New(-1)}, invalid("ttl", "0 to")},
		"endless ttl":       {&ringdv1.PutRequest{Ttl: durationpb.New(101 * 365 * 24 * time.Hour)}, invalid("ttl", "0 to")},
		"ttl beyond limits": {&ringdv1.PutRequest{Ttl: &durationpb.Duration{Seconds: 1, Nanos: -1}}, invalid("ttl")},
		"expiry below 0":    {&ringdv1.PutRequest{ExpiryUnixMs: &below}, invalid("expiry_unix_ms", "Unix milliseconds")},
		"expiry in micros":  {&ringdv1.PutRequest{ExpiryUnixMs: &micros}, invalid("expiry_unix_ms", "Unix milliseconds")},
		"expiry and ttl":    {&ringdv1.PutRequest{ExpiryUnixMs: &soon, Ttl: durationpb.New(time.Hour)}, invalid("expiry_unix_ms", "together with ttl")},
		"return":            {&ringdv1.PutRequest{Return: 3}, invalid("return")},
		"w above n":         {options(&ringdv1.WriteOptions{W: number(4)}), invalid("w", "n=3")},
		"w of 0":            {options(&ringdv1.WriteOptions{W: number(0)}), invalid("w", "n=3")},
		"no known w":        {options(&ringdv1.WriteOptions{W: symbol(99)}), invalid("w")},
		"huge w":            {options(&ringdv1.WriteOptions{W: number(1<<32 - 1)}), invalid("w")},
		"pw above n":        {options(&ringdv1.WriteOptions{Pw: number(4)}), invalid("pw", "n=3")},
		"dw above n":        {options(&ringdv1.WriteOptions{Dw: number(4)}), invalid("dw", "n=3")},
		"zero timeout":      {options(&ringdv1.WriteOptions{Timeout: durationpb.New(0)}), invalid("timeout", "above 0")},
		"negative timeout":  {options(&ringdv1.WriteOptions{Timeout: durationpb.New(-time.Second)}), invalid("timeout", "above 0")},
		"malformed timeout": {options(&ringdv1.WriteOptions{Timeout: &durationpb.Duration{Seconds: 1, Nanos: -1}}), invalid("timeout")},
	} {
		t.Run(name, func(t *testing.T) {
			if c.put.Key == nil {
				c.put.Key = key("refused")
			}
			if c.put.Value == nil {
				c.put.Value = []byte("v")
			}
			_, err := kv.Put(within(t), c.put)
			c.want.check(t, err)
		})
	}
	_, err := kv.Delete(within(t), &ringdv1.DeleteRequest{Key: key("kept"), IfMatch: true})
	invalid("context", "if_match").check(t, err)
	_, err = kv.Delete(within(t), &ringdv1.DeleteRequest{Key: key("kept"), RequestId: []byte("short")})
	invalid("request_id", 16).check(t, err)
	_, err = kv.Delete(within(t), &ringdv1.DeleteRequest{Key: key("kept"), Options: &ringdv1.WriteOptions{W: number(4)}})
	invalid("w", "n=3").check(t, err)
}

func badGets(t *testing.T, kv ringdv1.KVClient) {
	for name, c := range map[string]struct {
		get  *ringdv1.GetRequest
		want refusal
	}{
		"r of 0":           {&ringdv1.GetRequest{R: number(0)}, invalid("r", "n=3")},
		"no r":             {&ringdv1.GetRequest{R: symbol(ringdv1.Count_NONE)}, invalid("r", "n=3")},
		"r above n":        {&ringdv1.GetRequest{R: number(4)}, invalid("r", "n=3")},
		"pr above n":       {&ringdv1.GetRequest{Pr: number(4)}, invalid("pr", "n=3")},
		"no known r":       {&ringdv1.GetRequest{R: symbol(0)}, invalid("r")},
		"zero timeout":     {&ringdv1.GetRequest{Timeout: durationpb.New(0)}, invalid("timeout", "above 0")},
		"negative timeout": {&ringdv1.GetRequest{Timeout: durationpb.New(-1)}, invalid("timeout", "above 0")},
	} {
		t.Run(name, func(t *testing.T) {
			c.get.Key = key("kept")
			_, err := kv.Get(within(t), c.get)
			c.want.check(t, err)
		})
	}
}

// badContexts: only what was given out for this key by this cluster is taken.
func badContexts(t *testing.T, kv ringdv1.KVClient, known []byte) {
	bad := map[string][]byte{
		"one byte": {1},
		"text":     []byte("a context that nobody gave out, long enough to hold a code"),
		"zeros":    make([]byte, 64),
		"longer":   append(bytes.Clone(known), 0),
		"another cluster's": causal.Seal(causal.NewContextKey([]byte("another cluster")), "default", "b", "kept",
			causal.Context{Seen: causal.Vector{{Actor: 1, Counter: 1 << 60}}}),
		"huge": make([]byte, 1<<20),
	}
	for i := 1; i < len(known); i++ {
		bad[fmt.Sprintf("first %d bytes", i)] = known[:i]
	}
	for i := range known {
		flipped := bytes.Clone(known)
		flipped[i] ^= 0x10
		bad[fmt.Sprintf("bit flipped in byte %d", i)] = flipped
	}
	want := invalid("context", "this very key")
	for name, context := range bad {
		t.Run(name, func(t *testing.T) {
			_, err := kv.Put(within(t), &ringdv1.PutRequest{Key: key("kept"), Value: []byte("bad"), Context: context})
			want.check(t, err)
			_, err = kv.Delete(within(t), &ringdv1.DeleteRequest{Key: key("kept"), Context: context})
			want.check(t, err)
		})
	}
	for _, other := range []*ringdv1.Key{key("refused"), keyIn("", "bk", "ept")} {
		_, err := kv.Put(within(t), &ringdv1.PutRequest{Key: other, Value: []byte("bad"), Context: known})
		want.check(t, err)
	}
}

// badBatches: a batch above the limits does nothing; within one, each request
// stands for itself.
func badBatches(t *testing.T, kv ringdv1.KVClient) {
	many, large := new(ringdv1.BatchPutRequest), new(ringdv1.BatchPutRequest)
	gets := new(ringdv1.BatchGetRequest)
	for i := range batchMax + 1 {
		k := keyIn("", "refused", fmt.Sprint(i))
		many.Requests = append(many.Requests, &ringdv1.PutRequest{Key: k, Value: []byte("v")})
		gets.Requests = append(gets.Requests, &ringdv1.GetRequest{Key: k})
	}
	value := make([]byte, valueBytesMax)
	for i := range batchBytesMax / valueBytesMax {
		large.Requests = append(large.Requests, &ringdv1.PutRequest{Key: keyIn("", "refused", fmt.Sprint(i)), Value: value})
	}
	_, err := kv.BatchPut(within(t), many)
	invalid("requests", batchMax).check(t, err)
	_, err = kv.BatchPut(within(t), large)
	invalid("requests", batchBytesMax).check(t, err)
	_, err = kv.BatchGet(within(t), gets)
	invalid("requests", batchMax).check(t, err)
	if keys, _ := listKeys(t, kv, &ringdv1.ListKeysRequest{Bucket: []byte("refused")}); len(keys) > 0 {
		t.Errorf("refused batches left %d keys", len(keys))
	}

	puts, err := kv.BatchPut(within(t), &ringdv1.BatchPutRequest{Requests: []*ringdv1.PutRequest{
		{Key: keyIn("", "b", "in a batch"), Value: []byte("v")}, {Key: keyIn("", "", "k")}, {Key: key("k"), IfMatch: true}, {},
	}})
	if err != nil || len(puts.Results) != 4 {
		t.Fatalf("%v, %v", puts, err)
	}
	if puts.Results[0].Error != nil || len(puts.Results[0].GetResponse().GetContext()) == 0 {
		t.Errorf("the good one of a batch: %v", puts.Results[0])
	}
	for i, field := range []string{"bucket", "context", "key"} {
		invalid(field).checkDetail(t, puts.Results[1+i].Error)
	}
	answers, err := kv.BatchGet(within(t), &ringdv1.BatchGetRequest{Requests: []*ringdv1.GetRequest{
		{Key: key("k"), R: number(9)}, {Key: key("in a batch")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	invalid("r").checkDetail(t, answers.Results[0].Error)
	if values := valuesOf(answers.Results[1].Response); len(values) != 1 || values[0] != "v" {
		t.Errorf("read with a bad request beside: %q", values)
	}
}

func badPipeline(t *testing.T, kv ringdv1.KVClient) {
	stream, err := kv.Pipeline(within(t))
	if err != nil {
		t.Fatal(err)
	}
	requests := []*ringdv1.PipelineRequest{
		{Id: 7}, // of a later version, as this member sees it
		{Id: 8, Request: &ringdv1.PipelineRequest_Get{Get: &ringdv1.GetRequest{}}},
		{Id: 9, Request: &ringdv1.PipelineRequest_Get{Get: &ringdv1.GetRequest{Key: key("kept")}}},
	}
	if err := stream.Send(&ringdv1.PipelineRequests{Requests: requests}); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	answers := make(map[uint64]*ringdv1.PipelineResponse)
	for len(answers) < len(requests) {
		r, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range r.Responses {
			answers[a.Id] = a
		}
	}
	invalid("request").checkDetail(t, answers[7].GetError())
	invalid("key").checkDetail(t, answers[8].GetError())
	if !answers[9].GetGet().GetFound() {
		t.Errorf("the good one beside bad ones: %v", answers[9])
	}
}

// anyBytes: keys, buckets and values are bytes, up to their limits included.
func anyBytes(t *testing.T, cluster *proctest.Cluster) {
	for name, k := range map[string]*ringdv1.Key{
		"not UTF-8": keyIn("", "\xff\x00\xfe", "\x80\x00"),
		"zeros":     keyIn("", "\x00", "\x00\x00"),
		"longest":   keyIn("", strings.Repeat("\xff", keyBytesMax), strings.Repeat("\x00", keyBytesMax)),
	} {
		t.Run(name, func(t *testing.T) {
			value := bytes.Repeat([]byte{0xff, 0}, valueBytesMax/2)
			meta := map[string]string{"m": strings.Repeat("m", metadataBytesMax-1)}
			if _, err := proctest.KV(t, cluster.Members[0]).Put(within(t), &ringdv1.PutRequest{Key: k, Value: value, Metadata: meta}); err != nil {
				t.Fatal(err)
			}
			r, err := proctest.KV(t, cluster.Members[2]).Get(within(t), &ringdv1.GetRequest{Key: k})
			if err != nil || len(r.Siblings) != 1 || !bytes.Equal(r.Siblings[0].Value, value) || r.Siblings[0].Metadata["m"] != meta["m"] {
				t.Errorf("%d siblings, %v", len(r.GetSiblings()), err)
			}
		})
	}
	b := cluster.Client().Bucket("\xff bucket")
	if _, err := b.Put(within(t), "\xfe", []byte("\xfd")); err != nil {
		t.Fatal(err)
	}
	if o, err := b.Get(within(t), "\xfe"); err != nil || string(o.Siblings[0].Value) != "\xfd" {
		t.Errorf("%v, %v", o, err)
	}
}

func badCursors(t *testing.T, kv ringdv1.KVClient) {
	for i := range 3 {
		for _, bucket := range []string{"b1", "b2"} {
			if _, err := kv.Put(within(t), &ringdv1.PutRequest{Key: keyIn("", bucket, fmt.Sprint(i))}); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, cursor := listKeys(t, kv, &ringdv1.ListKeysRequest{Bucket: []byte("b1")})
	beyond := bytes.Clone(cursor)
	beyond[1] = 0xff
	for name, c := range map[string]struct {
		list *ringdv1.ListKeysRequest
		want refusal
	}{
		"garbage":             {&ringdv1.ListKeysRequest{Cursor: []byte("garbage, but long enough")}, invalid("cursor")},
		"short":               {&ringdv1.ListKeysRequest{Cursor: cursor[:5]}, invalid("cursor")},
		"beyond the ring":     {&ringdv1.ListKeysRequest{Cursor: beyond}, invalid("cursor", "32")},
		"another bucket":      {&ringdv1.ListKeysRequest{Bucket: []byte("b2"), Cursor: cursor}, invalid("cursor", "another bucket")},
		"r above n":           {&ringdv1.ListKeysRequest{R: number(4)}, invalid("r", "n=3")},
		"r of 0":              {&ringdv1.ListKeysRequest{R: number(0)}, invalid("r", "n=3")},
		"zero timeout":        {&ringdv1.ListKeysRequest{Timeout: durationpb.New(0)}, invalid("timeout")},
		"unknown bucket type": {&ringdv1.ListKeysRequest{BucketType: "none"}, refusal{code: codes.NotFound}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.list.Bucket == nil {
				c.list.Bucket = []byte("b1")
			}
			c.want.check(t, firstKeys(t, kv, c.list))
		})
	}
	invalid("bucket", keyBytesMax).check(t, firstKeys(t, kv, &ringdv1.ListKeysRequest{}))
	for name, c := range map[string]struct {
		list *ringdv1.ListBucketsRequest
		want refusal
	}{
		"cursor of keys":      {&ringdv1.ListBucketsRequest{Cursor: cursor}, invalid("cursor")},
		"garbage":             {&ringdv1.ListBucketsRequest{Cursor: []byte{1}}, invalid("cursor")},
		"long bucket type":    {&ringdv1.ListBucketsRequest{BucketType: strings.Repeat("t", 65)}, invalid("bucket_type", 64)},
		"unknown bucket type": {&ringdv1.ListBucketsRequest{BucketType: "none"}, refusal{code: codes.NotFound}},
	} {
		t.Run("buckets/"+name, func(t *testing.T) {
			stream, err := kv.ListBuckets(within(t), c.list)
			if err == nil {
				_, err = stream.Recv()
			}
			c.want.check(t, err)
		})
	}
}

// firstKeys returns how the first answer to a listing failed.
func firstKeys(t *testing.T, kv ringdv1.KVClient, r *ringdv1.ListKeysRequest) error {
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	stream, err := kv.ListKeys(ctx, r)
	if err == nil {
		_, err = stream.Recv()
	}
	return err
}
