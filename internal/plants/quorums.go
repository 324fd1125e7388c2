package plants

// quorums: who counts toward W and R.
var quorums = []Plant{
	{
		Name:    "coordinator-acknowledges-twice",
		Mistake: "the coordinator is sent its own write like the other owners, and acknowledgements are counted instead of slots: w=2 is met by one disk",
		Edits: []Edit{
			{
				File: "quorum/put.go",
				Old: `		case c.ID == p.view.Self:
		case c.Up:
`,
				New: `		case c.Up:
`,
			},
			{
				File: "quorum/share.go",
				Old: `synced || a == ackDurable
		}
		acks += one(any)
		primaries += one(primary)
		durable += one(synced)
`,
				New: `synced || a == ackDurable
			acks += one(any)
			durable += one(synced)
		}
		primaries += one(primary)
`,
			},
		},
		Simulated: &Simulated{Soon: true, Violations: []string{stale}},
	},
	{
		Name:    "strict-read-counts-a-fallback",
		Mistake: "fallbacks are asked by strict reads too, and answer what they happen to keep",
		Edits: []Edit{{
			File: "quorum/get.go",
			Old: `	if v.Quorums.Sloppy {
		fan.addFallbacks(v)
	}
`,
			New: `	fan.addFallbacks(v)
`,
		}},
		Simulated: &Simulated{Soon: true, Violations: []string{stale}},
	},
	{
		Name:    "strict-write-counts-a-hint",
		Mistake: "a hint that a fallback keeps counts toward the W of a strict write: reads of R owners may miss it",
		Edits: []Edit{{
			File: "quorum/share.go",
			Old:  "(a != ackMemory && a != ackDurable) || (s.fallback && !p.view.Quorums.Sloppy) {",
			New:  "(a != ackMemory && a != ackDurable) {",
		}},
		Simulated: &Simulated{Soon: true, Violations: []string{stale}},
	},
	{
		Name:    "refused-while-another-may-apply",
		Mistake: "an owner refuses a forwarded write, and the client is told that it is not applied, though one that was asked before has not answered",
		Edits: []Edit{{
			File: "quorum/forward.go",
			Old:  "maybe := f.maybe || f.fan.count(outstanding) > 0",
			New:  "maybe := f.maybe",
		}},
		Simulated: &Simulated{Soon: true, Violations: []string{"refused as certainly not applied"}},
	},
	{
		Name:    "epoch-not-checked",
		Mistake: "an owner takes requests that were made with a ring in which others owned the partition",
		Edits: []Edit{{
			File: "vnode/executor.go",
			Old: `		if env.Epoch.Compare(x.ring.OwnersChanged(env.Partition)) < 0 {
			tx.Fail(`,
			New: `		if env.Epoch.Generation < x.ring.OwnersChanged(env.Partition).Generation {
			tx.Fail(`,
		}},
		Simulated: &Simulated{Violations: []string{stale}},
	},
}
