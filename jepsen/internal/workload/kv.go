package workload

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/jepsen/internal/history"
)

// The levels that bind what one client is told to what others see: two of three owners
// meet in one, if no fallback counts. That it does not is asked for in one of two ways,
// which ringd keeps to in different places.
const (
	strict      = "sloppy=false"
	strictWrite = "w=2 " + strict
	allWrite    = "w=3 " + strict
	strictRead  = "r=2 " + strict
	// repairedRead has W owners have what it answers, before it answers.
	repairedRead = "repair_blocking " + strictRead
	// andOwners is what is asked for besides in every other request.
	andOwners = "pr=2 pw=2 "
)

// isStrict says whether a level is one of those.
func isStrict(level string) bool { return strings.HasSuffix(level, strict) }

const (
	// retriedEvery: one in so many writes is tried again if it has no answer; the
	// others are tried once, so that what comes back can be told from a retry.
	retriedEvery = 3
	attemptsMax  = 3
	// answerWithin is what a member has to answer a strict request. While members are
	// cut off, clients would else do little but wait for those.
	answerWithin = time.Second
)

// at is a key of the one bucket that workloads write.
func at(key string) *ringdv1.Key { return &ringdv1.Key{Bucket: []byte("jepsen"), Key: []byte(key)} }

func count(n uint32) *ringdv1.Count {
	return &ringdv1.Count{Count: &ringdv1.Count_Number{Number: n}}
}

func off() *bool { return new(bool) }

// strictly returns the options of a strict write, and its level. One in four asks for all
// owners: each of them has to hold it from then on, whoever an owner is by then.
func (s *Session) strictly() (*ringdv1.WriteOptions, string) {
	o := &ringdv1.WriteOptions{W: count(2), Sloppy: off(), Timeout: durationpb.New(answerWithin)}
	switch s.Rand.IntN(4) {
	case 0:
		o.W = count(3)
		return o, allWrite
	case 1:
		return o, strictWrite
	}
	o.Pw = count(2)
	return o, andOwners + strictWrite
}

// any returns one of the members.
func (s *Session) any() Member {
	members := s.Members()
	return members[s.Rand.IntN(len(members))]
}

// requestID is the same over all attempts of a write.
func (s *Session) requestID() []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, s.Rand.Uint64()), s.Rand.Uint64())
}

// get reads a key, at a level, and returns the context, too.
func (s *Session) get(ctx context.Context, op history.Op) (_ history.Op, seen []byte) {
	m := s.any()
	op.Kind = "read"
	owners, blocking := isStrict(op.Level) && s.Rand.IntN(2) == 0, op.Level == repairedRead
	if owners {
		op.Level = andOwners + op.Level
	}
	op = s.Do(ctx, m, op, func(ctx context.Context, op *history.Op) error {
		ask := &ringdv1.GetRequest{Key: at(op.Key)}
		if op.Level != "" {
			ask.R, ask.Sloppy, ask.RepairBlocking, ask.Timeout = count(2), off(), &blocking, durationpb.New(answerWithin)
		}
		if owners {
			ask.Pr = count(2)
		}
		r, err := m.KV.Get(ctx, ask)
		if err != nil {
			return err
		}
		for _, sibling := range r.Siblings {
			if !sibling.Tombstone {
				op.Values = append(op.Values, textOf(sibling.Value))
			}
		}
		slices.Sort(op.Values)
		seen = r.Context
		return nil
	})
	return op, seen
}

// getAll reads the keys in the end, each until it is answered.
func (s *Session) getAll(ctx context.Context, level string, keys []string) error {
	for _, key := range keys {
		for {
			op, _ := s.get(ctx, history.Op{Key: key, Level: level, Final: true})
			if op.Outcome == history.OK {
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("reading %s in the end: %s", key, op.Error)
			}
		}
	}
	return nil
}

