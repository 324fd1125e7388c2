package client_test

import (
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/internal/member"
	"github.com/ringd/ringd/quorum" // want "nothing of the server"
	"go.uber.org/goleak"
)
