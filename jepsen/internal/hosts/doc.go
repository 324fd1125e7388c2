// Package hosts makes hosts of network namespaces on one switch, and breaks the
// network between them.
//
// It needs root and the programs ip (iproute2) and nft (nftables). An ordinary
// user can have all that in namespaces of the user's own, as the kernel allows:
//
//	unshare -Urnm sh -c 'mount -t tmpfs run /run && go run ./jepsen run ...'
package hosts
