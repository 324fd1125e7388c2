// Package api serves ringd.v1 over gRPC. It translates requests to those of
// package replica, checks them against the cluster's limits, seals and opens
// the contexts that clients carry, and translates back; what a request does is
// decided behind [Backend].
package api
