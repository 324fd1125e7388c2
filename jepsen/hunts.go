package main

// hunt is where a planted bug is looked for.
type hunt struct {
	plant             string
	workload, nemesis string
	// lacks, if not empty, is what is not there yet and would be needed. Workload and
	// nemesis are empty then.
	lacks string
}

// hunts has an entry for every plant, in the order of their names. The workload set is
// looked at in the end, when all owners were compared, and what one of them lacked has come
// back: bugs of quorums and moves are looked for by what reads and owners say meanwhile.
// Those of moves take many writes: --rate 1500 --clients 20.
var hunts = []hunt{
	{plant: "ack-before-fsync", workload: "set", nemesis: "disk-lose-unsynced,disk-slow"},
	{plant: "actor-kept-over-a-crash", workload: "set", nemesis: "disk-lose-unsynced,disk-slow"},
	{plant: "anti-entropy-one-way", workload: "set", nemesis: "partition-halves"},
	{plant: "context-of-a-put-covers-what-was-not-read", workload: "replicas", nemesis: "partition-halves"},
	{plant: "context-of-another-key", workload: "register", nemesis: "kill-one"},
	{plant: "coordinator-acknowledges-twice", workload: "register", nemesis: "partition-one"},
	{plant: "deletion-forgotten-unseen", workload: "deletes", nemesis: "partition-halves,kill"},
	{plant: "epoch-not-checked", workload: "keyspace", nemesis: "membership"},
	{plant: "fence-not-persisted", workload: "keyspace", nemesis: "membership,kill"},
	{plant: "fenced-owner-takes-replicated-writes", workload: "keyspace", nemesis: "membership"},
	{plant: "hint-dropped-with-what-was-merged-into-it", workload: "set", nemesis: "flapping"},
	{plant: "hints-dropped-when-refused", workload: "set", nemesis: "partition-halves,kill"},
	{plant: "incomplete-owner-answers-reads", workload: "keyspace", nemesis: "wipe-store"},
	{plant: "last-write-wins-by-wall-clock", workload: "set", nemesis: "partition-halves"},
	{plant: "moved-without-a-fence", workload: "keyspace", nemesis: "membership"},
	{plant: "new-owner-serves-unsettled", workload: "keyspace", nemesis: "membership"},
	{plant: "not-found-on-read-error", workload: "set", nemesis: "disk-error,kill"},
	{plant: "older-copy-of-the-directory-goes-on", workload: "set", nemesis: "restore-older-copy"},
	{plant: "read-answered-before-fsync", workload: "sessions", nemesis: "disk-lose-unsynced,disk-slow"},
	{plant: "read-repair-writes-the-older", workload: "set", nemesis: "flapping"},
	{plant: "refused-while-another-may-apply", workload: "register", nemesis: "pause,flapping"},
	{plant: "retry-of-a-write-counts-twice", workload: "register", nemesis: "flapping,loss"},
	{plant: "seen-kept-when-a-slot-was-dropped", workload: "keyspace", nemesis: "membership"},
	{plant: "seen-kept-when-data-was-lost", lacks: "a nemesis that corrupts records on disk"},
	{plant: "settled-before-the-last-comparison", workload: "keyspace", nemesis: "membership"},
	{plant: "strict-read-counts-a-fallback", workload: "register", nemesis: "partition-halves"},
	{plant: "strict-write-counts-a-hint", workload: "register", nemesis: "partition-halves"},
	{plant: "tombstone-reaped-by-age", workload: "deletes", nemesis: "partition-halves,kill"},
	{plant: "union-merge-without-causality", workload: "register", nemesis: "partition-halves"},
}
