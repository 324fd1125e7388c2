package ringdv1

import (
	"google.golang.org/protobuf/proto"

	"github.com/ringd/ringd/ring" // want "generated code"
)
