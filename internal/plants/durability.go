package plants

// durability: what was answered survives a crash, and a disk that fails.
var durability = []Plant{
	{
		Name:    "ack-before-fsync",
		Mistake: "owners acknowledge a write when it is in the batch, not when the batch is synced: power loss at W owners loses it",
		Source:  "NATS JetStream's default sync_interval of two minutes; Cassandra's commitlog_sync: periodic",
		Edits: []Edit{
			{
				File: "vnode/coordinate.go",
				Old: `	tx.AnswerCovered(r.key, replica.Committed{})
}
`,
				New: `	tx.AnswerNow(replica.Committed{})
}
`,
			},
			{
				File: "vnode/kv.go",
				Old:  "tx.AnswerCovered(dataKey(env.Partition, m.Key), replica.StoreAnswer{Durable: true, Changed: changed})",
				New:  "tx.AnswerNow(replica.StoreAnswer{Durable: true, Changed: changed})",
			},
		},
		// Acknowledged with w=1 by an owner that then lost it: the value, or that there
		// ever was one, is missing in the end.
		Simulated: &Simulated{Soon: true, Violations: []string{"which was acknowledged or read", "lost some of what clients were told"}},
	},
	{
		Name:    "read-answered-before-fsync",
		Mistake: "a read answers what is in a batch that is not synced yet, and may be lost",
		Edits: []Edit{{
			File: "vnode/kv.go",
			Old:  "tx.AnswerCovered(r.key, answer)",
			New:  "tx.AnswerNow(answer)",
		}},
	},
	{
		Name:    "not-found-on-read-error",
		Mistake: "a record that can't be read, or is corrupt, counts as one that is not there",
		Edits: []Edit{{
			File: "vnode/record.go",
			Old: `	if err != nil {
		return r, err
	}
	r.raw = raw
	if r.object, err = causal.DecodeObject(raw); err != nil {
		tx.damaged(p, k, err)
	}
	return r, err
`,
			New: `	if err != nil {
		return r, nil
	}
	r.raw = raw
	if r.object, err = causal.DecodeObject(raw); err != nil {
		tx.damaged(p, k, err)
		r = record{key: r.key}
	}
	return r, nil
`,
		}},
		Simulated: &Simulated{Soon: true, Violations: []string{"the hash tree of partition"}},
	},
	{
		Name:    "seen-kept-when-data-was-lost",
		Mistake: "a vnode that lost a record still says that it has seen its writes: the other owners' copies count as deleted",
		Source:  "riak_kv#679 is of the same kind: causality outlives the data",
		Edits: []Edit{{
			File: "vnode/seen.go",
			Old: `	v.life, v.session = t.x.config.Random(), session{}
	t.forgetSeen(p, v, false)
`,
			New: `	v.life, v.session = t.x.config.Random(), session{}
`,
		}},
	},
	{
		Name:    "seen-kept-when-a-slot-was-dropped",
		Mistake: "a vnode that gave up what it held still says that it has seen its writes: when it gets a slot again, what comes counts as deleted",
		Edits: []Edit{{
			File: "vnode/standing.go",
			Old:  "	t.forgetSeen(p, v, false)\n}",
			New:  "}",
		}},
		Simulated: &Simulated{Soon: true, Violations: []string{stale}},
	},
	{
		Name:    "incomplete-owner-answers-reads",
		Mistake: "an owner whose data were lost, or that is still to get them, answers reads with what it has",
		Source:  "Cassandra with auto_bootstrap: false on a node that is new or was emptied",
		Edits: []Edit{{
			File: "vnode/kv.go",
			Old: `	if !tx.isWhole(env.Partition) {
		return
	}
	seen, err := tx.seenBy(env.Partition)
`,
			New: `	seen, err := tx.seenBy(env.Partition)
`,
		}},
		Simulated: &Simulated{Violations: []string{stale}},
	},
	{
		Name:    "older-copy-of-the-directory-goes-on",
		Mistake: "a member whose data directory is an older copy takes over the count of starts that it hears of, and serves with what it had then",
		Edits: []Edit{{
			File: "cluster/start.go",
			Old: `	return errOlderCopy(d.Count, last)
`,
			New: `	n.starts.Store(last)
	return n.config.Dir.setStarts(starts{Count: last})
`,
		}},
	},
}
