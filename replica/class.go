package replica

import "github.com/ringd/ringd/causal"

// A bucket type's n is the class of its keys: the owners of the first n slots
// hold them. What an owner has seen, it has seen of the keys that it holds. So
// that it can be told which of it holds for another owner, that may hold more, an
// actor gives dots to keys of one class only, and its id says of which: the class
// is its lowest byte.

// NewActor returns the actor that gives dots to keys of a class, 1 to 255. Random
// has 56 bits or more.
func NewActor(random uint64, class int) causal.Actor {
	return causal.Actor(random<<8 | uint64(uint8(class)))
}

// CopyClass is the class, in a cluster that keeps so many replicas, of keys that all
// members hold: the owners of all slots, and the others, as if each had the slot behind the
// last. It is the highest class.
func CopyClass(replicas int) int { return replicas + 1 }

// ClassOf returns the class of the keys that an actor gives dots to.
func ClassOf(a causal.Actor) int { return int(uint8(a)) }

// SeenFrom returns what seen says of keys of the given class and those above.
func SeenFrom(seen causal.Vector, class int) causal.Vector {
	var out causal.Vector
	for _, d := range seen {
		if ClassOf(d.Actor) >= class {
			out = append(out, d)
		}
	}
	return out
}
