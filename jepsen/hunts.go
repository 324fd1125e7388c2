package main

// hunt is where a planted bug is looked for.
type hunt struct {
	plant             string
	workload, nemesis string
	// lacks, if not empty, is what is not there yet and would be needed. Workload and
	// nemesis are empty then.
	lacks string
}

// The set is looked at in the end, when all owners were compared: what one of them
// lacked meanwhile has come back from the others.
const (
	lacksStrict = "a workload that holds strict reads to what was acknowledged, while members are cut off or lose data"
	lacksMoves  = "a workload that holds strict reads to what was acknowledged, while slots move"
)

// hunts has an entry for every plant, in the order of their names.
var hunts = []hunt{
	{plant: "ack-before-fsync", workload: "set", nemesis: "disk-lose-unsynced,disk-slow"},
	{plant: "actor-kept-over-a-crash", workload: "set", nemesis: "disk-lose-unsynced,disk-slow"},
	{plant: "anti-entropy-one-way", workload: "set", nemesis: "partition-halves"},
	{plant: "context-of-another-key", lacks: "a workload that writes with another key's context"},
	{plant: "coordinator-acknowledges-twice", lacks: lacksStrict},
	{plant: "epoch-not-checked", lacks: lacksMoves},
	{plant: "fence-not-persisted", lacks: lacksMoves},
	{plant: "fenced-owner-takes-replicated-writes", lacks: lacksMoves},
	{plant: "hint-dropped-with-what-was-merged-into-it", workload: "set", nemesis: "flapping"},
	{plant: "hints-dropped-when-refused", workload: "set", nemesis: "partition-halves,kill"},
	{plant: "incomplete-owner-answers-reads", lacks: lacksStrict},
	{plant: "last-write-wins-by-wall-clock", workload: "set", nemesis: "partition-halves"},
	{plant: "moved-without-a-fence", lacks: lacksMoves},
	{plant: "new-owner-serves-unsettled", lacks: lacksMoves},
	{plant: "not-found-on-read-error", workload: "set", nemesis: "disk-error,kill"},
	{plant: "older-copy-of-the-directory-goes-on", workload: "set", nemesis: "restore-older-copy"},
	{plant: "read-answered-before-fsync", lacks: "a workload that holds later reads to what was read before"},
	{plant: "read-repair-writes-the-older", workload: "set", nemesis: "flapping"},
	{plant: "retry-of-a-write-counts-twice", lacks: "a workload that tries a write again with its request id"},
	{plant: "seen-kept-when-data-was-lost", lacks: "a nemesis that corrupts records on disk"},
	{plant: "settled-before-the-last-comparison", lacks: lacksMoves},
	{plant: "strict-read-counts-a-fallback", lacks: lacksStrict},
	{plant: "strict-write-counts-a-hint", lacks: lacksStrict},
	{plant: "tombstone-reaped-by-age", lacks: "a workload that deletes"},
	{plant: "union-merge-without-causality", lacks: "a workload that writes over what it read"},
}
