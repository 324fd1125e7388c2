package client_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
)

const fakePartitions = 16

// cluster is members that share one map of objects, in this process.
type cluster struct {
	id      string
	members []*member
	// strangers can be dialed too, but are no members.
	strangers []*member
	// advertise says what the ring names as a member's address; nil: its own.
	advertise func(m *member) string

	mu struct {
		sync.Mutex
		objects map[string]*object
		applied map[string]int // by request id: times that it took effect
		log     []received
	}
}

type object struct {
	seq      uint64
	siblings map[uint64]*ringdv1.Sibling
}

// received is one request as a member got it.
type received struct {
	member int
	key    string
	id     string
	via    string // pipeline, unary or batch
}

// hook may answer a request in the member's stead, or block; nil: the member
// does it.
type hook func(ctx context.Context, m *member, r *ringdv1.PipelineRequest) *ringdv1.PipelineResponse

// member is one server.
type member struct {
	ringdv1.UnimplementedKVServer
	ringdv1.UnimplementedAdminServer
	c       *cluster
	index   int
	id      string
	address string
	// answering are requests that a hook or pause may hold up.
	answering sync.WaitGroup

	mu struct {
		sync.Mutex
		server     *grpc.Server
		mem        *bufconn.Listener
		cut        []context.CancelFunc // of streams
		hook       hook
		noPipeline bool
		quick      bool          // acknowledge puts and do nothing, for benchmarks
		deaf       chan struct{} // closed when the member listens again
		conns      []*hole
	}
}

func newCluster(n int, tcp bool) *cluster {
	c := &cluster{id: "fake"}
	c.mu.objects = make(map[string]*object)
	c.mu.applied = make(map[string]int)
	for i := range n {
		m := &member{c: c, index: i, id: fmt.Sprintf("00000000-0000-0000-0000-%012d", i+1), address: fmt.Sprintf("10.0.0.%d:7600", i+1)}
		c.members = append(c.members, m)
		m.start(tcp)
	}
	return c
}

func (c *cluster) addresses() []string {
	var all []string
	for _, m := range c.members {
		all = append(all, m.address)
	}
	return all
}

func (c *cluster) close() {
	for _, m := range c.members {
		m.kill()
		m.answering.Wait()
	}
}

// dial is the network between client and members.
func (c *cluster) dial(ctx context.Context, address string) (net.Conn, error) {
	for _, m := range slices.Concat(c.members, c.strangers) {
		m.mu.Lock()
		mem := m.mu.mem
		m.mu.Unlock()
		if m.address == address && mem != nil {
			conn, err := mem.DialContext(ctx)
			if err != nil {
				return nil, err
			}
			h := &hole{Conn: conn}
			m.mu.Lock()
			m.mu.conns = append(m.mu.conns, h)
			m.mu.Unlock()
			return h, nil
		}
	}
	return nil, errors.New("connection refused")
}

// hole is a connection whose other end may go without a word.
type hole struct {
	net.Conn
	gone atomic.Bool
}

func (h *hole) Read(b []byte) (int, error) {
	for {
		n, err := h.Conn.Read(b)
		if err != nil || !h.gone.Load() {
			return n, err
		}
	}
}

func (h *hole) Write(b []byte) (int, error) {
	if h.gone.Load() {
		return len(b), nil
	}
	return h.Conn.Write(b)
}

// vanish has all that stands between client and m lead nowhere.
func (m *member) vanish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range m.mu.conns {
		h.gone.Store(true)
	}
}

// client dials the cluster; Close is the caller's.
func (c *cluster) client(t testing.TB, change func(*client.Config), addresses ...string) *client.Client {
	t.Helper()
	config := client.DefaultConfig()
	config.DialOptions = []grpc.DialOption{grpc.WithContextDialer(c.dial)}
	if change != nil {
		change(&config)
	}
	if len(addresses) == 0 {
		addresses = c.addresses()
	}
	got, err := client.DialConfig(t.Context(), config, addresses...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (c *cluster) setHook(h hook) {
	for _, m := range c.members {
		m.setHook(h)
	}
}

func (c *cluster) log() []received {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.mu.log)
}

func (c *cluster) appliedOnce(t *testing.T, id client.RequestID) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.mu.applied[string(id[:])]; n != 1 {
		t.Errorf("write %v was applied %d times", id, n)
	}
}

func (m *member) start(tcp bool) {
	s := grpc.NewServer(grpc.MaxRecvMsgSize(32 << 20))
	ringdv1.RegisterKVServer(s, m)
	ringdv1.RegisterAdminServer(s, m)
	var l net.Listener
	m.mu.Lock()
	if tcp {
		var err error
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			panic(err)
		}
		m.address = l.Addr().String()
	} else {
		m.mu.mem = bufconn.Listen(1 << 20)
		l = m.mu.mem
	}
	m.mu.server = s
	m.mu.Unlock()
	go s.Serve(l)
}

