package ring_test

import (
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/google/btree" // want "ring is pure values"
	"github.com/ringd/ringd/internal/member" // want "ring is pure values"
	"github.com/ringd/ringd/ring"
)

func started() time.Time { return time.Now() }
