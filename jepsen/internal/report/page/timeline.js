// The timeline: a row per client, member or key, a bar per operation.
const rowLeast = 7, rowMost = 20, rowsHigh = 420;

const rowHeight = () => Math.max(rowLeast, Math.min(rowMost, Math.floor(rowsHigh / Math.max(1, lines.names.length))));

// faultLanes has a lane for each name of a fault, and more where one is on twice.
const faultLanes = (() => {
	const lanes = [];
	const at = run.faults.map((f) => {
		let lane = lanes.findIndex((l) => l.name === f.name && l.until <= f.begin);
		if (lane < 0) lane = lanes.push({ name: f.name, until: 0 }) - 1;
		lanes[lane].until = f.end;
		return lane;
	});
	return { lanes, at };
})();
const laneHeight = 18;

function drawFaults() {
	const s = surface("faults", Math.max(1, faultLanes.lanes.length * laneHeight + 4));
	faultLanes.lanes.forEach((l, n) => label(s, l.name, n * laneHeight + laneHeight / 2 + 2));
	run.faults.forEach((f, n) => {
		const from = Math.max(s.x(f.begin), gutter), to = Math.min(s.x(f.end), s.width);
		if (to < gutter || from > s.width) return;
		const y = faultLanes.at[n] * laneHeight + 2, width = Math.max(to - from, 2);
		s.g.globalAlpha = 0.35;
		s.g.fillStyle = colours.fault;
		s.g.fillRect(from, y + 1, width, laneHeight - 2);
		s.g.globalAlpha = 1;
		s.g.fillStyle = colours.ink;
		s.g.fillText(fit(s.g, onWhom(f) + (f.detail ? ": " + f.detail : ""), width - 6), from + 3, y + laneHeight / 2);
	});
}

function faultAt(canvas, event) {
	const t = timeAt(canvas, event.clientX);
	const lane = Math.floor((event.clientY - canvas.getBoundingClientRect().top - 2) / laneHeight);
	return run.faults.findIndex((f, n) => faultLanes.at[n] === lane && f.begin <= t && t <= f.end);
}

function drawTimeline() {
	const height = rowHeight();
	const s = surface("timeline", Math.max(lines.names.length, 1) * height + 2);
	lines.names.forEach((name, row) => {
		if (row % 2 === 1) {
			s.g.fillStyle = colours.row;
			s.g.fillRect(0, row * height, s.width, height);
		}
		if (height >= 11) label(s, name, row * height + height / 2);
	});
	shadeFaults(s);
	s.g.save();
	s.g.beginPath();
	s.g.rect(gutter, 0, s.width - gutter, s.height);
	s.g.clip();
	drawOps(s, height);
	s.g.restore();
	if (lines.names.length === 0) {
		s.g.fillStyle = colours.faint;
		s.g.fillText("No operation matches.", gutter + 6, s.height / 2);
	}
}

// drawOps leaves out what would be drawn onto the same pixels again.
function drawOps(s, height) {
	const until = new Map(), marked = [];
	s.g.globalAlpha = 0.85;
	inView((i) => {
		const row = rowOf(i);
		if (row === undefined) return;
		if (anomalous.has(i) || i === view.chosen) marked.push(i);
		const x = s.x(ops.begin[i]), end = Math.max(s.x(ops.end[i]), x + 1.5);
		const lane = row * 3 + ops.outcome[i];
		if ((until.get(lane) ?? -Infinity) >= end - 0.5) return;
		until.set(lane, end);
		s.g.fillStyle = colours[outcomes[ops.outcome[i]]];
		// Reads are half as high as writes.
		const high = isWrite(i) ? height - 2 : Math.max(2, (height - 2) / 2);
		const y = row * height + 1 + (isWrite(i) ? 0 : (height - 2 - high) / 2);
		s.g.fillRect(x, y, end - x, high);
		const left = Math.max(x, gutter), room = Math.min(end, s.width) - left - 6;
		if (room > 34 && height >= 13) {
			s.g.fillStyle = "#fff";
			s.g.fillText(fit(s.g, summary(i), room), left + 3, row * height + height / 2);
		}
	});
	s.g.globalAlpha = 1;
	for (const i of marked) {
		const x = s.x(ops.begin[i]), width = Math.max(s.x(ops.end[i]) - x, 3), y = rowOf(i) * height;
		s.g.lineWidth = i === view.chosen ? 2.5 : 1.5;
		s.g.strokeStyle = i === view.chosen ? colours.ink : colours.bad;
		s.g.strokeRect(x - 1, y + 0.5, width + 2, height - 1);
		if (anomalous.has(i)) {
			s.g.fillStyle = colours.bad;
			s.g.beginPath();
			s.g.moveTo(x - 4, y);
			s.g.lineTo(x + 4, y);
			s.g.lineTo(x, y + 6);
			s.g.fill();
		}
	}
}

// opAt is the operation at, or next to, a place on the screen; -1 if there is none.
function opAt(canvas, event) {
	const box = canvas.getBoundingClientRect();
	const row = Math.floor((event.clientY - box.top) / rowHeight());
	const t = timeAt(canvas, event.clientX), near = ((view.to - view.from) / (box.width - gutter)) * 5;
	let best = -1, least = Infinity;
	inView((i) => {
		if (rowOf(i) !== row) return;
		const away = Math.max(ops.begin[i] - t, t - ops.end[i], 0);
		// Of those that are there, the shortest; else the nearest.
		const rank = away > 0 ? away * 1e6 : ops.end[i] - ops.begin[i];
		if (away <= near && rank < least) {
			best = i;
			least = rank;
		}
	});
	return best;
}

function drawAxis() {
	const s = surface("axis");
	const step = [1, 2, 5].flatMap((m) => [...Array(10).keys()].map((d) => m * 10 ** d)).sort((a, b) => a - b)
		.find((v) => ((s.width - gutter) * v) / (view.to - view.from) > 70) || 1e9;
	s.g.fillStyle = colours.faint;
	for (let t = Math.max(0, Math.ceil(view.from / step) * step); t <= view.to; t += step) {
		s.g.fillRect(s.x(t), 0, 1, 5);
		const digits = Math.max(0, Math.ceil(6 - Math.log10(step)));
		s.g.fillText((t / 1e6).toFixed(digits) + " s", s.x(t) + 3, 12);
	}
}

function draw() {
	readColours();
	drawCharts();
	drawFaults();
	drawTimeline();
	drawAxis();
	element("range").textContent = moment(Math.max(view.from, 0)) + " to " + moment(view.to) + ", " + selection.length + " operations";
	element("note").textContent = lines.left > 0 ? lines.left + " more rows are not drawn: filter by key." : "";
}
