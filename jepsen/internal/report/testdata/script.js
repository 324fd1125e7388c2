// Runs the script of a page on a document that is only as much of one as it needs, and
// holds what it does to what is expected. node script.js PAGE small|large|empty
"use strict";
const assert = require("node:assert");
const fs = require("node:fs");
const vm = require("node:vm");

const page = fs.readFileSync(process.argv[2], "utf8");
const scripts = [...page.matchAll(/<script([^>]*)>([\s\S]*?)<\/script>/g)];
assert.strictEqual(scripts.length, 2);

let texts = [], rects = 0, frames = [];
class Context {
	constructor() { return new Proxy(this, { get: (own, name) => own[name] ?? (() => {}), set: (own, name, v) => ((own[name] = v), true) }); }
	measureText(s) { return { width: s.length * 6 }; }
	fillText(s) { texts.push(s); }
	fillRect(x, y, w, h) {
		assert.ok([x, y, w, h].every(Number.isFinite), `fillRect(${x}, ${y}, ${w}, ${h})`);
		rects++;
	}
}
class Element {
	constructor(name, attributes = {}) {
		Object.assign(this, { name, attributes, children: [], listeners: {}, dataset: {}, style: {}, hidden: false, value: "", title: "", clientWidth: 1000, clientHeight: 100 });
		this.classes = new Set();
		this.classList = { add: (c) => this.classes.add(c), remove: (c) => this.classes.delete(c) };
	}
	getAttribute(a) { return this.attributes[a]; }
	getContext() { return (this.context ??= new Context()); }
	getBoundingClientRect() { return { left: 0, top: 0, width: this.clientWidth }; }
	addEventListener(type, f) { (this.listeners[type] ??= []).push(f); }
	removeEventListener(type, f) { this.listeners[type] = (this.listeners[type] || []).filter((g) => g !== f); }
	fire(type, e = {}) { for (const f of [...(this.listeners[type] || [])]) f({ type, target: this, button: 0, preventDefault() {}, ...e }); }
	append(...c) { this.children.push(...c); }
	replaceChildren(...c) { this.children = c; }
	scrollIntoView() {}
	setPointerCapture() {}
	set innerHTML(_) { throw new Error("innerHTML is set: what clients wrote may be in it"); }
	all() { return [this.textContent ?? "", ...this.children.map((c) => (typeof c === "string" ? c : c.all()))].join(" "); }
}
const elements = new Map();
for (const m of page.replace(scripts[0][0], "").replace(scripts[1][0], "").matchAll(/<([a-z]+)([^>]*\sid="([^"]+)"[^>]*)>/g)) {
	elements.set(m[3], new Element(m[1], { height: /height="(\d+)"/.exec(m[2])?.[1] }));
}
const data = new Element("script");
data.textContent = scripts[0][2];
elements.set("run", data);
const world = new Element("window");
const g = {
	document: { getElementById: (id) => elements.get(id) ?? null, createElement: (name) => new Element(name), documentElement: {}, querySelectorAll: () => [] },
	getComputedStyle: () => ({ getPropertyValue: () => " #123456" }), matchMedia: () => new Element("media"),
	requestAnimationFrame: (f) => frames.push(f), location: { hash: "" }, addEventListener: world.addEventListener.bind(world), devicePixelRatio: 2,
};
g.window = g;
vm.createContext(g);
vm.runInContext(scripts[1][2], g);

const id = (name) => elements.get(name);
const see = (expression) => vm.runInContext(expression, g);
function frame() {
	texts = [];
	rects = 0;
	const due = frames;
	frames = [];
	for (const f of due) f();
}
function go(hash) {
	g.location.hash = hash;
	world.fire("hashchange");
	frame();
}
frame();

