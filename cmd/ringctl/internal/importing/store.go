package importing

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/lines"
)

// requestID of a value: the same whenever the same value is written to the same
// key, so that a repeated write is dropped as its own twin. same counts the
// equal values before it among the siblings of a line, which stay apart.
func requestID(b *client.Bucket, key string, v lines.Value, same int) client.RequestID {
	h := sha256.New()
	part := func(p []byte) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write(p)
	}
	part([]byte("ringctl import 1"))
	part([]byte(b.Type()))
	part([]byte(b.Name()))
	part([]byte(key))
	part(v.Data)
	part([]byte(v.ContentType))
	for _, name := range slices.Sorted(maps.Keys(v.Metadata)) {
		part([]byte(name))
		part([]byte(v.Metadata[name]))
	}
	// One part where metadata adds two: nothing of the other kind hashes to it.
	if v.Expiry != 0 {
		part([]byte("expiry " + v.Expiry.String()))
	}
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(same)))
	return client.RequestID(h.Sum(nil)[:16])
}

// current leaves out values that have expired at now, and reports whether any is
// left.
func current(e *lines.Entry, now time.Time) bool {
	past := func(v lines.Value) bool { return v.Expiry.Past(now) }
	e.Values = slices.DeleteFunc(slices.Clone(e.Values), past)
	return len(e.Values) > 0
}

// store writes all values of e, and returns how many bytes they have. It may
// have written some of them when it fails: to repeat it does no harm.
func (r *run) store(ctx context.Context, e lines.Entry) (bytes int, err error) {
	values := slices.Clone(e.Values)
	// A value that is above a limit is most likely the largest: it goes first,
	// so that nothing is stored of a line that has one.
	slices.SortStableFunc(values, func(a, b lines.Value) int { return cmp.Compare(len(b.Data), len(a.Data)) })
	var options []client.PutOption
	if r.config.Overwrite {
		var found client.Object
		err := r.persist(ctx, func(ctx context.Context) (err error) {
			found, err = r.config.Bucket.Get(ctx, e.Key, append(r.config.ReadOptions, client.Head())...)
			if errors.Is(err, client.ErrNotFound) {
				err = nil
			}
			return err
		})
		if err != nil {
			return 0, err
		}
		options = append(options, client.Replaces(found.Context))
	}
	ids := make(map[client.RequestID]bool, len(values))
	for _, v := range values {
		// What replaces the key's values must happen even if the same was
		// written before: its id is one of its own.
		id := client.NewRequestID()
		for same := 0; !r.config.Overwrite; same++ {
			if id = requestID(r.config.Bucket, e.Key, v, same); !ids[id] {
				break
			}
		}
		ids[id] = true
		all := append(slices.Concat(r.config.Options, options), client.WithRequestID(id),
			client.ContentType(v.ContentType), client.Metadata(v.Metadata))
		if v.Expiry != 0 {
			all = append(all, client.WithExpiry(v.Expiry.Time()))
		}
		err := r.persist(ctx, func(ctx context.Context) error {
			_, err := r.config.Bucket.Put(ctx, e.Key, v.Data, all...)
			return err
		})
		if err != nil {
			return 0, err
		}
		bytes += len(v.Data)
	}
	return bytes, nil
}
