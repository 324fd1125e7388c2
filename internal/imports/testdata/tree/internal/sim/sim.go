package sim

import (
	"math/rand/v2"

	"github.com/ringd/ringd/storage/simstore"
	"github.com/ringd/ringd/vnode"
	"github.com/ringd/ringd/vnode/executor" // want "one thread"
)

var order = rand.Perm(3) // want "no seed"

func seeded(r *rand.Rand) *rand.Rand { return r }
