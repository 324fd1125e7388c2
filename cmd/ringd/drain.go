package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/ringd/ringd/internal/member"
)

// drain has the member leave before it is stopped, and serve meanwhile. It gives up
// after config.DrainWithin, and at a second signal. Stopped is the context that the
// first one ended; an error is one that ended the member.
func drain(stopped context.Context, m *member.Member, config member.Config) error {
	again, stop := signal.NotifyContext(context.WithoutCancel(stopped), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(again, config.DrainWithin)
	defer cancel()
	log := config.Logger.With("name", config.Name)
	log.Info("draining: this member hands over what it has and leaves the cluster; a second signal stops it at once", "within", config.DrainWithin)
	done := make(chan error, 1)
	go func() { done <- m.Drain(ctx) }()
	select {
	case err := <-done:
		if err != nil {
			log.Warn("stopping without having left", "reason", err)
			return nil
		}
		// It ends once it is out of the log: majorities count right only then.
		select {
		case <-m.Failed():
		case <-ctx.Done():
		}
	case err := <-m.Failed():
		cancel()
		<-done
		if !m.Left() {
			return err
		}
	}
	log.Info("drained: this member has left the cluster, its data directory can be deleted")
	return nil
}
