package storage

// Batch collects changes that become visible, and durable, together. Each takes
// effect after those before it: a Set survives a DeleteRange that was added
// earlier. The zero value is empty. It is not safe for concurrent use.
type Batch struct {
	ops []Op
	// buf has the bytes of the ops. When it is full, earlier ops keep it, and there
	// is a new one: what is large would else be copied again each time it grows.
	buf  []byte
	size int
}

// bufKeptMax bounds the memory that Reset keeps for the next use, in bytes.
const bufKeptMax = 1 << 20

// bufMin and bufMax bound how much is made room for at once, unless a key or a
// value is larger by itself: as much as the batch has already.
const (
	bufMin = 1 << 10
	bufMax = 256 << 10
)

// OpKind tells the changes apart.
type OpKind uint8

// The kinds of change.
const (
	OpSet         OpKind = iota // Key to Value
	OpDelete                    // Key
	OpDeleteRange               // [Key, Value)
)

// Op is one change. Its slices are valid until the batch is reset.
type Op struct {
	Kind       OpKind
	Key, Value []byte
}

// Set sets key to value. Both are copied.
func (b *Batch) Set(key, value []byte) { b.add(OpSet, key, value) }

// Delete removes key, if it is there. It is copied.
func (b *Batch) Delete(key []byte) { b.add(OpDelete, key, nil) }

// DeleteRange removes all keys in [lower, upper), none if upper is not above
// lower. Both are copied.
func (b *Batch) DeleteRange(lower, upper []byte) {
	if string(lower) < string(upper) {
		b.add(OpDeleteRange, lower, upper)
	}
}

func (b *Batch) add(kind OpKind, key, value []byte) {
	b.ops = append(b.ops, Op{kind, b.copy(key), b.copy(value)})
	b.size += len(key) + len(value)
}

func (b *Batch) copy(s []byte) []byte {
	if cap(b.buf)-len(b.buf) < len(s) {
		b.buf = make([]byte, 0, max(len(s), min(max(b.size, bufMin), bufMax)))
	}
	from := len(b.buf)
	b.buf = append(b.buf, s...)
	return b.buf[from:len(b.buf):len(b.buf)]
}

// Ops are the changes in the order in which they take effect.
func (b *Batch) Ops() []Op { return b.ops }

// Len is the number of changes.
func (b *Batch) Len() int { return len(b.ops) }

// Size is the bytes of all keys and values.
func (b *Batch) Size() int { return b.size }

// Reset empties the batch for further use.
func (b *Batch) Reset() {
	clear(b.ops)
	b.ops, b.size = b.ops[:0], 0
	if cap(b.buf) > bufKeptMax {
		b.buf = nil
	}
	b.buf = b.buf[:0]
}
