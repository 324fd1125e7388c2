package nemesis

import "slices"

// plugged are the nemeses that have packages of their own: of disks, slow links and
// clocks.
func plugged() []*Nemesis { return slices.Concat(disks(), links(), clocks()) }
