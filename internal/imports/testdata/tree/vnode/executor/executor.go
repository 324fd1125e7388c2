package executor

import (
	"context"
	"log/slog"
	"os" // want "by the engine that it is given"
	"sync"
	"time"

	"github.com/ringd/ringd/quorum" // want "and nothing else"
	"github.com/ringd/ringd/vnode"
)

func run() {
	go func() { <-time.After(1) }()
}
