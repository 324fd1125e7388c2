package client

import (
	"context"
	"io"
	"iter"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// Cursor is a place in a listing, opaque, and good for that listing only. Nil
// is its begin.
type Cursor []byte

// Page is a part of a listing.
type Page struct {
	// Names of keys or buckets: partition by partition for keys, in byte order
	// within each.
	Names []string
	// Cursor to go on behind this page, with [After].
	Cursor Cursor
}

// listFailuresMax attempts in a row without progress end a listing: with the
// waits between them that is longer than a member's restart.
const listFailuresMax = 10

// Keys lists the keys of the bucket that have a value. A listing whose member
// is lost goes on at another one where it was. It ends with ctx (without a
// deadline it may take as long as it takes), or with an error as its last
// element. It is no snapshot: a key that comes or goes meanwhile may be named
// or not.
func (b *Bucket) Keys(ctx context.Context, opts ...ListOption) iter.Seq2[string, error] {
	return names(b.KeyPages(ctx, opts...))
}

// KeyPages is [Bucket.Keys] page by page, with the cursor behind each.
func (b *Bucket) KeyPages(ctx context.Context, opts ...ListOption) iter.Seq2[Page, error] {
	l := &listOp{c: b.c, op: "keys", bucket: b.name}
	for _, o := range opts {
		o.applyList(l)
	}
	l.open = func(ctx context.Context, kv ringdv1.KVClient, cursor Cursor) (receive, error) {
		stream, err := kv.ListKeys(ctx, &ringdv1.ListKeysRequest{
			BucketType: b.bucketType, Bucket: []byte(b.name), R: l.settings.r, Cursor: cursor, Timeout: timeLeft(ctx),
		})
		return func() ([][]byte, Cursor, error) {
			r, err := stream.Recv()
			return r.GetKeys(), r.GetCursor(), err
		}, err
	}
	return l.pages(ctx)
}

// Buckets lists the buckets of the type that hold a key, as [Bucket.Keys]
// lists keys.
func (t *BucketType) Buckets(ctx context.Context, opts ...ListOption) iter.Seq2[string, error] {
	return names(t.BucketPages(ctx, opts...))
}

// BucketPages is [BucketType.Buckets] page by page, with the cursor behind
// each.
func (t *BucketType) BucketPages(ctx context.Context, opts ...ListOption) iter.Seq2[Page, error] {
	l := &listOp{c: t.c, op: "buckets"}
	for _, o := range opts {
		o.applyList(l)
	}
	l.open = func(ctx context.Context, kv ringdv1.KVClient, cursor Cursor) (receive, error) {
		stream, err := kv.ListBuckets(ctx, &ringdv1.ListBucketsRequest{
			BucketType: t.name, R: l.settings.r, Cursor: cursor, Timeout: timeLeft(ctx),
		})
		return func() ([][]byte, Cursor, error) {
			r, err := stream.Recv()
			return r.GetBuckets(), r.GetCursor(), err
		}, err
	}
	return l.pages(ctx)
}

// Buckets lists the buckets of the default type.
func (c *Client) Buckets(ctx context.Context, opts ...ListOption) iter.Seq2[string, error] {
	return c.BucketType(defaultBucketType).Buckets(ctx, opts...)
}

func names(pages iter.Seq2[Page, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for p, err := range pages {
			if err != nil {
				yield("", err)
				return
			}
			for _, n := range p.Names {
				if !yield(n, nil) {
					return
				}
			}
		}
	}
}

func timeLeft(ctx context.Context) *durationpb.Duration {
	at, ok := ctx.Deadline()
	if !ok {
		return nil
	}
	return durationpb.New(time.Until(at))
}

// receive returns the next part of a stream.
type receive func() ([][]byte, Cursor, error)

type listOp struct {
	c          *Client
	op, bucket string
	settings   readSettings
	cursor     Cursor
	open       func(context.Context, ringdv1.KVClient, Cursor) (receive, error)
}

func (l *listOp) pages(ctx context.Context) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		cursor, failures := l.cursor, 0
		var tried []*endpoint
		for attempts := 1; ; attempts++ {
			e := l.c.topology.current.Load().pickAny(l.c.now(), tried)
			if e == nil {
				tried = tried[:0]
				e = l.c.topology.current.Load().pickAny(l.c.now(), nil)
			}
			tried = append(tried, e)
			stopped := false
			err := l.from(ctx, e, cursor, func(p Page) bool {
				cursor, failures = p.Cursor, 0
				stopped = !yield(p, nil)
				return !stopped
			})
			if stopped || err == nil {
				return
			}
			failures++
			cause := context.Cause(ctx)
			final := codeTable[err.Code].final || failures >= listFailuresMax
			if cause == nil && !final && pause(ctx, err.RetryAfter+jitter(failures)) {
				continue
			}
			err.Op, err.Bucket, err.Attempts = l.op, l.bucket, attempts
			err.cause, err.MaybeApplied = context.Cause(ctx), false
			yield(Page{}, err)
			return
		}
	}
}

// from lists at e behind cursor; nil: to the end, or until page was false. A
// member that sends nothing for the client's Timeout is given up.
func (l *listOp) from(ctx context.Context, e *endpoint, cursor Cursor, page func(Page) bool) *Error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(e.ctx, cancel)
	defer stop()
	watch := time.AfterFunc(l.c.config.Timeout, func() {
		e.health.failed(e.c.now())
		cancel()
	})
	defer watch.Stop()
	if err := e.identified(ctx); err != nil {
		return err
	}
	cc, err := e.conn()
	if err != nil {
		return err
	}
	next, failure := l.open(ctx, ringdv1.NewKVClient(cc), cursor)
	for failure == nil {
		watch.Reset(l.c.config.Timeout)
		var names [][]byte
		names, cursor, failure = next()
		// How long the caller takes for a page is the caller's affair.
		watch.Stop()
		if failure != nil {
			break
		}
		e.health.heard(e.c.now())
		p := Page{Names: make([]string, len(names)), Cursor: cursor}
		for i, n := range names {
			p.Names[i] = string(n)
		}
		if !page(p) {
			return nil
		}
	}
	if failure == io.EOF {
		return nil
	}
	return e.called(ctx, failure)
}
