package handoff

import (
	"slices"
	"time"

	"github.com/ringd/ringd/ring"
)

// Pair is a partition and another owner of it, with which this member begins the
// exchanges: the owner of the lower slot does. The owner of the first slot begins those
// with members that hold copies.
type Pair struct {
	Partition ring.PartitionID
	Peer      ring.MemberID
	Copy      bool // the peer holds a copy
}

// Pairs returns the pairs in which self begins, by partition and slot; then, by partition
// and as in members, those with members that own no slot of it and hold a copy.
func Pairs(r *ring.Ring, self ring.MemberID, members []ring.MemberID) []Pair {
	var pairs []Pair
	if !r.HasOwners() {
		return nil
	}
	for p := range r.Partitions() {
		mine := false
		for _, id := range r.Owners(ring.PartitionID(p)) {
			if mine {
				pairs = append(pairs, Pair{Partition: ring.PartitionID(p), Peer: id})
			}
			mine = mine || id == self
		}
	}
	for p := range r.Partitions() {
		owners := r.Owners(ring.PartitionID(p))
		for _, id := range members {
			if owners[0] == self && !slices.Contains(owners, id) {
				pairs = append(pairs, Pair{Partition: ring.PartitionID(p), Peer: id, Copy: true})
			}
		}
	}
	return pairs
}

// Schedule says which pairs are to be compared when. It is a value for one
// goroutine.
type Schedule struct {
	every  time.Duration
	random func() float64 // in [0, 1)
	pairs  map[Pair]*due
	order  []Pair
	// next is where the search for a due pair goes on, so that none starves.
	next int
}

type due struct {
	at      time.Time
	agreed  time.Time // last, or when the pair was first known
	running bool
}

// retryAfter is about how long a pair whose exchange failed waits.
const retryAfter = 5 * time.Second

// busyAfter is about how long an exchange takes.
const busyAfter = time.Second

// soonWithin is the time over which pairs are spread that are to be compared at
// once: a member that is back shares hundreds of partitions.
const soonWithin = 10 * time.Second

// NewSchedule returns a schedule without pairs. Random draws jitter.
func NewSchedule(every time.Duration, random func() float64) *Schedule {
	return &Schedule{every: every, random: random, pairs: make(map[Pair]*due)}
}

// Set gives the pairs that there are, and how often each is compared; 0 is never.
// New ones are spread over one interval; those with copies, which answer nothing before, over
// a short while.
func (s *Schedule) Set(now time.Time, every time.Duration, pairs []Pair) {
	known := s.pairs
	if every != s.every {
		known = make(map[Pair]*due)
	}
	s.every = every
	s.pairs, s.order = make(map[Pair]*due, len(pairs)), pairs
	for _, pair := range pairs {
		d, ok := known[pair]
		if !ok {
			within := every
			if pair.Copy {
				within = min(every, soonWithin)
			}
			d = &due{at: now.Add(time.Duration(s.random() * float64(within))), agreed: now}
		}
		s.pairs[pair] = d
	}
}

// Soon makes all pairs with a member due within a short while.
func (s *Schedule) Soon(now time.Time, peer ring.MemberID) {
	for _, pair := range s.order {
		if pair.Peer != peer {
			continue
		}
		if at := now.Add(time.Duration(s.random() * float64(soonWithin))); at.Before(s.pairs[pair].at) {
			s.pairs[pair].at = at
		}
	}
}

// Next returns a pair that is due and not under way, and takes it for under way.
func (s *Schedule) Next(now time.Time) (Pair, bool) {
	if s.every == 0 {
		return Pair{}, false
	}
	for i := range s.order {
		pair := s.order[(s.next+i)%len(s.order)]
		if d := s.pairs[pair]; !d.running && !now.Before(d.at) {
			d.running = true
			s.next = (s.next + i + 1) % len(s.order)
			return pair, true
		}
	}
	return Pair{}, false
}

// Done says how a pair's exchange ended.
func (s *Schedule) Done(now time.Time, pair Pair, agreed bool) {
	d, ok := s.pairs[pair]
	if !ok {
		return
	}
	d.running = false
	jitter := 0.9 + 0.2*s.random()
	if !agreed {
		d.at = now.Add(time.Duration(jitter * float64(min(retryAfter, s.every))))
		return
	}
	d.agreed = now
	d.at = now.Add(time.Duration(jitter * float64(s.every)))
}

// Busy says that a pair's exchange did not begin, because one of its vnodes was
// being compared with another.
func (s *Schedule) Busy(now time.Time, pair Pair) {
	if d, ok := s.pairs[pair]; ok {
		d.running = false
		d.at = now.Add(time.Duration((0.5 + s.random()) * float64(busyAfter)))
	}
}

// Oldest is how long ago the pair that waits longest agreed.
func (s *Schedule) Oldest(now time.Time) time.Duration {
	var oldest time.Duration
	for _, d := range s.pairs {
		oldest = max(oldest, now.Sub(d.agreed))
	}
	return oldest
}
