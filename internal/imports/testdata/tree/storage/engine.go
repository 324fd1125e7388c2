//go:build neverset

package storage

import (
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc" // want "bytes in, bytes out"

	"github.com/ringd/ringd/causal" // want "bytes in, bytes out"
)
