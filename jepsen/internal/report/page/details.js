// All of one operation. What clients wrote is text here, never markup.
function summary(i) {
	const many = (ops.many || {})[i];
	if (isWrite(i)) return text(ops.kind[i]) + " " + text(ops.value[i]);
	if (ops.outcome[i] !== 0) return text(ops.kind[i]) + " without an answer";
	return text(ops.kind[i]) + " " + (many && many.valuesAll ? many.values.map(text).join(" ") : "nothing");
}

function node(name, content) {
	const n = document.createElement(name);
	if (content !== undefined) n.textContent = content;
	return n;
}

function link(content, hash) {
	const a = node("a", content);
	a.href = "#" + hash;
	return a;
}

// listed is the values that the page has, and how many it leaves out.
function listed(places, all) {
	if (!all) return "none";
	const shown = (places || []).map(text).join("\n");
	return all > (places || []).length ? shown + "\nand " + (all - places.length) + " more, which history.jsonl has" : shown;
}

// beside is the operation of the same key, or client, before or after; -1 if there is
// none.
function beside(i, column, step) {
	for (let j = i + step; j >= 0 && j < count; j += step) {
		if (ops[column][j] === ops[column][i]) return j;
	}
	return -1;
}

function showDetails() {
	const box = element("details"), i = view.chosen;
	box.replaceChildren();
	box.hidden = i < 0;
	if (i < 0) return;
	box.append(node("h3", "Operation " + ops.id[i] + ": " + text(ops.kind[i]) + " " + text(ops.key[i])));
	const nav = node("nav");
	for (const [what, column, step] of [["before it on the key", "key", -1], ["after it on the key", "key", 1], ["before it by the client", "client", -1], ["after it by the client", "client", 1]]) {
		const j = beside(i, column, step);
		if (j >= 0) nav.append(link(what, "op=" + ops.id[j]));
	}
	const many = (ops.many || {})[i] || {};
	const list = node("dl");
	const field = (name, value) => {
		const row = node("div"), dd = node("dd");
		dd.append(value);
		dd.style.whiteSpace = "pre-wrap";
		row.append(node("dt", name), dd);
		list.append(row);
	};
	field("outcome", outcomes[ops.outcome[i]] + (isFinal(i) ? ", after all faults" : "") + (ops.attempts[i] > 1 ? ", at attempt " + ops.attempts[i] : ""));
	if (ops.error[i] !== 0) field("error", text(ops.error[i]));
	field("client", clientName(ops.client[i]) + " at " + text(ops.member[i]));
	if (ops.key[i] !== 0) field("key", link(text(ops.key[i]), "key=" + encodeURIComponent(text(ops.key[i]))));
	if (ops.level[i] !== 0) field("level", text(ops.level[i]));
	field("time", moment(ops.begin[i]) + " to " + moment(ops.end[i]) + ", " + duration(ops.end[i] - ops.begin[i]));
	if (isWrite(i)) {
		field("wrote", text(ops.value[i]));
		field("replaces", listed(many.replaces, many.replacesAll));
	} else if (ops.outcome[i] === 0) {
		field("read", listed(many.values, many.valuesAll));
	}
	const during = run.faults.filter((f) => f.begin <= ops.end[i] && f.end >= ops.begin[i]);
	if (during.length > 0) field("during", during.map((f) => f.name + " of " + onWhom(f) + (f.detail ? ": " + f.detail : "")).join("\n"));
	for (const n of anomalous.get(i) || []) field("anomaly", link(run.anomalies[n].text, "anomaly=" + n));
	box.append(nav, list);
}

function choose(i) {
	view.chosen = i;
	showDetails();
	drawSoon();
}