const tests = {
	empty() { assert.ok(texts.includes("No operation matches."), texts.join()); },
	small() {
		assert.match(id("range").textContent, /5 operations/);
		assert.deepStrictEqual(see("[...lines.names]").join(), "client 0,client 1");
		assert.ok(texts.includes("partition-halves") && texts.includes("b, c"), "faults have their names and members: " + texts.join("|"));
		// An anomaly leads to its key and its operations.
		go("#anomaly=0");
		assert.strictEqual(id("key").value, "k1");
		assert.ok(id("anomaly-0").classes.has("chosen"));
		assert.ok(!id("details").hidden);
		assert.match(id("details").all(), /Operation 0: put k1/);
		assert.match(id("details").all(), /v0 was acknowledged/);
		assert.ok(see("view.from <= ops.begin[0] && view.to >= ops.end[4]"), "both operations are in view");
		// An operation of another key leaves the filter.
		go("#op=2");
		assert.match(id("details").all(), /unknown, at attempt 2/);
		assert.ok(id("details").all().includes("</script><script>alert(1)"), "what was written is shown as it is");
		assert.match(id("details").all(), /during\s+kill of b, c/);
		go("#op=3");
		assert.match(id("details").all(), /failed\s+error\s+not enough owners/);
		assert.ok(!/read\s+none/.test(id("details").all()), "a read without an answer did not find nothing");
		go("#op=4");
		assert.match(id("details").all(), /ok, after all faults[\s\S]*read\s+none/);
		// A click on a bar chooses it: the first put of client 0, from the whole run.
		id("key").value = "";
		id("key").fire("input");
		go("#op=0");
		see("look(0, 20000)");
		frame();
		const at = { clientX: 110 + (890 * 2000) / 20000, clientY: 5, pointerId: 1 };
		id("timeline").fire("keydown", { key: "Escape" });
		assert.ok(id("details").hidden);
		id("timeline").fire("pointerdown", at);
		id("timeline").fire("pointerup", at);
		assert.match(id("details").all(), /Operation 0/);
		// Rows by key; outcomes that are left out; what matches nothing.
		id("rows").value = "key";
		id("rows").fire("change");
		assert.strictEqual(see("lines.names[0]"), "k1", "a key with an anomaly comes first");
		id("unknown").checked = false;
		id("unknown").fire("change");
		frame();
		assert.match(id("range").textContent, /4 operations/);
		id("key").value = "no such key";
		id("key").fire("input");
		frame();
		assert.ok(texts.includes("No operation matches."));
		go("#key=k1");
		assert.match(id("range").textContent, /4 operations/);
		go("#fault=0");
		assert.ok(see("view.from < 15000 && view.to > 1500000"));
		// A drag in a chart zooms, one in the timeline moves.
		id("whole").fire("click");
		frame();
		const width = see("view.to - view.from");
		id("rate").fire("pointerdown", { clientX: 300, pointerId: 1 });
		id("rate").fire("pointermove", { clientX: 500 });
		id("rate").fire("pointerup", { clientX: 500 });
		assert.ok(see("view.to - view.from") < width / 3);
		const from = see("view.from");
		id("timeline").fire("pointerdown", { clientX: 300, pointerId: 1 });
		id("timeline").fire("pointermove", { clientX: 350 });
		id("timeline").fire("pointerup", { clientX: 350 });
		assert.ok(see("view.from") < from);
	},
	large() {
		assert.match(id("range").textContent, /100000 operations/);
		// What would be drawn onto the same pixels is left out, and it is fast.
		assert.ok(rects < 60000, rects + " rectangles");
		for (const rows of ["client", "member", "key"]) {
			id("rows").value = rows;
			id("rows").fire("change");
			const began = process.hrtime.bigint();
			frame();
			const ms = Number(process.hrtime.bigint() - began) / 1e6;
			console.log(`rows by ${rows}: ${rects} rectangles, ${ms.toFixed(0)} ms but for the canvas`);
		}
		assert.match(id("note").textContent, /1500 more rows/);
		go("#anomaly=499");
		assert.match(id("details").all(), /Operation 4990/);
		assert.ok(see("selection.includes(view.chosen) && rowOf(view.chosen) !== undefined"));
	},
};
tests[process.argv[3]]();
