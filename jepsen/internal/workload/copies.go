package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/jepsen/internal/history"
)

// The properties of what owners hold.
const (
	isEqual  = "owners hold the same"
	isUnique = "no dot is given twice"
	isWhole  = "a copy's context covers its siblings"
)

// held is what an owner holds of a key. In a history it is a value, as JSON.
type held struct {
	Owner    string            `json:"owner"`
	Context  map[uint64]uint64 `json:"context,omitempty"` // actor to counter
	Siblings []sibling         `json:"siblings,omitempty"`
}

type sibling struct {
	Actor   uint64 `json:"actor"`
	Counter uint64 `json:"counter"`
	// Write is its request id.
	Write string `json:"write"`
}

// inspect reads what each owner holds. In the end all of them have to answer.
func inspect(ctx context.Context, s *Session, op history.Op) history.Op {
	m := s.any()
	return s.Do(ctx, m, op, func(ctx context.Context, op *history.Op) error {
		r, err := m.Admin.Inspect(ctx, &ringdv1.InspectRequest{Key: at(op.Key)})
		if err != nil {
			return err
		}
		for _, c := range r.Copies {
			if c.Error == "" {
				op.Values = append(op.Values, heldBy(c).String())
			} else if op.Final {
				return errors.New(c.Error)
			}
		}
		return nil
	})
}

func heldBy(c *ringdv1.InspectResponse_Copy) held {
	h := held{Owner: c.Member.GetName(), Context: make(map[uint64]uint64)}
	for _, d := range c.Context {
		h.Context[d.Actor] = d.Counter
	}
	for _, s := range c.Siblings {
		h.Siblings = append(h.Siblings, sibling{Actor: s.Dot.GetActor(), Counter: s.Dot.GetCounter(), Write: fmt.Sprintf("%x", s.RequestId)})
	}
	slices.SortFunc(h.Siblings, func(a, b sibling) int {
		return slices.Compare([]uint64{a.Actor, a.Counter}, []uint64{b.Actor, b.Counter})
	})
	return h
}

func (h held) String() string {
	// Maps of integers and structs of them always encode.
	raw, _ := json.Marshal(h)
	return string(raw)
}

// judgeCopies holds what was inspected to the properties. A dot is one write of one
// key: what covers it must cover nothing else.
func judgeCopies(ops []history.Op) (found []history.Anomaly) {
	type use struct {
		key, write string
		op         int
	}
	type dot struct{ actor, counter uint64 }
	uses := make(map[dot]use)
	for _, op := range ops {
		tell := func(property, text string, ids ...int) {
			found = append(found, history.Anomaly{Property: property, Key: op.Key, Ops: append(ids, op.ID), Text: text})
		}
		var first held
		for i, raw := range op.Values {
			var h held
			if err := json.Unmarshal([]byte(raw), &h); err != nil {
				tell(isEqual, "not a copy: "+err.Error())
				continue
			}
			for _, s := range h.Siblings {
				if h.Context[s.Actor] < s.Counter {
					tell(isWhole, fmt.Sprintf("%s holds %v under %v", h.Owner, s, h.Context))
				}
				now := use{key: op.Key, write: s.Write, op: op.ID}
				was, ok := uses[dot{s.Actor, s.Counter}]
				if !ok {
					uses[dot{s.Actor, s.Counter}] = now
				} else if was.key != now.key || was.write != now.write {
					tell(isUnique, fmt.Sprintf("%d:%d is of %s of %s and of %s of %s", s.Actor, s.Counter, was.write, was.key, now.write, now.key), was.op)
				}
			}
			if i == 0 {
				first = h
			}
			h.Owner, first.Owner = "", ""
			if op.Final && h.String() != first.String() {
				tell(isEqual, fmt.Sprintf("%v", op.Values))
			}
		}
	}
	return found
}