// kill breaks all connections and refuses new ones.
func (m *member) kill() {
	m.mu.Lock()
	s := m.mu.server
	m.mu.server, m.mu.mem = nil, nil
	m.mu.Unlock()
	m.listen()
	if s != nil {
		s.Stop()
	}
}

// pause has the member answer nothing until listen.
func (m *member) pause() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.deaf = make(chan struct{})
}

func (m *member) listen() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.deaf != nil {
		close(m.mu.deaf)
		m.mu.deaf = nil
	}
}

func (m *member) setHook(h hook) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.hook = h
}

// hear waits while the member is paused.
func (m *member) hear(ctx context.Context) {
	m.mu.Lock()
	deaf := m.mu.deaf
	m.mu.Unlock()
	if deaf != nil {
		select {
		case <-deaf:
		case <-ctx.Done():
		}
	}
}

// breakStreams ends the open pipelines without an answer.
func (m *member) breakStreams() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, cut := range m.mu.cut {
		cut()
	}
	m.mu.cut = nil
}

func (m *member) Status(ctx context.Context, _ *ringdv1.StatusRequest) (*ringdv1.StatusResponse, error) {
	m.hear(ctx)
	return &ringdv1.StatusResponse{ClusterId: m.c.id, Self: &ringdv1.Member{Id: m.id, GrpcAddress: m.address}}, nil
}

func (m *member) Ring(ctx context.Context, _ *ringdv1.RingRequest) (*ringdv1.RingResponse, error) {
	m.hear(ctx)
	r := &ringdv1.RingResponse{Epoch: &ringdv1.Epoch{Generation: 1, Number: 1}, Partitions: fakePartitions, Replicas: 3, Seed: fakeSeed}
	for _, o := range m.c.members {
		address := o.address
		if m.c.advertise != nil {
			address = m.c.advertise(o)
		}
		r.Members = append(r.Members, &ringdv1.Member{Id: o.id, GrpcAddress: address})
	}
	for p := range fakePartitions {
		row := &ringdv1.RingResponse_Partition{Id: uint32(p)}
		for slot := range min(3, len(m.c.members)) {
			row.Owners = append(row.Owners, uint32(m.c.owner(p, slot)))
		}
		r.Rows = append(r.Rows, row)
	}
	return r, nil
}

const fakeSeed = 42

func (c *cluster) owner(partition, slot int) int { return (partition + slot) % len(c.members) }

