package sim

import "time"

// faultsWithin is when faults begin: about as long as the clients take.
const faultsWithin = 3 * time.Second

func (w *world) scheduleFaults() {
	some := func() *member { return w.members[w.rng.IntN(len(w.members))] }
	for range w.config.Crashes {
		w.after(w.upTo(faultsWithin), func() {
			if m := some(); m.up && !w.healed {
				m.crash()
				w.restart(m)
			}
		})
	}
	for range w.config.Blackouts {
		w.after(w.upTo(faultsWithin), func() {
			if w.healed {
				return
			}
			w.reached["blackout"]++
			for _, m := range w.members {
				if m.up {
					m.crash()
					w.restart(m)
				}
			}
		})
	}
	if w.config.Emptied {
		w.after(w.upTo(faultsWithin), func() {
			if m := some(); m.up && !w.healed {
				m.crash()
				m.empty()
				w.restart(m)
			}
		})
	}
	for range w.config.Stops {
		w.after(w.upTo(faultsWithin), func() {
			if m := some(); m.up && !w.healed {
				m.stop()
				w.restart(m)
			}
		})
	}
	for range w.config.Pauses {
		w.after(w.upTo(faultsWithin), func() {
			if m := some(); m.up && !w.healed {
				m.pausedUntil = w.now.Add(w.upTo(500 * time.Millisecond))
				w.reached["pause"]++
				w.log("%s pauses", m.name)
			}
		})
	}
}

// restart starts m again after a while; once in a few times its start count is
// not agreed on in time.
func (w *world) restart(m *member) {
	w.after(w.upTo(400*time.Millisecond), func() {
		if !m.up {
			m.start(w.rng.IntN(4) > 0)
		}
	})
}
