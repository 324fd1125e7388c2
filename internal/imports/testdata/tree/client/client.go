package client

import (
	"github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/internal/member" // want "nothing of the server"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpcx" // want "nothing of the server"
)
