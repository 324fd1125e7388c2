// What is looked at. Everything that is drawn follows from it.
const view = {
	from: 0, to: Math.max(run.end, 1000),
	rows: "client",
	key: "", // a whole name, or a part of names
	shown: [true, true, true], // by outcome
	chosen: -1, // the place of an operation
};

// narrowest is the least time that is looked at.
const narrowest = 100;
const whole = () => ({ from: 0, to: Math.max(run.end, 1000) });

function look(from, to) {
	const all = whole(), margin = (all.to - all.from) * 0.02;
	let width = Math.min(Math.max(to - from, narrowest), all.to - all.from + 2 * margin);
	let begin = (from + to - width) / 2;
	begin = Math.min(Math.max(begin, all.from - margin), all.to + margin - width);
	view.from = begin;
	view.to = begin + width;
	drawSoon();
}

// zoom keeps the time at, and changes the width by a factor.
function zoom(factor, at = (view.from + view.to) / 2) {
	look(at - (at - view.from) * factor, at + (view.to - at) * factor);
}

function move(share) {
	const by = (view.to - view.from) * share;
	look(view.from + by, view.to + by);
}

// selection has the operations of the key and the outcomes that are looked at, by
// begin, whatever their time; it is made anew when those change.
let selection = [];
// lines are the timeline's rows: names, and the row of each operation in the selection.
let lines = { names: [], of: new Map(), left: 0 };

// linesMax bounds the rows that are drawn: browsers have no higher canvases.
const linesMax = 1500;

function select() {
	const wanted = view.key.trim();
	const exact = keys.includes(wanted);
	const matches = new Map(); // by place of the key
	const matching = (key) => {
		if (wanted === "") return true;
		if (!matches.has(key)) matches.set(key, exact ? text(key) === wanted : text(key).includes(wanted));
		return matches.get(key);
	};
	selection = [];
	for (let i = 0; i < count; i++) {
		if (view.shown[ops.outcome[i]] && matching(ops.key[i])) selection.push(i);
	}
	const column = ops[view.rows] || [];
	const name = (v) => (view.rows === "client" ? clientName(v) : text(v) || "(none)");
	// Rows with anomalies come first, then by name.
	const bad = new Map();
	for (const i of selection) {
		if (!bad.has(column[i])) bad.set(column[i], false);
		if (anomalous.has(i)) bad.set(column[i], true);
	}
	const order = [...bad.keys()].sort((a, b) => {
		if (view.rows === "client") return a - b;
		if (view.rows === "key" && bad.get(a) !== bad.get(b)) return bad.get(a) ? -1 : 1;
		return name(a).localeCompare(name(b), undefined, { numeric: true });
	});
	lines = { names: order.slice(0, linesMax).map(name), of: new Map(), left: Math.max(0, order.length - linesMax) };
	order.slice(0, linesMax).forEach((v, row) => lines.of.set(v, row));
	drawSoon();
}

const rowOf = (i) => lines.of.get(ops[view.rows][i]);

// inView calls do with the places, in the selection, of what goes on in the time that
// is looked at.
function inView(each) {
	const least = firstAfter(view.from - longest);
	let low = 0, high = selection.length;
	while (low < high) {
		const mid = (low + high) >> 1;
		if (selection[mid] < least) low = mid + 1;
		else high = mid;
	}
	for (let n = low; n < selection.length; n++) {
		const i = selection[n];
		if (ops.begin[i] > view.to) break;
		if (ops.end[i] >= view.from) each(i);
	}
}

let drawing = false;
function drawSoon() {
	if (drawing) return;
	drawing = true;
	requestAnimationFrame(() => {
		drawing = false;
		draw();
	});
}
