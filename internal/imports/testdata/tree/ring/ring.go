package ring

import (
	"fmt"
	"math/rand" // want "global source"
	randv2 "math/rand/v2"
	"net"       // want "the network is the driver's"
	"net/netip"
	"os/exec"     // want "files, environment and processes"
	"sync/atomic" // want "one thread steps the machine"
	"time"

	"github.com/buraksezer/consistent"
	"github.com/google/btree" // want "ring is pure values"

	"github.com/ringd/ringd/causal" // want "ring is pure values"
	"github.com/ringd/ringd/ring/flow"
)

func at(now time.Time, r *randv2.Rand) {
	_ = time.Now()        // want "time is an argument"
	sleep := time.Sleep   // want "time is an argument"
	_ = time.Unix(0, 0)
	_ = time.Second
	_ = now.After(now)
	_ = randv2.IntN(3)                      // want "no seed"
	_ = randv2.New(randv2.NewPCG(1, 2)).IntN(3)
	fmt.Println(r.IntN(3))                  // want "standard input and output"
	_ = fmt.Sprint(now)
	_ = now.In(time.Local)                  // want "environment"
	go sleep(0)                             // want "no go statement"
	select {}                               // want "no select"
}

type clock struct{}

func (clock) Now() int { return 0 }

func hidden(time clock) int { return time.Now() }
