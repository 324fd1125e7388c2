package plants

// moves: a slot changes its owner, and no acknowledged write is lost on the way.
// The former owner does not forward what it takes meanwhile
// (docs/decisions/2026-11-28-no-forwarding.md): all rests on the fence, and on the
// comparison behind it.
var moves = []Plant{
	{
		Name:    "fence-not-persisted",
		Mistake: "the former owner of a slot is fenced in memory only: started again before it hears of the decision, it takes writes that nobody brings over",
		Edits: []Edit{{
			File: "vnode/standing.go",
			Old: `		v.standing.fence = m.Move
		tx.saveStanding(p, v)
`,
			New: `		v.standing.fence = m.Move
`,
		}},
	},
	{
		Name:    "fenced-owner-takes-replicated-writes",
		Mistake: "the fence ends what the former owner coordinates and reads, and not what other coordinators send it: it acknowledges writes after the last comparison",
		Edits: []Edit{{
			File: "vnode/standing.go",
			Old:  "		if env.From == x.config.Self && compares(env.Message) {",
			New:  "		if _, ok := env.Message.(replica.Store); ok || (env.From == x.config.Self && compares(env.Message)) {",
		}},
		Simulated: &Simulated{Violations: []string{stale}},
	},
	{
		Name:    "settled-before-the-last-comparison",
		Mistake: "the new owner settles as soon as the former one is fenced: what was written since the comparison before is missing",
		Edits: []Edit{{
			File: "handoff/move.go",
			Old: `replica.Fence{Move: m.config.Number}, func(answer replica.Message, _ *Effects) bool {
			_, ok := answer.(replica.FenceAnswer)
			m.stage = closing
			return ok
`,
			New: `replica.Fence{Move: m.config.Number}, func(answer replica.Message, fx *Effects) bool {
			_, ok := answer.(replica.FenceAnswer)
			m.settle(fx, x.sides[1].life)
			return ok
`,
		}},
		Simulated: &Simulated{Violations: []string{stale}},
	},
	{
		Name:    "moved-without-a-fence",
		Mistake: "a slot is handed over after a comparison, while its former owner goes on serving it",
		Edits: []Edit{{
			File: "vnode/standing.go",
			Old:  "return ok && v.standing.fence == m.Number && m.From == x.config.Self",
			New:  "return ok && v.standing.fence == m.Number && m.Rebuild",
		}},
		Simulated: &Simulated{Soon: true, Violations: []string{"lost some of what clients were told", stale}},
	},
	{
		Name:    "new-owner-serves-unsettled",
		Mistake: "a slot's owner by the ring answers whether it settled for that move or not",
		Edits: []Edit{{
			File: "vnode/standing.go",
			Old:  "return s.arrival == arrival && s.settled",
			New:  "return s.arrival <= arrival",
		}},
	},
}
