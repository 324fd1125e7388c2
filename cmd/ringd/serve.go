package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/internal/member"
)

// stopWithin bounds a clean shutdown, so that whoever sent SIGTERM need not
// follow up with SIGKILL.
const stopWithin = 10 * time.Second

// serve runs a member until ctx ends or the member fails.
func serve(ctx context.Context, config member.Config) error {
	m, err := member.Start(ctx, config)
	if err != nil {
		return err
	}
	at := m.Endpoints()
	config.Logger.Info("serving", "name", config.Name, "grpc", at.GRPC, "gossip", at.Gossip, "http", at.HTTP)
	select {
	case <-ctx.Done():
		if config.Drain {
			if err := drain(ctx, m, config); err != nil {
				_ = m.Close()
				return err
			}
		}
	case err := <-m.Failed():
		if errors.Is(err, cluster.ErrLeft) {
			config.Logger.Info("this member has left the cluster: nothing of the cluster is on it any more, and its data directory can be deleted", "name", config.Name, "data-dir", config.DataDir)
			return stop(m)
		}
		_ = m.Close()
		return err
	}
	config.Logger.Info("stopping")
	return stop(m)
}

func stop(m *member.Member) error {
	closed := make(chan error, 1)
	go func() { closed <- m.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			return fmt.Errorf("stopping: %w", err)
		}
		return nil
	case <-time.After(stopWithin):
		return fmt.Errorf("stopping took more than %v: what was acknowledged is safe, vnodes begin new lives at the next start", stopWithin)
	}
}
