// Package slowlink delays, loses, repeats, reorders and limits what goes from one
// host to another on a switch that is a Linux bridge in a namespace of its own. It needs
// root, ip and nft, and nothing of the kernel's traffic control.
//
// The bridge drops what it would forward on a slow pair's way. A copy of it was
// taken on its way into the bridge, and is sent through the bridge device when its
// time has come, marked with the host that it comes from. What the bridge sends is no
// longer forwarded, but output: whoever cuts hosts off has to drop it there too, by
// mark and interface, with the same effect as before:
//
//	chain output { type filter hook output priority 0; meta mark . oifname @marked drop }
//
// Only IPv4 is slow, whole segments of TCP as the hosts hand them over (up to 64 KiB, one
// packet here). ARP is not: a host that can't be found is another fault.
package slowlink
