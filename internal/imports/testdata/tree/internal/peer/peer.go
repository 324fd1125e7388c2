package peer

import (
	clk "time"

	"github.com/ringd/ringd/internal/clock"
)

var (
	_ = clk.Now() // want "internal/clock is the one place"
	_ = clock.Now()
	_ = clk.Second
)
