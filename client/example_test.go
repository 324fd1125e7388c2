package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/ringd/ringd/client"
)

// exampleCluster stands in for "ringd dev": members in this process.
func exampleCluster() (address string, stop func()) {
	c := newCluster(3, true)
	return c.members[0].address, c.close
}

func Example() {
	address, stop := exampleCluster()
	defer stop()

	ctx := context.Background()
	c, err := client.Dial(ctx, address) // the other members are found by it
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	carts := c.Bucket("carts")

	if _, err := carts.Put(ctx, "alice", []byte("one apple")); err != nil {
		log.Fatal(err)
	}
	// A write that didn't read first: both values are kept.
	if _, err := carts.Put(ctx, "alice", []byte("two pears")); err != nil {
		log.Fatal(err)
	}
	cart, err := carts.Get(ctx, "alice")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := cart.Value(); errors.Is(err, client.ErrSiblings) {
		for _, s := range cart.Siblings {
			fmt.Printf("sibling: %s\n", s.Value)
		}
	}

	// Merged by the program, and written with the context that was read: it
	// replaces both, unless someone else wrote meanwhile.
	_, err = carts.Put(ctx, "alice", []byte("one apple, two pears"), client.IfMatch(cart.Context))
	switch {
	case errors.Is(err, client.ErrPrecondition), errors.Is(err, client.ErrAborted):
		fmt.Println("someone else was faster: read again")
	case errors.Is(err, client.ErrUnknown):
		fmt.Println("it may have been applied: read to find out")
	case err != nil:
		log.Fatal(err)
	}
	cart, err = carts.Get(ctx, "alice", client.R(client.Quorum))
	if err != nil {
		log.Fatal(err)
	}
	value, err := cart.Value()
	fmt.Printf("%s %v\n", value, err)

	for key, err := range carts.Keys(ctx) {
		fmt.Println(key, err)
	}
	// Output:
	// sibling: one apple
	// sibling: two pears
	// one apple, two pears <nil>
	// alice <nil>
}
