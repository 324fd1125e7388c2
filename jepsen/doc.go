// Package jepsen holds tests of real ringd processes under faults that need more
// than a process: each member is on a host of its own, a network namespace, and
// the network between them is cut and healed. The tests judge ringd from outside,
// by what ringctl prints and returns.
//
// The hosts need root and the programs ip (iproute2) and nft (nftables); without
// them the tests are skipped. An ordinary user can run them in namespaces of the
// user's own:
//
//	unshare -Urnm sh -c 'mount -t tmpfs run /run && go test ./jepsen'
package jepsen
