package simstore_test

import (
	"testing"

	"github.com/ringd/ringd/storage"
	"github.com/ringd/ringd/storage/enginetest"
	"github.com/ringd/ringd/storage/simstore"
)

func TestConformance(t *testing.T) {
	crash := func(t *testing.T, e storage.Engine) storage.Engine { return e.(*simstore.Store).Crash(0) }
	enginetest.Run(t, enginetest.Subject{
		Open: func(*testing.T) storage.Engine { return simstore.New() },
		// Close synced everything: a crash after it loses nothing.
		Reopen: crash,
		Crash:  crash,
	})
}
