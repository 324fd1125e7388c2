package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ringd/ringd/jepsen/internal/cluster"
	"github.com/ringd/ringd/jepsen/internal/history"
)

const (
	// startWithin bounds the beginning of a fault, if the end of the run does not.
	startWithin = time.Minute
	// HealWithin bounds the end of a fault: slots that move meanwhile need the
	// members that other faults have.
	HealWithin = 3 * time.Minute
)

// Log is told what the nemeses do. It is safe for use by several goroutines.
type Log interface {
	// Begun and Healed get the fault with its times; Healed keeps it.
	Begun(f history.Fault)
	Healed(f history.Fault)
	// Skipped is a fault that did not come about.
	Skipped(name string, why error)
}

// Run breaks the cluster as the nemeses' schedules say until ctx ends, and returns
// when all is healed. Its errors are breaches, and faults that did not heal.
func Run(ctx context.Context, c *cluster.Cluster, list []*Nemesis, seed uint64, total time.Duration, since func() time.Duration, log Log) error {
	errs := make([]error, len(list))
	var running sync.WaitGroup
	for i, n := range list {
		running.Go(func() {
			for _, s := range Schedule(seed, n.Name, total) {
				// A fault before may have taken its time to heal.
				if !sleep(ctx, max(s.At-since(), calmMin)) || since() > total-tail {
					return
				}
				errs[i] = errors.Join(errs[i], n.once(ctx, c, s, since, log))
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// once makes one fault and heals it.
func (n *Nemesis) once(ctx context.Context, c *cluster.Cluster, s Step, since func() time.Duration, log Log) error {
	rng := rand.New(rand.NewPCG(s.Seed, 0))
	began := since()
	starting, cancel := context.WithTimeout(ctx, startWithin)
	a, err := n.Start(starting, c, rng)
	cancel()
	if breach := (*Breach)(nil); errors.As(err, &breach) {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	if err != nil {
		log.Skipped(n.Name, err)
		return nil
	}
	a.Name, a.Begin = n.Name, began
	log.Begun(a.Fault)
	sleep(ctx, s.For)
	// It is healed whether the run was interrupted or not.
	healing, cancel := context.WithTimeout(context.WithoutCancel(ctx), HealWithin)
	defer cancel()
	err = a.Heal(healing)
	if err != nil {
		a.Detail += fmt.Sprintf("; not healed: %v", err)
		err = fmt.Errorf("%s of %v: %w", n.Name, a.Members, err)
	}
	a.End = since()
	log.Healed(a.Fault)
	return err
}

// sleep returns false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
