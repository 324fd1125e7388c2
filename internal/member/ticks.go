package member

import (
	"context"
	"time"
)

// every calls do once each interval until ctx ends, from the goroutine that it is
// called by. An interval that passes while do runs is made up for by one call.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}
