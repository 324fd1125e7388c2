package vnode

import (
	"log/slog" // want "logs are listeners"

	"github.com/ringd/ringd/storage"
	"github.com/ringd/ringd/storage/pebblestore" // want "vnode is a step machine"
	"github.com/ringd/ringd/vnode/executor"      // want "vnode is a step machine"
)
