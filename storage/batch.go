package storage

// Batch collects changes that become visible, and durable, together. The zero
// value is empty.
type Batch struct {
	ops  []Op
	size int
}

// OpKind tells the changes apart.
type OpKind uint8

// The kinds of change.
const (
	OpSet         OpKind = iota // Key to Value
	OpDelete                    // Key
	OpDeleteRange               // [Key, Value)
)

// Op is one change.
type Op struct {
	Kind       OpKind
	Key, Value []byte
}

// Set sets key to value. The batch keeps both: they must not change.
func (b *Batch) Set(key, value []byte) { b.add(Op{OpSet, key, value}) }

// Delete removes key, if it is there. The batch keeps it.
func (b *Batch) Delete(key []byte) { b.add(Op{OpDelete, key, nil}) }

// DeleteRange removes all keys in [lower, upper). The batch keeps both.
func (b *Batch) DeleteRange(lower, upper []byte) { b.add(Op{OpDeleteRange, lower, upper}) }

func (b *Batch) add(op Op) {
	b.ops = append(b.ops, op)
	b.size += len(op.Key) + len(op.Value)
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
}
