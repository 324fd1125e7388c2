package sim

import (
	"slices"
	"time"
)

// Fault is one kind of what goes wrong in a run.
type Fault string

// The kinds. Those of losesDisk take the data of one member, of which there is one
// in a run: more is beyond what three replicas promise.
const (
	FaultLoss       Fault = "loss"       // of messages
	FaultDuplicate  Fault = "duplicate"  // messages come twice
	FaultReorder    Fault = "reorder"    // messages overtake each other
	FaultDelay      Fault = "delay"      // messages take long
	FaultOneWay     Fault = "one way"    // a member hears others, and they don't hear it, or the other way round
	FaultPartition  Fault = "partition"  // members fall into two halves
	FaultFlapping   Fault = "flapping"   // a link comes and goes
	FaultCrash      Fault = "crash"      // of one member
	FaultBlackout   Fault = "blackout"   // of all
	FaultStop       Fault = "stop"       // a clean one
	FaultPause      Fault = "pause"      // of one member, which does not notice
	FaultSlowDisk   Fault = "slow disk"  // syncs take long
	FaultReadError  Fault = "read error" // of the disk, for a while
	FaultSyncError  Fault = "sync error" // of the disk, once
	FaultNoLeader   Fault = "no leader"  // nothing is agreed on for a while
	FaultLag        Fault = "lag"        // one member hears nothing of the log for a while
	FaultTopology   Fault = "topology"   // members join, leave, change weights; moves are cancelled
	FaultEmptied    Fault = "emptied"    // a store is emptied, and found out
	FaultWiped      Fault = "wiped"      // a directory is wiped: a new member takes its place
	FaultRestored   Fault = "restored"   // a directory is an older copy
	FaultRemoved    Fault = "removed"    // a member is removed that still runs
	faultsMin             = 3
	faultsMax             = 7
	faultsWithin          = 50 * time.Second
	perWindow             = 8 * time.Second // about how often a kind comes
	windowMax             = 4 * time.Second
	topologyEvery         = 4 * time.Second
	losesDiskChance       = 40 // percent of runs
	topologyChance        = 75
)

var (
	commonFaults = []Fault{
		FaultLoss, FaultDuplicate, FaultReorder, FaultDelay, FaultOneWay, FaultPartition, FaultFlapping, FaultCrash,
		FaultBlackout, FaultStop, FaultPause, FaultSlowDisk, FaultReadError, FaultSyncError, FaultNoLeader, FaultLag,
	}
	losesDisk = []Fault{FaultEmptied, FaultWiped, FaultRestored, FaultRemoved}
)

// faults are those of a run.
type faults struct {
	kinds     []Fault
	readsFail map[*member]bool
	// undo are what ends the windows that are open, by number.
	undo   map[int]func()
	number int
}

// drawFaults chooses the kinds of fault that a run has.
func (w *world) drawFaults() {
	w.faults = faults{readsFail: make(map[*member]bool), undo: make(map[int]func())}
	if len(w.config.Faults) > 0 {
		w.faults.kinds = w.config.Faults
		return
	}
	n := faultsMin + w.rng.IntN(faultsMax-faultsMin+1)
	for _, i := range w.rng.Perm(len(commonFaults))[:n] {
		w.faults.kinds = append(w.faults.kinds, commonFaults[i])
	}
	if w.rng.IntN(100) < topologyChance {
		w.faults.kinds = append(w.faults.kinds, FaultTopology)
	}
	if w.rng.IntN(100) < losesDiskChance {
		w.faults.kinds = append(w.faults.kinds, losesDisk[w.rng.IntN(len(losesDisk))])
	}
}

// loses says that the run takes the data of a member.
func (w *world) loses() bool {
	return slices.ContainsFunc(w.faults.kinds, func(f Fault) bool { return slices.Contains(losesDisk, f) })
}

func (w *world) scheduleFaults() {
	w.log("faults: %q", w.faults.kinds)
	for _, f := range w.faults.kinds {
		times := int(faultsWithin / perWindow)
		switch {
		case f == FaultTopology:
			times = int(faultsWithin / topologyEvery)
		case slices.Contains(losesDisk, f):
			times = 1
		}
		for range times {
			w.after(w.upTo(faultsWithin), func() {
				if !w.healed {
					w.strike(f)
				}
			})
		}
	}
}

// window undoes something a while later, or when all is healed.
func (w *world) window(undo func()) {
	w.faults.number++
	number := w.faults.number
	w.faults.undo[number] = undo
	w.after(w.upTo(windowMax), func() { w.close(number) })
}

func (w *world) close(number int) {
	if undo, ok := w.faults.undo[number]; ok {
		delete(w.faults.undo, number)
		undo()
	}
}

// strike has a fault happen.
func (w *world) strike(f Fault) {
	up := w.where(func(m *member) bool { return m.up })
	if len(up) == 0 {
		return
	}
	m := up[w.rng.IntN(len(up))]
	w.log("fault: %s, %s", f, m.name)
	w.reach("fault: " + string(f))
	n := w.net
	switch f {
	case FaultLoss:
		n.loss += 10
		w.window(func() { n.loss -= 10 })
	case FaultDuplicate:
		n.duplicate += 20
		w.window(func() { n.duplicate -= 20 })
	case FaultReorder:
		n.reorder++
		w.window(func() { n.reorder-- })
	case FaultDelay:
		n.delayMax += 60 * time.Millisecond
		w.window(func() { n.delayMax -= 60 * time.Millisecond })
	case FaultOneWay, FaultPartition:
		w.cutOff(f, m)
	case FaultFlapping:
		w.flap(m, up[w.rng.IntN(len(up))], 20)
	case FaultCrash:
		m.crash()
		w.restart(m)
	case FaultBlackout:
		for _, m := range up {
			m.crash()
			w.restart(m)
		}
	case FaultStop:
		m.stop()
		w.restart(m)
	case FaultPause:
		m.pausedUntil = w.now.Add(w.upTo(2 * time.Second))
	case FaultNoLeader:
		w.agreed.outUntil = w.now.Add(w.upTo(windowMax))
	case FaultLag:
		m.lagUntil = w.now.Add(w.upTo(windowMax))
	case FaultTopology:
		w.changeTopology()
	default:
		w.strikeDisk(f, m)
	}
}

