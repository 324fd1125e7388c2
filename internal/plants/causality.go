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
		Simulated: &Simulated{Test: "TestRuns", Violations: []string{"which was acknowledged or read"}},
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
		Simulated: &Simulated{Test: "TestRuns", Violations: []string{"is back, which an acknowledged write had replaced"}},
	},
	{
		Name:    "context-of-another-key",
		Mistake: "a context that was read from one key is taken for another, where it covers writes that its client never saw",
		Edits: []Edit{{
			File: "causal/context.go",
			Old:  "if !hmac.Equal(k.appendMAC(nil, bucketType, bucket, key, body), tag) {",
			New:  "if len(tag) == 0 {",
		}},
		Simulated: &Simulated{Test: "TestRuns", Violations: []string{"which was acknowledged or read"}},
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
		Simulated: &Simulated{Test: "TestRuns", Violations: []string{"dot "}},
	},
	{
		Name:    "retry-of-a-write-counts-twice",
		Mistake: "the request id is not kept with the write, so that an attempt and its retry are siblings",
		Edits: []Edit{{
			File: "vnode/coordinate.go",
			Old:  "Time: clock, Request: w.Request,",
			New:  "Time: clock,",
		}},
		Simulated: &Simulated{Test: "TestRuns", Violations: []string{"a retry counts as a write of its own"}},
	},
}