func (m *member) Commit(ctx context.Context, _ *ringdv1.CommitRequest) (*ringdv1.CommitResponse, error) {
	m.hear(ctx)
	m.c.record(m, "commit", "", "unary")
	m.mu.Lock()
	h := m.mu.hook
	m.mu.Unlock()
	if h != nil {
		h(ctx, m, nil)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return &ringdv1.CommitResponse{Changed: true}, nil
}

// Verify tells of two partitions, and in between does what the hook says.
func (m *member) Verify(_ *ringdv1.VerifyRequest, stream ringdv1.Admin_VerifyServer) error {
	m.hear(stream.Context())
	m.c.record(m, "verify", "", "stream")
	m.mu.Lock()
	h := m.mu.hook
	m.mu.Unlock()
	if err := stream.Send(&ringdv1.VerifyProgress{PartitionsTotal: 2, PartitionsDone: 1}); err != nil {
		return err
	}
	if h != nil {
		if out := h(stream.Context(), m, nil); out != nil {
			return statusOf(out.GetError())
		}
	}
	return stream.Send(&ringdv1.VerifyProgress{PartitionsTotal: 2, PartitionsDone: 2, Done: true})
}

func (c *cluster) record(m *member, key, id, via string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.log = append(c.mu.log, received{member: m.index, key: key, id: id, via: via})
}

// answer does one request.
func (m *member) answer(ctx context.Context, r *ringdv1.PipelineRequest, via string) *ringdv1.PipelineResponse {
	var key, id []byte
	switch q := r.Request.(type) {
	case *ringdv1.PipelineRequest_Get:
		key = q.Get.Key.Key
	case *ringdv1.PipelineRequest_Put:
		key, id = q.Put.Key.Key, q.Put.RequestId
	case *ringdv1.PipelineRequest_Delete:
		key, id = q.Delete.Key.Key, q.Delete.RequestId
	}
	m.c.record(m, string(key), string(id), via)
	m.mu.Lock()
	h := m.mu.hook
	m.mu.Unlock()
	m.hear(ctx)
	var out *ringdv1.PipelineResponse
	if h != nil {
		out = h(ctx, m, r)
	}
	if out == nil {
		out = m.c.do(r)
	}
	out.Id = r.Id
	return out
}

func refuse(code codes.Code, change ...func(*ringdv1.ErrorDetail)) *ringdv1.PipelineResponse {
	d := &ringdv1.ErrorDetail{Code: int32(code), Message: "injected"}
	for _, c := range change {
		c(d)
	}
	return &ringdv1.PipelineResponse{Response: &ringdv1.PipelineResponse_Error{Error: d}}
}

func maybeApplied(d *ringdv1.ErrorDetail) { d.MaybeApplied = true }

func retryAfter(after time.Duration) func(*ringdv1.ErrorDetail) {
	return func(d *ringdv1.ErrorDetail) { d.RetryAfter = durationpb.New(after) }
}

// do is the store: a context is the number of the newest write that it covers.
func (c *cluster) do(r *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := func(k *ringdv1.Key) *object {
		name := fmt.Sprintf("%s\x00%s\x00%s", k.BucketType, k.Bucket, k.Key)
		o := c.mu.objects[name]
		if o == nil {
			o = &object{siblings: map[uint64]*ringdv1.Sibling{}}
			c.mu.objects[name] = o
		}
		return o
	}
	covers := func(context []byte) uint64 {
		if len(context) != 8 {
			return 0
		}
		return binary.BigEndian.Uint64(context)
	}
	contextOf := func(o *object) []byte { return binary.BigEndian.AppendUint64(nil, o.seq) }
	all := func(o *object, head bool) []*ringdv1.Sibling {
		var out []*ringdv1.Sibling
		for _, seq := range slices.Sorted(maps.Keys(o.siblings)) {
			s := o.siblings[seq]
			if head {
				s = &ringdv1.Sibling{ValueSize: s.ValueSize, ContentType: s.ContentType}
			}
			out = append(out, s)
		}
		return out
	}
	newer := func(o *object, context []byte) bool {
		for seq := range o.siblings {
			if seq > covers(context) {
				return true
			}
		}
		return false
	}
	write := func(o *object, id, context []byte, s *ringdv1.Sibling) {
		if c.mu.applied[string(id)] > 0 {
			return
		}
		c.mu.applied[string(id)]++
		maps.DeleteFunc(o.siblings, func(seq uint64, _ *ringdv1.Sibling) bool { return seq <= covers(context) })
		o.seq++
		if s != nil {
			o.siblings[o.seq] = s
		}
	}
	switch q := r.Request.(type) {
	case *ringdv1.PipelineRequest_Get:
		o := at(q.Get.Key)
		g := &ringdv1.GetResponse{Found: len(o.siblings) > 0, Siblings: all(o, q.Get.Head), Context: contextOf(o)}
		return &ringdv1.PipelineResponse{Response: &ringdv1.PipelineResponse_Get{Get: g}}
	case *ringdv1.PipelineRequest_Put:
		p := q.Put
		o := at(p.Key)
		if p.IfAbsent && len(o.siblings) > 0 || p.IfMatch && newer(o, p.Context) {
			return refuse(codes.FailedPrecondition)
		}
		if len(p.Key.Key) == 0 {
			return refuse(codes.InvalidArgument, func(d *ringdv1.ErrorDetail) { d.Field = "key" })
		}
		write(o, p.RequestId, p.Context, &ringdv1.Sibling{Value: p.Value, ValueSize: uint64(len(p.Value)), ContentType: p.ContentType, Metadata: p.Metadata})
		out := &ringdv1.PutResponse{Context: contextOf(o)}
		if p.Return != ringdv1.PutRequest_RETURN_NOTHING {
			out.Siblings = all(o, p.Return == ringdv1.PutRequest_RETURN_HEAD)
		}
		return &ringdv1.PipelineResponse{Response: &ringdv1.PipelineResponse_Put{Put: out}}
	case *ringdv1.PipelineRequest_Delete:
		o := at(q.Delete.Key)
		write(o, q.Delete.RequestId, contextOf(o), nil)
		return &ringdv1.PipelineResponse{Response: &ringdv1.PipelineResponse_Delete{Delete: &ringdv1.DeleteResponse{Context: contextOf(o)}}}
	}
	return refuse(codes.InvalidArgument)
}

func statusOf(d *ringdv1.ErrorDetail) error {
	st, err := status.New(codes.Code(d.Code), d.Message).WithDetails(d)
	if err != nil {
		return err
	}
	return st.Err()
}
