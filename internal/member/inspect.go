package member

import (
	"context"
	"sync"
	"time"

	"github.com/ringd/ringd/api"
	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
)

// inspect reads a key from each owner by itself.
func (c *coordinator) inspect(ctx context.Context, k replica.Key) ([]api.Copy, error) {
	v, p, epoch, err := c.view(ctx, k, replica.Options{})
	if err != nil {
		return nil, err
	}
	copies := make([]api.Copy, len(v.Owners))
	var asked sync.WaitGroup
	for i, o := range v.Owners {
		copies[i].Owner = o.ID
		env := replica.Envelope{From: c.self, To: o.ID, Epoch: epoch, Partition: p, Deadline: v.Deadline, Message: replica.Read{Key: k, Full: true}}
		done := make(chan replica.Message, 1)
		if o.ID == c.self {
			c.local(env, func(a replica.Envelope) { done <- a.Message })
		} else {
			c.peers.Send(env, func(a replica.Envelope, err error) {
				if err != nil {
					a.Message = replica.Failure{Err: asError(err)}
				}
				done <- a.Message
			})
		}
		asked.Go(func() {
			select {
			case m := <-done:
				copies[i].Object, copies[i].Bytes, copies[i].Err = objectOf(m)
			case <-time.After(time.Until(v.Deadline)):
				copies[i].Err = replica.Errorf(replica.KindUnknown, "no answer in time")
			case <-ctx.Done():
				copies[i].Err = replica.Errorf(replica.KindUnknown, "no answer in time")
			}
		})
	}
	asked.Wait()
	return copies, nil
}

func objectOf(m replica.Message) (causal.Object, int, error) {
	switch m := m.(type) {
	case replica.ReadAnswer:
		if len(m.Object) == 0 {
			return causal.Object{}, 0, nil
		}
		o, err := causal.DecodeObject(m.Object)
		return o, len(m.Object), err
	case replica.Failure:
		return causal.Object{}, 0, m.Err
	}
	return causal.Object{}, 0, replica.Errorf(replica.KindInternal, "an owner answered a read with %T", m)
}
