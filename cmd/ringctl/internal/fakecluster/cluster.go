// Package fakecluster serves ringd's API from one map in this process, for the
// tests of ringctl: siblings, contexts, limits and listings behave as those of
// members do, replication doesn't exist.
package fakecluster

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// Sizes of the fake.
const (
	ClusterID  = "11111111-2222-3333-4444-555555555555"
	partitions = 8
	replicas   = 3
	seed       = 7
	keyMax     = 1 << 10
	valueMax   = 1 << 20
)

// Hook may refuse a request; nil lets it through. It is called before the
// request has any effect.
type Hook func(r *ringdv1.PipelineRequest) *ringdv1.ErrorDetail

// Cluster is the members, and what they share.
type Cluster struct {
	// PageKeys is how many keys a listing sends at a time.
	PageKeys int

	addresses []string
	servers   []*grpc.Server
	// membership is read where mu is held, too.
	membership atomic.Pointer[Membership]
	mu         struct {
		sync.Mutex
		hook    Hook
		objects map[name]*object
		types   map[string]*ringdv1.BucketType
		epoch   uint64
		planned bool // there is something to commit
		blocked string
		puts    int // that had an effect

		revision uint64
		staged   []*ringdv1.MemberChange
		removed  []string
		commits  []*ringdv1.CommitRequest
		statuses int // of the first member that were answered

		settings   map[string]string // that were changed
		repairs    Repairs
		recoveries Recoveries
		asked      []proto.Message
	}
}

// name of an object.
type name struct{ bucketType, bucket, key string }

// New starts members on ports of their own, and stops them with the test.
func New(t testing.TB, members int) *Cluster {
	t.Helper()
	c := &Cluster{PageKeys: 3}
	c.mu.objects = make(map[name]*object)
	c.mu.types = map[string]*ringdv1.BucketType{"default": bucketType("default", replicas)}
	c.mu.settings = make(map[string]string)
	c.mu.epoch = 1
	listeners := make([]net.Listener, members)
	for i := range members {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners[i] = l
		c.addresses = append(c.addresses, l.Addr().String())
	}
	for i, l := range listeners {
		s := grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
		ringdv1.RegisterKVServer(s, &kv{c: c})
		ringdv1.RegisterAdminServer(s, &admin{c: c, self: i})
		c.servers = append(c.servers, s)
		var served sync.WaitGroup
		served.Go(func() {
			if err := s.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
				t.Errorf("serving: %v", err)
			}
		})
		t.Cleanup(func() {
			s.Stop()
			served.Wait()
		})
	}
	return c
}

// Addresses of the members.
func (c *Cluster) Addresses() []string { return c.addresses }

// SetHook sets the hook; nil takes it away.
func (c *Cluster) SetHook(h Hook) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.hook = h
}

// SetPlan says whether there is something to commit, and why it can't be.
func (c *Cluster) SetPlan(planned bool, blocked string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.planned, c.mu.blocked = planned, blocked
}

// MoveRing changes the epoch, so that a plan seen before is out of date.
func (c *Cluster) MoveRing() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.epoch++
}

// Committed reports whether the plan was committed.
func (c *Cluster) Committed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.mu.planned && c.mu.epoch > 1
}

// Puts is how many puts had an effect.
func (c *Cluster) Puts() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.puts
}

// Keys is how many keys of a bucket have a value.
func (c *Cluster) Keys(bucket string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for at, o := range c.mu.objects {
		if at.bucket == bucket && o.live() {
			n++
		}
	}
	return n
}

// Siblings of a key of the default type, deletions included.
func (c *Cluster) Siblings(bucket, key string) []*ringdv1.Sibling {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.mu.objects[name{"default", bucket, key}]; o != nil {
		return o.all(false)
	}
	return nil
}

// AddTombstone puts a deletion beside what the key has.
func (c *Cluster) AddTombstone(bucket, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.atLocked(name{"default", bucket, key}).add(&ringdv1.Sibling{Tombstone: true}, nil)
}

func bucketType(name string, n uint32) *ringdv1.BucketType {
	quorum := &ringdv1.Count{Count: &ringdv1.Count_Symbol_{Symbol: ringdv1.Count_QUORUM}}
	none := &ringdv1.Count{Count: &ringdv1.Count_Symbol_{Symbol: ringdv1.Count_NONE}}
	yes, no := true, false
	return &ringdv1.BucketType{
		Name: name, N: n, R: quorum, W: quorum, Pr: none, Pw: none, Dw: quorum,
		Sloppy: &yes, Timeout: &durationpb.Duration{Seconds: 5}, RepairBlocking: &no, LastWriteWins: &no,
	}
}

// Refuse makes the error that a hook answers. It asks to come back in an hour, so
// that the client gives up at once and not when its time is over.
func Refuse(code codes.Code, message string) *ringdv1.ErrorDetail {
	return &ringdv1.ErrorDetail{Code: int32(code), Message: message, RetryAfter: &durationpb.Duration{Seconds: 3600}}
}

func invalid(field, format string, args ...any) *ringdv1.ErrorDetail {
	d := Refuse(codes.InvalidArgument, field+": "+fmt.Sprintf(format, args...))
	d.Field = field
	return d
}

func statusOf(d *ringdv1.ErrorDetail) error {
	s, err := status.New(codes.Code(d.GetCode()), d.GetMessage()).WithDetails(d)
	if err != nil {
		return err
	}
	return s.Err()
}
