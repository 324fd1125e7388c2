"use strict";
// The run as the page has it: operations are columns, in the order in which they
// began; strings are places in one list; times are microseconds since the run began.
const run = JSON.parse(document.getElementById("run").textContent);
const ops = run.ops;
const count = (ops.begin || []).length;
const outcomes = ["ok", "failed", "unknown"];
const text = (place) => run.strings[place];

// longest bounds how far before a time an operation may begin that goes on at it.
let longest = 0;
for (let i = 0; i < count; i++) longest = Math.max(longest, ops.end[i] - ops.begin[i]);

const placeOfId = new Map();
for (let i = 0; i < count; i++) placeOfId.set(ops.id[i], i);

// anomalous has the anomalies that name an operation, by the operation's place.
const anomalous = new Map();
run.anomalies.forEach((a, n) => {
	for (const id of a.ops || []) {
		const i = placeOfId.get(id);
		if (i === undefined) continue;
		if (!anomalous.has(i)) anomalous.set(i, []);
		anomalous.get(i).push(n);
	}
});

const keys = [...new Set(ops.key || [])].filter((k) => k !== 0).map(text).sort();

// firstAfter is the place of the first operation that begins at t or later.
function firstAfter(t) {
	let low = 0, high = count;
	while (low < high) {
		const mid = (low + high) >> 1;
		if (ops.begin[mid] < t) low = mid + 1;
		else high = mid;
	}
	return low;
}

const isWrite = (i) => (ops.flags[i] & 1) !== 0;
const isFinal = (i) => (ops.flags[i] & 2) !== 0;
// The harness itself, which has a last look, is a client below 0.
const clientName = (n) => (n < 0 ? "the harness" : "client " + n);
const onWhom = (fault) => (fault.members || []).join(", ") || "all";

function duration(us) {
	if (us >= 1e6) return (us / 1e6).toFixed(us >= 1e7 ? 1 : 2) + " s";
	if (us >= 1e3) return (us / 1e3).toFixed(us >= 1e4 ? 0 : 1) + " ms";
	return us + " µs";
}
const moment = (us) => (us / 1e6).toFixed(3) + " s";
