package plants

// causality: which writes replace which.
var causality = []Plant{
	{
		Name:    "last-write-wins-by-wall-clock",
		Mistake: "an owner keeps of concurrent siblings the one with the newest time: an acknowledged write is gone that nobody replaced",
		Source:  "Cassandra, and Riak without allow_mult: Kingsbury, Call me maybe, 2013",
		Edits: []Edit{{
			File: "vnode/kv.go",
			Old: `	return true, r.save(tx, p, k, after, encoded, kv.InlineBytes)
`,
			New: `	if len(after.Siblings) > 1 {
		after, encoded = causal.Fold(after, causal.FoldOptions{LastWriteWins: true}), nil
	}
	return true, r.save(tx, p, k, after, encoded, kv.InlineBytes)
`,
		}},
		Simulated: &Simulated{Soon: true, Violations: []string{"which was acknowledged or read", stale}},
	},
	{
		Name:    "union-merge-without-causality",
		Mistake: "merging keeps every sibling that either side has: what was overwritten or deleted comes back",
		Source:  "the shopping cart in DeCandia et al., Dynamo, SOSP 2007, section 4.4: deleted items can resurface",
		Edits: []Edit{
			{
				File: "causal/merge.go",
				Old: `		case y == nil && b.Context.Covers(x.Dot):
			lostA++
`,
			},
			{
				File: "causal/merge.go",
				Old: `		case x == nil && a.Context.Covers(y.Dot):
			lostB++
`,
			},
			{
				File: "causal/merge.go",
				Old: `		case y == nil && b.Context.Covers(x.Dot), x == nil && a.Context.Covers(y.Dot):
`,
			},
		},
		Simulated: &Simulated{Soon: true, Violations: []string{"is back, which an acknowledged write had replaced", ", which replaced it"}},
	},
	{
		Name:    "context-of-another-key",
		Mistake: "a context that was read from one key is taken for another, where it covers writes that its client never saw",
		Edits: []Edit{{
			File: "causal/context.go",
			Old:  "if !hmac.Equal(k.appendMAC(nil, bucketType, bucket, key, body), tag) {",
			New:  "if len(tag) == 0 {",
		}},
		Simulated: &Simulated{Soon: true, Violations: []string{"which was acknowledged or read", stale}},
	},
	{
		Name:    "context-of-a-put-covers-what-was-not-read",
		Mistake: "the context that a put gives covers all that the key has: who chains puts by it replaces siblings that it never read",
		Edits: []Edit{{
			File: "causal/context.go",
			Old:  "	if !slices.ContainsFunc(o.Siblings, func(s Sibling) bool { return !s.Tombstone && !mine(s) && !c.Covers(s.Dot) }) {\n",
			New:  "	if slices.ContainsFunc(o.Siblings, mine) {\n",
		}},
		Simulated: &Simulated{Soon: true, Violations: []string{stale}},
	},
	{
		Name:    "actor-kept-over-a-crash",
		Mistake: "a vnode goes on with its actor after a stop that was not clean: the counter begins below dots that were sent out and not synced, and gives them again",
		Source:  "riak_kv#679",
		Edits: []Edit{{
			File: "vnode/actor.go",
			Old:  "if rec.clean && t.x.config.Proven && rec.startCount+1 == t.x.config.StartCount {",
			New:  "if rec.actor != 0 {",
		}},
		Simulated: &Simulated{Soon: true, Violations: []string{"names two writes"}},
	},
	{
		Name:    "retry-of-a-write-counts-twice",
		Mistake: "the request id is not kept with the write, so that an attempt and its retry are siblings",
		Edits: []Edit{{
			File: "vnode/coordinate.go",
			Old:  "Time: clock, Request: w.Request,",
			New:  "Time: clock,",
		}},
		Simulated: &Simulated{Soon: true, Violations: []string{"a retry counts as a write of its own"}},
	},
}
