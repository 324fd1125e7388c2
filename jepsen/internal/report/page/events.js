// What a person does. The part of the address behind # says what is looked at, so that
// it can be passed on.
function setKey(key) {
	view.key = key;
	element("key").value = key;
	select();
}

// lookAt shows a time with some room around it.
function lookAt(from, to) {
	const room = Math.max((to - from) * 0.25, 5000);
	look(from - room, to + room);
}

function reveal() {
	element("history").scrollIntoView({ block: "start" });
	const row = view.chosen >= 0 ? rowOf(view.chosen) : undefined;
	if (row !== undefined) element("scroll").scrollTop = Math.max(0, (row - 5) * rowHeight());
}

// jumpTo goes to an operation: to its key, if it is not among those that are looked at.
function jumpTo(i) {
	view.shown[ops.outcome[i]] = true;
	element(outcomes[ops.outcome[i]]).checked = true;
	choose(i);
	select();
	if (!selection.includes(i) || rowOf(i) === undefined) setKey(text(ops.key[i]));
	if (ops.end[i] < view.from || ops.begin[i] > view.to) lookAt(ops.begin[i], ops.end[i]);
}

function jumpToAnomaly(n) {
	const a = run.anomalies[n];
	document.querySelectorAll("#anomalies li.chosen").forEach((l) => l.classList.remove("chosen"));
	element("anomaly-" + n)?.classList.add("chosen");
	const named = (a.ops || []).map((id) => placeOfId.get(id)).filter((i) => i !== undefined);
	setKey(a.key || "");
	if (named.length === 0) return;
	jumpTo(named[0]);
	lookAt(Math.min(...named.map((i) => ops.begin[i])), Math.max(...named.map((i) => ops.end[i])));
}

function follow() {
	const cut = location.hash.indexOf("=");
	if (cut < 0) return;
	const what = location.hash.slice(1, cut), value = location.hash.slice(cut + 1), n = Number(value);
	if (what === "op" && placeOfId.has(n)) jumpTo(placeOfId.get(n));
	else if (what === "anomaly" && run.anomalies[n]) jumpToAnomaly(n);
	else if (what === "key-of-anomaly" && run.anomalies[n]) setKey(run.anomalies[n].key);
	else if (what === "key") setKey(decodeURIComponent(value));
	else if (what === "fault" && run.faults[n]) lookAt(run.faults[n].begin, run.faults[n].end);
	else return;
	reveal();
}

// drag calls moved with the times at which a drag began and is, and done once it ends;
// click, if nothing was moved.
function drag(canvas, moved, done, click) {
	canvas.addEventListener("pointerdown", (down) => {
		if (down.button !== 0) return;
		const from = view.from, to = view.to, began = down.clientX;
		let dragged = false;
		canvas.setPointerCapture(down.pointerId);
		const onMove = (e) => {
			dragged = dragged || Math.abs(e.clientX - began) > 3;
			if (dragged) moved(began, e.clientX, from, to);
		};
		const onUp = (e) => {
			canvas.removeEventListener("pointermove", onMove);
			canvas.removeEventListener("pointerup", onUp);
			canvas.removeEventListener("pointercancel", onUp);
			if (e.type === "pointercancel") draw();
			else if (dragged) done(began, e.clientX);
			else click(e);
		};
		canvas.addEventListener("pointermove", onMove);
		canvas.addEventListener("pointerup", onUp);
		canvas.addEventListener("pointercancel", onUp);
	});
}

function listen() {
	element("rows").addEventListener("change", (e) => {
		view.rows = e.target.value;
		select();
	});
	element("key").addEventListener("input", (e) => setKey(e.target.value));
	element("controls").addEventListener("submit", (e) => e.preventDefault());
	outcomes.forEach((name, o) => element(name).addEventListener("change", (e) => {
		view.shown[o] = e.target.checked;
		select();
	}));
	const all = () => look(whole().from, whole().to);
	element("in").addEventListener("click", () => zoom(0.5));
	element("out").addEventListener("click", () => zoom(2));
	element("whole").addEventListener("click", all);

	const timeline = element("timeline");
	drag(timeline, (began, now, from, to) => {
		timeline.classList.add("moving");
		const by = ((began - now) / (timeline.clientWidth - gutter)) * (to - from);
		look(from + by, to + by);
	}, () => timeline.classList.remove("moving"), (e) => choose(opAt(timeline, e)));
	timeline.addEventListener("dblclick", (e) => zoom(0.25, timeAt(timeline, e.clientX)));
	timeline.addEventListener("wheel", (e) => {
		if (!e.ctrlKey && !e.metaKey) return;
		e.preventDefault();
		zoom(1.0015 ** e.deltaY, timeAt(timeline, e.clientX));
	}, { passive: false });
	timeline.addEventListener("keydown", (e) => {
		const does = { ArrowLeft: () => move(-0.2), ArrowRight: () => move(0.2), "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: all, Escape: () => choose(-1) }[e.key];
		if (!does) return;
		e.preventDefault();
		does();
	});
	for (const id of ["rate", "latency"]) {
		const canvas = element(id);
		drag(canvas, (began, now) => {
			draw();
			const left = canvas.getBoundingClientRect().left, g = canvas.getContext("2d");
			g.globalAlpha = 0.2;
			g.fillStyle = colours.ink;
			g.fillRect(Math.min(began, now) - left, 0, Math.abs(now - began), canvas.clientHeight);
			g.globalAlpha = 1;
		}, (began, now) => {
			const a = timeAt(canvas, began), b = timeAt(canvas, now);
			look(Math.min(a, b), Math.max(a, b));
		}, () => {});
	}
	const faults = element("faults");
	faults.addEventListener("mousemove", (e) => {
		const f = run.faults[faultAt(faults, e)];
		faults.title = f ? f.name + " of " + onWhom(f) + ", " + moment(f.begin) + " to " + moment(f.end) + (f.detail ? ": " + f.detail : "") : "";
	});
	timeline.addEventListener("mousemove", (e) => {
		const i = opAt(timeline, e);
		timeline.title = i < 0 ? "" : "operation " + ops.id[i] + ", " + outcomes[ops.outcome[i]] + ", " + duration(ops.end[i] - ops.begin[i]) + "\n" + text(ops.key[i]) + ": " + summary(i).slice(0, 200);
	});
	window.addEventListener("resize", drawSoon);
	window.addEventListener("hashchange", follow);
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawSoon);
}

// keysOffered bounds the names that the key's field offers.
const keysOffered = 2000;
for (const key of keys.slice(0, keysOffered)) {
	const option = node("option");
	option.value = key;
	element("keys").append(option);
}
listen();
select();
follow();