// put writes the operation's value with the context of a read, strictly. It may be
// tried at several members, as one operation.
func (s *Session) put(ctx context.Context, op history.Op, seen []byte) history.Op {
	ask := &ringdv1.PutRequest{Key: at(op.Key), Value: valueOf(op.Key, op.Value), Context: seen, RequestId: s.requestID()}
	ask.Options, op.Level = s.strictly()
	op.Kind, op.Request = "put", fmt.Sprintf("%x", ask.RequestId)
	return s.write(ctx, op, func(ctx context.Context, kv ringdv1.KVClient) error {
		_, err := kv.Put(ctx, ask)
		return err
	})
}

// del deletes what the read of the context found, strictly; without a context, all
// that is there.
func (s *Session) del(ctx context.Context, op history.Op, seen []byte) history.Op {
	ask := &ringdv1.DeleteRequest{Key: at(op.Key), Context: seen, RequestId: s.requestID()}
	ask.Options, op.Level = s.strictly()
	op.Kind, op.Request = deleteSeen, fmt.Sprintf("%x", ask.RequestId)
	if len(seen) == 0 {
		op.Kind, op.Replaces = deleteBlind, nil
	}
	return s.write(ctx, op, func(ctx context.Context, kv ringdv1.KVClient) error {
		_, err := kv.Delete(ctx, ask)
		return err
	})
}

// write makes one operation of the attempts of a strict write.
func (s *Session) write(ctx context.Context, op history.Op, attempt func(context.Context, ringdv1.KVClient) error) history.Op {
	m := s.any()
	op.Write = true
	if s.Rand.IntN(retriedEvery) > 0 {
		return s.Do(ctx, m, op, func(ctx context.Context, op *history.Op) error {
			before := ownerSince(ctx, m, op.Key)
			err := attempt(ctx, m.KV)
			op.Once = before != nil && before.String() == ownerSince(ctx, m, op.Key).String()
			return err
		})
	}
	return s.Do(ctx, m, op, func(ctx context.Context, op *history.Op) error {
		var unsettled error
		for op.Attempts < attemptsMax {
			op.Attempts++
			op.Member = m.Name
			one, cancel := context.WithTimeout(ctx, s.Timeout/2)
			err := attempt(one, m.KV)
			cancel()
			if err == nil || final(err) || ctx.Err() != nil {
				return worst(unsettled, err)
			}
			unsettled = worst(unsettled, err)
			m = s.any()
		}
		return unsettled
	})
}

// worst returns what is known of a write that failed so before, and then so: an
// attempt that may have had an effect is not settled by another that had none.
func worst(before, err error) error {
	if err == nil || before == nil || outcome(history.Op{Write: true}, before) == history.Failed {
		return err
	}
	return before
}

// final says that another attempt would end in the same way.
func final(err error) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.Aborted, codes.NotFound:
		return true
	}
	return false
}

// ownerSince returns the epoch of the ring by which the member owns the key; nil if
// it does not, or does not say.
func ownerSince(ctx context.Context, m Member, key string) *ringdv1.Epoch {
	r, err := m.Admin.Ring(ctx, &ringdv1.RingRequest{Key: at(key)})
	if err != nil || len(r.Rows) != 1 {
		return nil
	}
	for _, i := range r.Rows[0].Owners {
		if int(i) < len(r.Members) && r.Members[i].Name == m.Name {
			return r.Epoch
		}
	}
	return nil
}

// largeBytes is above the size from which a value has a record of its own.
const largeBytes = 8 << 10

// large: two keys in ten have large values.
func large(key string) bool { return strings.HasSuffix(key, "3") || strings.HasSuffix(key, "7") }

// valueOf returns the bytes that are stored for a value of a history.
func valueOf(key, text string) []byte {
	if !large(key) {
		return []byte(text)
	}
	return []byte(text + "\n" + padding(text))
}

func padding(text string) string {
	return strings.Repeat(text+" ", largeBytes/(len(text)+1))
}

// textOf returns the value of a history that bytes stand for.
func textOf(value []byte) string {
	text, rest, long := strings.Cut(string(value), "\n")
	if long && rest != padding(text) {
		return fmt.Sprintf("damaged %d bytes %.20q", len(value), text)
	}
	return text
}
