package causal

// Actor identifies one unbroken life of a vnode: a random number drawn anew
// whenever the continuity of its counter cannot be proven. Zero is no actor.
type Actor uint64

// Dot names one write: the Counter-th that Actor gave out, over all keys.
// Counters start at 1.
type Dot struct {
	Actor   Actor
	Counter uint64
}

// Entry is one actor's part of a Vector.
type Entry struct {
	Actor   Actor
	Counter uint64
}

// Vector is a version vector: for each actor the highest counter merged.
// Invariant: sorted by actor, no actor twice, no zero counter. A nil Vector
// covers nothing.
type Vector []Entry

// RequestID names one client request over all its retries. Zero is none.
type RequestID [16]byte

// Meta is one entry of the user metadata of a sibling.
type Meta struct{ Key, Value string }

// Sibling is one value of an object that no later write has replaced.
type Sibling struct {
	Dot         Dot
	Tombstone   bool
	Value       []byte // nil when Apart
	Apart       bool   // the value is stored in a record of its own, under the dot
	ValueSize   int    // bytes of the value, also when Apart
	ContentType string
	Meta        []Meta // sorted by key, no key twice
	Time        HLC    // of the coordinator
	Expiry      int64  // Unix milliseconds; 0 is never
	Request     RequestID
}

// Object is all that one replica knows of a key.
// Invariant: siblings are sorted by dot, no dot twice, each covered by Context.
// An Object without context and siblings stands for a key never written.
type Object struct {
	Context  Vector
	Siblings []Sibling
}

// HLC is a hybrid logical clock's timestamp: Unix milliseconds in the upper 48
// bits, a logical counter in the lower 16 (Kulkarni et al., 2014).
type HLC uint64
