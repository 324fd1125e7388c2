package peer

import (
	"sync"

	"github.com/ringd/ringd/ring"
)

// live is a stream that can be ended from outside.
type live interface{ end(error) }

// starts remembers the highest start count seen of each member, and ends the
// streams of a member's earlier starts. It holds an entry per member of the
// cluster that was ever met.
type starts struct {
	mu struct {
		sync.Mutex
		last map[ring.MemberID]uint64
		// streams, of both directions, by member, with the count they go by.
		streams map[ring.MemberID]map[live]uint64
	}
}

func (s *starts) init() {
	s.mu.last = make(map[ring.MemberID]uint64)
	s.mu.streams = make(map[ring.MemberID]map[live]uint64)
}

// checkLocked refuses a count below the last one that was seen.
func (s *starts) checkLocked(id ring.MemberID, count uint64) error {
	if last := s.mu.last[id]; count < last {
		return refuse("member %v speaks from its start %d, but start %d was seen already: its data directory is an older copy, or an older process still runs; stop it, and let the directory come in as a new member", id, count, last)
	}
	return nil
}

// admit checks and remembers the count that a stream goes by. The stream is
// ended when a higher one shows up, until leave.
func (s *starts) admit(id ring.MemberID, count uint64, stream live) error {
	s.mu.Lock()
	if err := s.checkLocked(id, count); err != nil {
		s.mu.Unlock()
		return err
	}
	if s.mu.streams[id] == nil {
		s.mu.streams[id] = make(map[live]uint64)
	}
	s.mu.streams[id][stream] = count
	older := s.sawLocked(id, count)
	s.mu.Unlock()
	endOlder(older, id, count)
	return nil
}

func (s *starts) leave(id ring.MemberID, stream live) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.streams[id], stream)
	if len(s.mu.streams[id]) == 0 {
		delete(s.mu.streams, id)
	}
}

// sawLocked returns the streams of earlier starts.
func (s *starts) sawLocked(id ring.MemberID, count uint64) []live {
	if count <= s.mu.last[id] {
		return nil
	}
	s.mu.last[id] = count
	var older []live
	for stream, c := range s.mu.streams[id] {
		if c < count {
			older = append(older, stream)
		}
	}
	return older
}

func endOlder(older []live, id ring.MemberID, count uint64) {
	for _, stream := range older {
		stream.end(refuse("member %v has begun its start %d since", id, count))
	}
}

// LastStart returns the highest start count that was seen of a member; 0 if
// none was.
func (t *Transport) LastStart(id ring.MemberID) uint64 {
	t.starts.mu.Lock()
	defer t.starts.mu.Unlock()
	return t.starts.mu.last[id]
}

// SawStart takes in a start count that was heard of elsewhere, as in the agreed
// state. Streams of earlier starts end.
func (t *Transport) SawStart(id ring.MemberID, count uint64) {
	t.starts.mu.Lock()
	older := t.starts.sawLocked(id, count)
	t.starts.mu.Unlock()
	endOlder(older, id, count)
}