func (w *world) strikeDisk(f Fault, m *member) {
	switch f {
	case FaultSlowDisk:
		m.slow++
		w.window(func() { m.slow-- })
	case FaultReadError:
		w.failReads(m)
	case FaultSyncError:
		m.disk.FailNextSync(errDisk)
	case FaultEmptied:
		m.crash()
		m.empty()
		w.restart(m)
	case FaultWiped:
		m.crash()
		m.dead = true
		w.reach("wiped disk")
		w.lagSome()
		w.replaceLater(m)
	case FaultRestored:
		w.restore(m)
	case FaultRemoved:
		// Somebody takes it for gone, and it isn't.
		w.reach("member removed that still runs")
		w.lagSome()
		m.lagUntil = w.now.Add(lagAtRemoval)
		w.replaceLater(m)
	}
}

// lagAtRemoval is about as long as a rebuild takes, and is agreed on before.
const lagAtRemoval = 7 * time.Second

// lagSome has some members hear nothing of the log while a slot is rebuilt: they
// coordinate as before.
func (w *world) lagSome() {
	for _, m := range w.members {
		if w.rng.IntN(2) == 0 {
			m.lagUntil = w.now.Add(w.upTo(lagAtRemoval))
		}
	}
}

// failReads has reads of one partition's keys fail for a while, or of all.
func (w *world) failReads(m *member) {
	disk, salt := m.disk, byte(w.rng.IntN(8))
	disk.FailReads(func(key []byte) bool { return len(key) > 4 && key[4]%8 == salt }, errDisk)
	w.faults.readsFail[m] = true
	w.window(func() { disk.FailReads(nil, nil) })
}

// restore brings a member up on a copy of its directory from before its last start.
func (w *world) restore(m *member) {
	if m.former.disk == nil || m.former.dir.starts >= m.dir.starts || m.booting {
		w.after(w.upTo(time.Second), func() {
			if !w.healed && m.up && !m.dead {
				// It has only begun once: it begins a second time first.
				m.stop()
				w.restart(m)
				w.after(2*time.Second, func() { w.restoreNow(m) })
			}
		})
		return
	}
	w.restoreNow(m)
}

func (w *world) restoreNow(m *member) {
	if w.healed || !m.serving() || m.former.dir.starts >= m.dir.starts {
		return
	}
	if m.dir.nonce != "" {
		// A start that is not counted yet, nobody can know of.
		w.after(w.upTo(time.Second), func() { w.restoreNow(m) })
		return
	}
	old := m.former
	m.crash()
	m.restored = true
	m.disk, m.dir, m.state = old.disk.Crash(0), old.dir, old.state
	w.reach("restored disk")
	w.log("%s is restored from before its last start", m.name)
	w.startRestored(m)
}

// startRestored starts m once others that know of its last start can be reached: what
// nobody can tell it, it can't know.
func (w *world) startRestored(m *member) {
	w.after(w.upTo(400*time.Millisecond), func() {
		if _, in := w.agreed.state.Members[m.id]; !in || w.settled {
			m.out = true
			return
		}
		last := m.dir.starts
		if m.dir.nonce != "" {
			last++ // that start may have been counted
		}
		knows := w.where(func(o *member) bool {
			return o.up && w.net.connected(m, o) && o.state.Members[m.id].Starts > last
		})
		if len(knows) == 0 {
			w.startRestored(m)
			return
		}
		m.start()
		w.replaceLater(m)
	})
}

// cutOff cuts some members off from the others, or a member one way.
func (w *world) cutOff(f Fault, m *member) {
	side := map[*member]bool{m: true}
	if f == FaultPartition {
		for _, other := range w.members {
			side[other] = side[other] || w.rng.IntN(2) == 0
		}
	}
	inward, outward := true, true
	if f == FaultOneWay {
		inward = w.rng.IntN(2) == 0
		outward = !inward
	}
	var mend []func()
	for _, a := range w.members {
		for _, b := range w.members {
			if !side[a] || side[b] {
				continue
			}
			if outward {
				mend = append(mend, w.net.cut(a, b))
			}
			if inward {
				mend = append(mend, w.net.cut(b, a))
			}
		}
	}
	w.window(func() {
		for _, do := range mend {
			do()
		}
	})
}

// flap cuts the link between two members and mends it, so many times.
func (w *world) flap(a, b *member, times int) {
	if a == b || times == 0 || w.healed {
		return
	}
	there, back := w.net.cut(a, b), w.net.cut(b, a)
	w.after(w.upTo(150*time.Millisecond), func() {
		there()
		back()
		w.after(w.upTo(150*time.Millisecond), func() { w.flap(a, b, times-1) })
	})
}

// restart starts m again after a while.
func (w *world) restart(m *member) {
	w.after(w.upTo(time.Second), func() {
		if !m.restored {
			m.start()
		}
	})
}
