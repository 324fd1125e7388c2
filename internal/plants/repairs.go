package plants

// repairs: hints, read repair, anti-entropy, and forgetting what was deleted.
var repairs = []Plant{
	{
		Name:    "hints-dropped-when-refused",
		Mistake: "hints that their owner answered with an error are dropped like those that it took",
		Edits: []Edit{{
			File: "handoff/sender.go",
			Old: `				s.failed(wrong(m), fx)
				return
			}
			s.changed += a.Changed
`,
			New: `				s.failed(wrong(m), fx)
			}
			s.changed += a.Changed
`,
		}},
	},
	{
		Name:    "hint-dropped-with-what-was-merged-into-it",
		Mistake: "a hint is dropped once it was delivered, though a newer write was merged into it meanwhile",
		Edits: []Edit{
			{File: "vnode/hint.go", Old: "for i, k := range m.Keys {", New: "for _, k := range m.Keys {"},
			{File: "vnode/hint.go", Old: "if size == 0 || o.Digest() != m.Versions[i] {", New: "if size == 0 {"},
		},
	},
	{
		Name:    "read-repair-writes-the-older",
		Mistake: "what arrives is stored as it came unless both sides have something of their own: an older object, of a read repair or a hint, replaces a newer",
		Edits: []Edit{{
			File: "vnode/kv.go",
			Old: `	if outcome == causal.Unchanged {
		return false, nil
	}
	if outcome != causal.Replaced {
		// Something older or nothing is replaced by the bytes as they came.
`,
			New: `	if outcome == causal.Merged {
		// Something older or nothing is replaced by the bytes as they came.
`,
		}},
		Simulated: &Simulated{Soon: true, Violations: []string{"which was acknowledged or read", "the hash tree of partition", stale}},
	},
	{
		Name:    "anti-entropy-one-way",
		Mistake: "a comparison gives the other owner what it lacks, and not the one that runs it; both are told that they have everything",
		Edits: []Edit{{
			File: "handoff/exchange.go",
			Old: `		if toA {
			c.fetches[0].add(k, vouched(sides[0], sides[1]))
		}
`,
		}},
		Simulated: &Simulated{Soon: true, Violations: []string{"which was acknowledged or read", stale}},
	},
	{
		Name:    "deletion-forgotten-unseen",
		Mistake: "what is left of a deletion leaves the tree, and the disk, though the vnode has not seen all that it deleted",
		Edits: []Edit{{
			File: "causal/receive.go",
			Old:  "return !o.Live() && seen.Dominates(o.Context)",
			New:  "return !o.Live()",
		}},
	},
	{
		Name:    "tombstone-reaped-by-age",
		Mistake: "what is left of a deletion is removed when it is a second old, whoever has seen it: an owner that was away brings the value back",
		Source:  "Cassandra's gc_grace_seconds, and the zombies that its documentation warns of",
		Edits: []Edit{
			{
				File: "vnode/reap.go",
				Old: `import (
	"github.com/ringd/ringd/causal"
`,
				New: `import (
	"time"

	"github.com/ringd/ringd/causal"
`,
			},
			{
				File: "vnode/reap.go",
				Old: `	seen := v.own.all()
	if !r.object.Forgettable(seen) {
`,
				New: `	if len(r.object.Siblings) > 0 && tx.now.Sub(r.object.Siblings[0].Time.Time()) < time.Second {
`,
			},
			{
				File: "vnode/reap.go",
				Old:  "if v.incomplete || (!v.standing.copy && !tx.x.allHaveSeen(p, class, v, r.object.Context)) {",
				New:  "if v.incomplete {",
			},
		},
		Simulated: &Simulated{Violations: []string{"lost some of what clients were told", "is back"}},
	},
}
