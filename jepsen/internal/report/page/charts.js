// The charts above the timeline, and what all canvases share.
const gutter = 110; // left of the time axis, for names
const element = (id) => document.getElementById(id);

function colour(name) {
	return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

let colours = {};
function readColours() {
	for (const name of ["page", "ink", "faint", "line", "row", "ok", "failed", "unknown", "bad", "fault", "p99"]) colours[name] = colour(name);
}

// surface makes a canvas as large as it is shown, in device pixels, and empties it.
function surface(id, height) {
	const canvas = element(id);
	const width = Math.max(canvas.clientWidth, gutter + 50);
	height = height || Number(canvas.dataset.height || (canvas.dataset.height = canvas.getAttribute("height")));
	// Above this many pixels browsers give up a canvas without a word.
	const scale = Math.min(window.devicePixelRatio || 1, 16000 / height);
	canvas.width = Math.round(width * scale);
	canvas.height = Math.round(height * scale);
	canvas.style.height = height + "px";
	const g = canvas.getContext("2d");
	g.setTransform(scale, 0, 0, scale, 0, 0);
	g.font = "11px system-ui, sans-serif";
	g.textBaseline = "middle";
	return { g, width, height, x: (t) => gutter + ((t - view.from) / (view.to - view.from)) * (width - gutter) };
}

// timeAt is the time at a place on the screen.
function timeAt(canvas, clientX) {
	const box = canvas.getBoundingClientRect();
	return view.from + ((clientX - box.left - gutter) / (box.width - gutter)) * (view.to - view.from);
}

function label(s, name, y) {
	s.g.fillStyle = colours.faint;
	s.g.textAlign = "right";
	s.g.fillText(fit(s.g, name, gutter - 10), gutter - 6, y);
	s.g.textAlign = "left";
}

// fit shortens a name to what has room.
function fit(g, name, room) {
	if (g.measureText(name).width <= room) return name;
	let low = 0, high = name.length;
	while (low < high) {
		const mid = (low + high + 1) >> 1;
		if (g.measureText(name.slice(0, mid) + "…").width <= room) low = mid;
		else high = mid - 1;
	}
	return low === 0 ? "" : name.slice(0, low) + "…";
}

function shadeFaults(s) {
	s.g.fillStyle = colours.fault;
	s.g.globalAlpha = 0.1;
	for (const f of run.faults) {
		const from = Math.max(s.x(f.begin), gutter), to = Math.min(s.x(f.end), s.width);
		if (to > from) s.g.fillRect(from, 0, to - from, s.height);
	}
	s.g.globalAlpha = 1;
}

// slots cuts the time that is looked at into parts of some pixels, and collects what is
// known of the operations that end in each.
const slotPixels = 4;
function slots(s) {
	const n = Math.max(1, Math.floor((s.width - gutter) / slotPixels));
	const out = Array.from({ length: n }, () => ({ ended: [0, 0, 0], took: [] }));
	inView((i) => {
		if (ops.end[i] > view.to || ops.end[i] < view.from) return;
		const at = Math.min(n - 1, Math.floor(((ops.end[i] - view.from) / (view.to - view.from)) * n));
		out[at].ended[ops.outcome[i]]++;
		if (ops.outcome[i] === 0) out[at].took.push(ops.end[i] - ops.begin[i]);
	});
	return out;
}

function drawRate(parts) {
	const s = surface("rate");
	shadeFaults(s);
	const most = Math.max(1, ...parts.map((p) => p.ended[0] + p.ended[1] + p.ended[2]));
	parts.forEach((p, n) => {
		let y = s.height;
		for (const o of [0, 1, 2]) {
			const h = (p.ended[o] / most) * (s.height - 14);
			s.g.fillStyle = colours[outcomes[o]];
			s.g.fillRect(gutter + n * slotPixels, y - h, slotPixels - 0.5, h);
			y -= h;
		}
	});
	label(s, "ended", s.height / 2 - 7);
	const rate = most / ((view.to - view.from) / parts.length / 1e6);
	label(s, "up to " + rate.toFixed(rate < 10 ? 1 : 0) + "/s", s.height / 2 + 8);
}

// drawLatency has the time on a scale of powers of ten: p50, p99 and each slot's
// slowest.
function drawLatency(parts) {
	const s = surface("latency");
	shadeFaults(s);
	let least = Infinity, most = 0;
	for (const p of parts) {
		p.took.sort((a, b) => a - b);
		if (p.took.length > 0) {
			least = Math.min(least, p.took[0]);
			most = Math.max(most, p.took[p.took.length - 1]);
		}
	}
	label(s, "latency", s.height / 2);
	if (most === 0) return;
	const low = Math.floor(Math.log10(Math.max(least, 1))), high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(most, 1))));
	const y = (us) => s.height - 4 - ((Math.log10(Math.max(us, 1)) - low) / (high - low)) * (s.height - 12);
	for (let d = low; d <= high; d++) {
		s.g.fillStyle = colours.line;
		s.g.fillRect(gutter, y(10 ** d), s.width - gutter, 0.5);
	}
	const point = (share, name, size) => {
		s.g.fillStyle = colours[name];
		parts.forEach((p, n) => {
			if (p.took.length === 0) return;
			const v = p.took[Math.floor(share * (p.took.length - 1))];
			s.g.fillRect(gutter + n * slotPixels, y(v) - size / 2, slotPixels, size);
		});
	};
	point(1, "failed", 1.5);
	point(0.99, "p99", 2);
	point(0.5, "ok", 2.5);
	s.g.fillStyle = colours.faint;
	for (let d = low; d <= high; d++) s.g.fillText(duration(10 ** d), gutter + 4, Math.max(6, y(10 ** d) - 6));
	s.g.textAlign = "right";
	let x = s.width - 6;
	for (const [name, c] of [["max", "failed"], ["p99", "p99"], ["p50", "ok"]]) {
		s.g.fillStyle = colours[c];
		s.g.fillText(name, x, 8);
		x -= s.g.measureText(name).width + 10;
	}
	s.g.textAlign = "left";
}

function drawCharts() {
	const width = Math.max(element("rate").clientWidth, gutter + 50);
	const parts = slots({ width });
	drawRate(parts);
	drawLatency(parts);
}
