package member

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/ringd/ringd/replica"
)

// stats are what a member counts about the requests it coordinates.
type stats struct {
	registry *prometheus.Registry

	requests  *prometheus.HistogramVec // seconds, by operation and outcome
	hedges    prometheus.Counter
	repairs   prometheus.Counter
	refused   prometheus.Counter
	newActors prometheus.Counter
	ownDots   prometheus.Counter
	readFails prometheus.Counter
	repair    *repairStats
}

func newStats() *stats {
	registry := prometheus.NewRegistry()
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "ringd", Name: name, Help: help})
		registry.MustRegister(c)
		return c
	}
	s := &stats{
		registry: registry,
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "ringd", Name: "request_seconds",
			Help: "Time that clients' requests took, by operation and outcome.",
			// From a cached read on the same host to the default timeout.
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"op", "outcome"}),
		hedges:    counter("hedged_reads_total", "Reads that asked one owner more because another was slow."),
		repairs:   counter("read_repairs_total", "Owners that were sent what a read found them to lack."),
		refused:   counter("mailbox_refusals_total", "Messages refused because a mailbox was full."),
		newActors: counter("vnode_new_actors_total", "Lives begun by vnodes whose counter's continuity was not proven."),
		ownDots:   counter("vnode_own_dots_total", "Dots that came in as a vnode's own though it never gave them: data went back in time."),
		readFails: counter("vnode_read_failures_total", "Reads of the disk that failed, or found a bad record."),
	}
	s.repair = newRepairStats(registry)
	registry.MustRegister(s.requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return s
}

// observe counts a client's request, however it came in.
func (s *stats) observe(op string, began time.Time, err error) {
	outcome := "ok"
	if err != nil {
		outcome = replica.KindOf(err).String()
	}
	s.requests.WithLabelValues(op, outcome).Observe(time.Since(began).Seconds())
}
