package member

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringd/ringd/handoff"
	"github.com/ringd/ringd/replica"
)

// repairStats are what a member counts about the repairs that it began.
type repairStats struct {
	hintsStored, hintsRefused, hintsDropped, hintsDelivered, hintBytes tally
	sessions, sessionsFailed, differed, sent, sentBytes                tally
	readBytes, reaped, damaged, restored                               tally
	moves, movesFailed, movedObjects, movedBytes                       tally
}

// tally is a counter that ringctl transfers shows, too.
type tally struct{ atomic.Int64 }

func (t *tally) Inc() { t.Int64.Add(1) }

func newRepairStats(registry *prometheus.Registry) *repairStats {
	s := new(repairStats)
	for _, c := range []struct {
		to         *tally
		name, help string
	}{
		{&s.hintsStored, "hints_stored_total", "Objects taken for owners that could not be reached."},
		{&s.hintsRefused, "hints_refused_total", "Objects not taken for others because hint_bytes_max was reached."},
		{&s.hintsDropped, "hints_dropped_total", "Hints given up because they were corrupt."},
		{&s.hintsDelivered, "hints_delivered_total", "Hints that their owners have durably."},
		{&s.hintBytes, "hints_delivered_bytes_total", "Bytes of the hints delivered."},
		{&s.sessions, "anti_entropy_sessions_total", "Comparisons of a partition with another owner that came to their end."},
		{&s.sessionsFailed, "anti_entropy_sessions_failed_total", "Comparisons that did not come to their end."},
		{&s.differed, "anti_entropy_keys_differed_total", "Keys that two owners did not agree on."},
		{&s.sent, "anti_entropy_objects_sent_total", "Objects sent to owners that lacked them."},
		{&s.sentBytes, "anti_entropy_bytes_sent_total", "Bytes of the objects sent."},
		{&s.readBytes, "anti_entropy_bytes_read_total", "Bytes of sums, entries and heads that were compared."},
		{&s.reaped, "deletes_reaped_total", "Deletions forgotten because every owner had seen them."},
		{&s.damaged, "records_corrupt_total", "Records found corrupt."},
		{&s.moves, "moves_handed_over_total", "Slots whose data was brought to their new owner."},
		{&s.movesFailed, "moves_failed_total", "Attempts to hand a slot over that did not come to their end."},
		{&s.movedObjects, "moved_objects_total", "Objects brought to new owners of slots."},
		{&s.movedBytes, "moved_bytes_total", "Bytes of the objects brought to new owners of slots."},
		{&s.restored, "records_restored_total", "Corrupt records restored from other owners."},
	} {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "ringd", Name: c.name, Help: c.help}, func() float64 {
			return float64(c.to.Load())
		}))
	}
	return s
}

func (s *repairStats) exchanged(p handoff.Progress, busy bool, err *replica.Error) {
	switch {
	case busy: // another session in the way is no failure
	case err != nil:
		s.sessionsFailed.Inc()
	default:
		s.sessions.Inc()
	}
	s.differed.Add(int64(p.Differed))
	s.sent.Add(int64(p.Done))
	s.sentBytes.Add(int64(p.Bytes))
	s.readBytes.Add(int64(p.Read))
}

func (s *repairStats) moved(p handoff.Progress, err *replica.Error) {
	if err != nil {
		s.movesFailed.Inc()
	} else {
		s.moves.Inc()
	}
	s.movedObjects.Add(int64(p.Done))
	s.movedBytes.Add(p.Bytes)
}

func (s *repairStats) delivered(p handoff.Progress) {
	s.hintsDelivered.Add(int64(p.Done))
	s.hintBytes.Add(int64(p.Bytes))
}
