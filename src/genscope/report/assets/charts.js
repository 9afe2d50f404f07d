// The charts: a frame with axes, points by depth, spectra, series, scatters, intervals, bars. Drawing only; no state of the page.
const SHAPES = [
  (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
  (x, y, r) => `M${x - r * 0.9} ${y - r * 0.9}h${r * 1.8}v${r * 1.8}h${-r * 1.8}z`,
  (x, y, r) => `M${x} ${y - r * 1.25}l${r * 1.25} ${r * 1.25}l${-r * 1.25} ${r * 1.25}l${-r * 1.25} ${-r * 1.25}z`,
  (x, y, r) => `M${x} ${y - r * 1.2}l${r * 1.15} ${r * 2.1}h${-r * 2.3}z`,
  (x, y, r) => `M${x} ${y + r * 1.2}l${r * 1.15} ${-r * 2.1}h${-r * 2.3}z`,
  (x, y, r) => `M${x - r} ${y - r * 0.6}h${r * 2}v${r * 1.2}h${-r * 2}z`,
];
const shape = (group, x, y, r) => SHAPES[group % SHAPES.length](trim(x), trim(y), trim(r));
const swatch = (inner, text) => h("li", {}, s("svg", { width: 22, height: 12, "aria-hidden": "true" }, inner), text);
const legend = (items) => h("ul", { class: "keys" }, items);

function padded(low, high, log) {
  if (!isNumber(low) || !isNumber(high)) return log ? [0.1, 10] : [0, 1];
  if (log) return low === high ? [low / 2, high * 2] : [low / (high / low) ** 0.05, high * (high / low) ** 0.05];
  const room = (high - low) * 0.07 || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

// o: {x:[lo,hi], y:[lo,hi], xlog, ylog, xlabel, ylabel, title, desc, xticks, interactive}
function frame(width, height, o) {
  const probe = scale(...o.y, 1, 0, o.ylog).ticks(5), widest = Math.max(...probe.map((tick) => tick[1].length), 1);
  const left = Math.min(64, 14 + widest * 7) + (o.ylabel ? 18 : 0), bottom = o.xlabel ? 42 : 24, top = 10, right = 12;
  const svg = chart(width, height, o.title, o.desc || "", o.interactive ? { tabindex: 0, role: "application", "aria-roledescription": "chart" } : {});
  const X = scale(...o.x, left, width - right, o.xlog), Y = scale(...o.y, height - bottom, top, o.ylog);
  for (const [v, text] of Y.ticks(clamp(Math.floor((height - bottom - top) / 42), 2, 8))) {
    svg.append(line(left, trim(Y(v)), width - right, trim(Y(v)), "grid"), label(left - 8, trim(Y(v)) + 4, text, { "text-anchor": "end" }));
  }
  const xticks = o.xticks || X.ticks(clamp(Math.floor((width - left - right) / 70), 3, 12));
  for (const [v, text] of xticks) if (X(v) >= left - 1 && X(v) <= width - right + 1) {
    svg.append(line(trim(X(v)), height - bottom, trim(X(v)), height - bottom + 4, "frame"), label(trim(X(v)), height - bottom + 17, text, { "text-anchor": "middle" }));
  }
  svg.append(line(left, height - bottom, width - right, height - bottom, "frame"));
  if (o.xlabel) svg.append(label((left + width - right) / 2, height - 6, o.xlabel, { "text-anchor": "middle" }));
  if (o.ylabel) svg.append(label(0, 0, o.ylabel, { "text-anchor": "middle", transform: `translate(12 ${(height - bottom + top) / 2}) rotate(-90)` }));
  return { svg, X, Y, left, right: width - right, top, bottom: height - bottom, width, height };
}

// Pointer and keys over points {px, py, lines, row}: the nearest one is marked; click or Enter chooses it.
function explore(f, points, choose, upright = 1) { // upright: how much the vertical distance counts
  const mark = s("path", { class: "halo", d: "M0 0" });
  const guide = path("", { class: "mark" });
  const area = s("rect", { class: "hit" + (choose ? " go" : ""), x: f.left - 6, y: f.top - 6, width: Math.max(0, f.right - f.left + 12), height: f.bottom - f.top + 12 });
  let at = -1;
  const clear = () => { at = -1; mark.setAttribute("d", "M0 0"); guide.setAttribute("d", "M0 0"); hideTip(); };
  const point = (index, aloud) => {
    at = index;
    const p = points[index], box = f.svg.getBoundingClientRect(), zoom = box.width / f.width || 1;
    mark.setAttribute("d", SHAPES[0](p.px, p.py, 7));
    guide.setAttribute("d", `M${p.px} ${f.top}V${f.bottom}`);
    showTip(p.lines, box.left + p.px * zoom, box.top + p.py * zoom);
    if (aloud) say(p.lines.join(", "));
  };
  const nearest = (event) => {
    const box = f.svg.getBoundingClientRect(), zoom = box.width / f.width || 1, x = (event.clientX - box.left) / zoom, y = (event.clientY - box.top) / zoom;
    let best = -1, least = Infinity;
    points.forEach((p, index) => { const d = (p.px - x) ** 2 + upright * (p.py - y) ** 2; if (d < least) { least = d; best = index; } });
    return best;
  };
  area.addEventListener("pointermove", (event) => { const index = nearest(event); if (index >= 0) point(index); });
  area.addEventListener("pointerleave", clear);
  area.addEventListener("click", (event) => { const index = nearest(event); if (index >= 0) { point(index); choose?.(points[index]); } });
  f.svg.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, Home: -Infinity, End: Infinity };
    if (event.key in moves && points.length) point(clamp(at < 0 && Number.isFinite(moves[event.key]) ? 0 : at + moves[event.key], 0, points.length - 1), true);
    else if (event.key === "Enter" && at >= 0) choose?.(points[at]);
    else if (event.key === "Escape") clear();
    else return;
    event.preventDefault();
  });
  f.svg.addEventListener("blur", clear);
  f.svg.append(guide, mark, area);
}

// points: {row, x, y, low, high, hollow, group, lines}; o: {log, band, cap, height, ylabel, title, desc, selected, kept, choose, zero}
function depthChart(width, points, o) {
  const tall = points.map((p) => p.y), whole = extent(tall), spread = extent(points.flatMap((p) => [p.low, p.high, p.y]));
  let low = o.log ? Math.max(spread[0], whole[0] / 10) : spread[0], high = Math.min(spread[1], o.cap ?? Infinity);
  if (o.band) { low = Math.min(low, o.band[0]); high = Math.max(high, o.band[1]); }
  const y = o.log ? padded(low, high, true) : padded(low, high, false);
  if (o.band && !o.log) y[0] = Math.max(0, Math.min(y[0], 1));
  const last = Math.max(1, points.at(-1)?.x ?? 1), f = frame(width, o.height, { x: [0.3, last + 0.7], y, ylog: o.log, title: o.title, desc: o.desc, ylabel: o.ylabel, xlabel: o.xlabel, interactive: true });
  let note = null;
  if (o.band) {
    const a = f.Y(o.band[1]), b = f.Y(o.band[0]);
    f.svg.append(s("rect", { class: "band", x: f.left, y: a, width: f.right - f.left, height: b - a }), path(`M${f.left} ${a}H${f.right}M${f.left} ${b}H${f.right}`, { class: "band-edge" }));
    note = label(f.right - 8, b - 7, width < 520 ? "typical range" : "range typical of well-trained layers", { "text-anchor": "end", class: "over" });
  }
  // Whiskers thin out as points close up and go when they would cover each other; the tooltip still tells them.
  const room = (f.right - f.left) / last, crowd = room < 2.5 ? " crowd" : "", radius = clamp(0.4 * room, o.height < 200 ? 1.7 : 2.3, o.height < 200 ? 2.6 : 4.6);
  const layers = new Map();
  for (const p of points) {
    const over = o.cap !== undefined && p.y > o.cap, py = clamp(f.Y(p.y), f.top, f.bottom);
    Object.assign(p, { px: trim(f.X(p.x)), py: trim(py) });
    const key = [p.group, p.hollow ? "hollow" : "solid", o.kept && !o.kept.has(p.row) ? "fade" : ""].join(" ");
    const layer = layers.get(key) || layers.set(key, { whisk: "", dots: "" }).get(key);
    if (!crowd && isNumber(p.low) && isNumber(p.high)) layer.whisk += `M${p.px} ${trim(clamp(f.Y(Math.max(p.low, o.log ? y[0] : -Infinity)), f.top, f.bottom))}V${trim(clamp(f.Y(p.high), f.top, f.bottom))}`;
    layer.dots += over ? SHAPES[3](p.px, trim(p.py + 4), radius) : shape(p.group, p.px, p.py, radius);
  }
  for (const [key, layer] of layers) {
    const [group, look, fade] = key.split(" ");
    f.svg.append(s("g", { class: `s${group % 8} ${fade}` }, path(layer.whisk, { class: room < 7 ? "whisk faint" : "whisk" }), path(layer.dots, { class: look + crowd, "data-dots": (layer.dots.match(/M/g) || []).length })));
  }
  if (note) f.svg.append(note);
  const chosen = points.find((p) => p.row === o.selected);
  if (chosen) f.svg.append(line(chosen.px, f.top, chosen.px, f.bottom, "here"), path(SHAPES[0](chosen.px, chosen.py, radius + 4), { class: "halo" }));
  explore(f, points, o.choose, 0.02);
  return f.svg;
}

// curves: unpacked {ccdf, twin, hist, mp}; facts: {alpha, low, high, xmin, tailShare, lambdaMax}; mode "ccdf" or "density"
function spectrumChart(width, height, curves, facts, mode) {
  const main = mode === "density" ? curves.hist : curves.ccdf, twin = mode === "density" ? null : curves.twin, bulk = mode === "density" ? curves.mp?.curve : null;
  const xs = extent([...main.x, ...(twin ? twin.x : []), facts.xmin, curves.mp?.edge].filter((v) => v > 0)), ys = extent([...main.y, ...(twin ? twin.y : [])]);
  const bulkStart = curves.ccdf ? curves.ccdf.x.find((v, k) => curves.ccdf.y[k] <= 0.98) ?? xs[0] : xs[0], hidden = bulkStart / xs[0] > 8;
  const x = padded(Math.max(hidden ? bulkStart / 1.5 : xs[0], xs[1] * 1e-7), xs[1], true), y = padded(Math.max(ys[0], ys[1] * 1e-9), ys[1], true);
  const desc = `${main.x.length} points from λ ${format(xs[0], 2)} to ${format(xs[1], 2)}` + (isNumber(facts.alpha) ? `; fitted tail with α ${format(facts.alpha, 3)} above xmin ${format(facts.xmin, 3)}` : "");
  const f = frame(width, height, { x, y, xlog: true, ylog: true, title: mode === "density" ? "Density of eigenvalues" : "Share of eigenvalues above λ", desc,
    xlabel: `eigenvalue λ of ${sections.layer.matrix}`, ylabel: mode === "density" ? "density ρ(λ)" : "share above λ", interactive: true });
  const inside = (v, a, b) => clamp(v, a, b), px = (v) => trim(inside(f.X(v), f.left, f.right)), py = (v) => trim(inside(f.Y(v), f.top, f.bottom));
  const trace = (c, step) => c.x.reduce((d, v, k) => (v < x[0] || c.y[k] < y[0] ? d : d + (d ? (step ? `H${px(v)}V${py(c.y[k])}` : `L${px(v)} ${py(c.y[k])}`) : `M${px(v)} ${py(c.y[k])}`)), "");
  const keys = [], line2 = (cls) => path("M1 6H21", { class: cls });
  const fitted = isNumber(facts.alpha) && facts.xmin > 0 && facts.tailShare > 0;
  if (fitted) f.svg.append(s("rect", { class: "tail", x: px(facts.xmin), y: f.top, width: Math.max(0, f.right - px(facts.xmin)), height: f.bottom - f.top }));
  if (twin) { f.svg.append(s("g", { class: "s6" }, path(trace(twin), { class: "stroke thin dotted" }))); keys.push(swatch(s("g", { class: "s6" }, line2("stroke thin dotted")), "randomized twin")); }
  if (bulk) { f.svg.append(s("g", { class: "s2" }, path(trace(bulk), { class: "stroke thin" }))); keys.push(swatch(s("g", { class: "s2" }, line2("stroke thin")), "random bulk (Marchenko–Pastur)")); }
  const bin = mode === "density" ? 10 ** (Math.min(...main.x.slice(1).map((v, k) => Math.log10(v / main.x[k]))) / 2) : 1, seen = main.x.map((v, k) => [v, main.y[k]]).filter(([v, w]) => v >= x[0] && w >= y[0]);
  const bars = seen.map(([v, w]) => `M${px(v / bin)} ${f.bottom}V${py(w)}H${px(v * bin)}V${f.bottom}z`).join(""), tops = seen.map(([v, w]) => `M${px(v / bin)} ${py(w)}H${px(v * bin)}`).join("");
  const dots = main.x.reduce((d, v, k) => (v < x[0] || main.y[k] < y[0] ? d : d + shape(0, px(v), py(main.y[k]), main.x.length > 90 ? 2 : 2.6)), "");
  f.svg.append(s("g", { class: "s0" }, mode === "density" ? [path(bars, { class: "area" }), path(tops, { class: "stroke thin" })] : path(dots, { class: "solid" })));
  keys.unshift(swatch(s("g", { class: "s0" }, mode === "density" ? [path("M1 3H21V12H1z", { class: "area" }), path("M1 3H21", { class: "stroke thin" })] : path(shape(0, 11, 6, 3.4), { class: "solid" })), "eigenvalues"));
  if (hidden) keys.push(h("li", { text: "the smallest 2% lie left of the frame" }));
  if (fitted) {
    const value = (v, a) => (mode === "density" ? (facts.tailShare * (a - 1)) / facts.xmin * (v / facts.xmin) ** -a : facts.tailShare * (v / facts.xmin) ** (1 - a));
    const free = (v) => trim(clamp(f.Y(Math.max(v, 1e-300)), -4000, 4000)), start = `M${px(facts.xmin)} ${free(value(facts.xmin, facts.alpha))}`, end = (a) => `L${f.right} ${free(value(x[1], a))}`;
    const box = `frame${(serial += 1)}`, inBox = { "clip-path": `url(#${box})` };
    f.svg.append(s("clipPath", { id: box }, s("rect", { x: f.left, y: f.top, width: f.right - f.left, height: f.bottom - f.top })));
    if (isNumber(facts.low) && isNumber(facts.high) && facts.low > 1) f.svg.append(s("g", { class: "s3" }, path(start + end(facts.low) + end(facts.high) + "Z", { class: "area", ...inBox })));
    f.svg.append(s("g", { class: "s3" }, path(start + end(facts.alpha), { class: "stroke dashed", ...inBox })));
    keys.push(swatch(s("g", { class: "s3" }, line2("stroke dashed")), `fit, α ${format(facts.alpha, 3)}` + (isNumber(facts.low) ? ` (95% ${format(facts.low, 3)}–${format(facts.high, 3)})` : "")));
    f.svg.append(s("g", { class: "s1" }, path(`M${px(facts.xmin)} ${f.top}V${f.bottom}`, { class: "stroke thin" })), label(px(facts.xmin) - 5, f.top + 12, "xmin", { class: "label over", "text-anchor": "end" }));
    keys.push(swatch(s("g", { class: "s1" }, path("M11 0V12", { class: "stroke thin" })), `xmin ${format(facts.xmin, 3)}, tail shaded`));
  }
  const edge = curves.mp?.edge;
  if (edge > 0) {
    f.svg.append(s("g", { class: "s2" }, path(`M${px(edge)} ${f.top}V${f.bottom}`, { class: "stroke thin dashed" })), label(px(edge) + 5, f.top + 12, "MP edge", { class: "label over" }));
    keys.push(swatch(s("g", { class: "s2" }, path("M11 0V12", { class: "stroke thin dashed" })), `MP edge ${format(edge, 3)}`));
  }
  const words = mode === "density" ? "density" : "share above";
  explore(f, main.x.map((v, k) => ({ px: px(v), py: py(main.y[k]), lines: [`λ ${format(v, 3)}`, `${words} ${format(main.y[k], 3)}`] })), null);
  return { svg: f.svg, legend: legend(keys) };
}

// series: [{name, points: [{x, y, lines, row}]}]; joined: connect points of the same x between series
function seriesChart(width, series, o) {
  const every = series.flatMap((one) => one.points.filter((p) => isNumber(p.y) && (!o.ylog || p.y > 0) && (!o.xlog || p.x > 0)));
  const inner = extent(every.map((p) => p.y)), reach = (inner[1] - inner[0]) * 0.6; // long intervals are cut so that the points stay apart
  const edges = every.flatMap((p) => [p.y, p.low, p.high]).map((v) => (isNumber(v) && !o.lines ? clamp(v, inner[0] - reach, inner[1] + reach) : v));
  const f = frame(width, o.height, { x: o.x || padded(...extent(every.map((p) => p.x)), o.xlog), y: padded(...extent(o.zero ? [...edges, 0] : edges), o.ylog), ...o, interactive: true });
  if (o.band) f.svg.append(s("rect", { class: "band", x: f.left, y: clamp(f.Y(o.band[1]), f.top, f.bottom), width: f.right - f.left, height: Math.max(0, clamp(f.Y(o.band[0]), f.top, f.bottom) - clamp(f.Y(o.band[1]), f.top, f.bottom)) }));
  for (const p of every) Object.assign(p, { px: trim(f.X(p.x)), py: trim(f.Y(p.y)) });
  if (o.joined) {
    const rows = new Map();
    for (const p of every) rows.set(p.row, rows.has(p.row) ? `${rows.get(p.row)}L${p.px} ${p.py}` : `M${p.px} ${p.py}`);
    f.svg.append(path([...rows.values()].join(""), { class: "link" }));
  }
  const radius = o.radius ?? (every.length > 600 ? 2 : every.length > 150 ? 3 : 4.2);
  series.forEach((one, index) => {
    const seen = one.points.filter((p) => isNumber(p.px)), banded = seen.filter((p) => isNumber(p.low) && isNumber(p.high));
    const area = banded.length > 1 && o.lines ? "M" + [...banded.map((p) => `${p.px} ${trim(f.Y(p.high))}`), ...banded.toReversed().map((p) => `${p.px} ${trim(f.Y(p.low))}`)].join("L") + "Z" : "";
    f.svg.append(s("g", { class: "s" + (index % 8) }, area ? path(area, { class: "area" }) : o.lines ? null : path(banded.map((p) => `M${p.px} ${trim(clamp(f.Y(p.low), f.top, f.bottom))}V${trim(clamp(f.Y(p.high), f.top, f.bottom))}`).join(""), { class: "whisk" }), o.lines ? path(seen.map((p, k) => `${k ? "L" : "M"}${p.px} ${p.py}`).join(""), { class: "stroke" }) : null,
      o.lines && seen.length > 60 ? null : path(seen.map((p) => shape(o.lines ? 0 : index, p.px, p.py, o.lines ? 2.4 : radius)).join(""), { class: "solid" })));
  });
  const chosen = every.find((p) => p.row !== undefined && p.row === o.selected);
  if (chosen) f.svg.append(line(chosen.px, f.top, chosen.px, f.bottom, "here"));
  explore(f, every.sort((a, b) => a.px - b.px), o.choose);
  return f.svg;
}

// Views of measures and of several models: what changed, intervals of rank correlations, scatters, figures of an assessment.
function mountChanges(host, section) {
  const choice = h("select", { "aria-label": "Measure", on: { change: () => { redraw(); state.table?.show(choice.value); } } }, section.measures.map((one) => h("option", { value: one.key, text: one.label })));
  choice.value = section.first;
  const body = h("div"), keys = legend(section.models.map((name, k) => swatch(s("g", { class: "s" + (k % 8) }, path(shape(k, 11, 6, 4), { class: "solid" })), name)));
  host.append(h("div", { class: "tools" }, h("label", {}, "Measure ", choice), keys), h("div", { class: "card" }, body));
  const redraw = responsive(body, (width) => {
    const key = choice.value, name = choice.selectedOptions[0].textContent;
    const series = section.models.map((model, k) => ({ name: model, points: table.rows.filter((row) => isNumber(table.at(`${key}[${k}]`, row)) && (!stateOf.kept || stateOf.kept.has(row)))
      .map((row) => ({ row, x: row + 1 + (section.models.length > 1 ? (k / (section.models.length - 1) - 0.5) * 0.36 : 0), y: table.at(`${key}[${k}]`, row), low: table.at(`${key}_low[${k}]`, row), high: table.at(`${key}_high[${k}]`, row),
        get lines() { return [nameOf(row), `${model}: ${format(table.at(`${key}[${k}]`, row))}`, `change ${format(table.at(key + ".change", row), 3)}`]; } })) }));
    if (!series.some((one) => one.points.length)) return body.replaceChildren(h("p", { class: "empty", text: `${name} has no value in any shared layer.` }));
    body.replaceChildren(seriesChart(width, series, { height: width < 520 ? 280 : 340, x: [0.3, table.n + 0.7], joined: true, title: `${name} by depth and model`, desc: "One mark per model, joined within a layer. Enter selects the layer.",
      xlabel: "matrix, in the order of the checkpoint", ylabel: name, band: key === "alpha" ? [2, 6] : null, selected: stateOf.row, choose }));
  });
  bus.on("select", redraw);
  bus.on("filter", redraw);
}

function models(row, names) {
  const keys = sections.changes ? sections.changes.measures.map((one) => one.key) : [];
  const head = h("tr", {}, h("th", { scope: "col", text: "Measure", class: "plain" }), names.map((name) => h("th", { scope: "col", class: "plain", text: name })), h("th", { scope: "col", class: "plain", text: "Change" }));
  const lines = keys.filter((key) => names.some((_, k) => isNumber(table.at(`${key}[${k}]`, row)))).map((key) => h("tr", {}, h("td", { text: sections.changes.measures.find((one) => one.key === key).label }), names.map((_, k) => h("td", { class: "right", text: format(table.at(`${key}[${k}]`, row)) })), h("td", { class: "right", text: format(table.at(key + ".change", row), 3) })));
  const other = table.columns.filter((column) => !column.measure && ["num", "int"].includes(column.kind) && isNumber(table.at(column.key, row)));
  return h("div", {}, h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Measures of this layer" }, h("table", {}, h("thead", {}, head), h("tbody", {}, lines))),
    h("div", { class: "pairs" }, other.map((column) => h("div", { title: column.hint }, h("span", { text: column.label }), h("span", { text: cell(table, column, row) })))));
}

function mountForest(host, section) {
  const items = section.items, body = h("div");
  host.append(h("div", { class: "card" }, body));
  responsive(body, (width) => {
    const narrow = width < 520, room = narrow ? 12 : clamp(width * 0.28, 140, 320), pitch = narrow ? 44 : 28, height = items.length * pitch + 52, right = narrow ? 14 : 150;
    const svg = chart(width, height, "Kendall's τ by measure", items.slice(0, 5).map((item) => `${item.measure} ${format(item.kendall, 2)}`).join("; "));
    const X = scale(-1, 1, room, width - right), bottom = height - 40;
    for (const v of [-1, -0.5, 0, 0.5, 1]) svg.append(line(trim(X(v)), 6, trim(X(v)), bottom, v ? "grid" : "zero"), label(trim(X(v)), bottom + 18, plainTick(v, 1), { "text-anchor": "middle" }));
    svg.append(label((X(-1) + X(1)) / 2, height - 4, "Kendall's τ with the score", { "text-anchor": "middle" }));
    items.forEach((item, k) => {
      const y = k * pitch + (narrow ? 34 : 22), low = item.kendall_low, high = item.kendall_high, sure = isNumber(item.p_adjusted) ? item.p_adjusted <= 0.05 : isNumber(low) && isNumber(high) && low * high > 0;
      const full = item.measure + (item.baseline ? " (baseline)" : ""), name = full.length > 44 ? full.slice(0, 43) + "…" : full, words = two(item.kendall) + (isNumber(low) && isNumber(high) ? ` (${two(low)} to ${two(high)})` : "");
      const row = s("g", { class: sure ? "s0" : "s6" }, s("title", { text: `${item.measure}: τ ${words}` + (isNumber(item.p_value) ? `, p ${format(item.p_value, 2)}` : "") }));
      row.append(narrow ? label(room, y - 12, `${name}  ${words}`, { class: "label over" }) : label(room - 14, y + 4, fit(name, room), { class: "label", "text-anchor": "end" }));
      if (isNumber(low) && isNumber(high)) row.append(line(trim(X(clamp(low, -1, 1))), y, trim(X(clamp(high, -1, 1))), y, "stroke"));
      row.append(path(shape(0, X(item.kendall), y, 5), { class: sure ? "solid" : "hollow" }));
      if (!narrow) row.append(label(width - right + 16, y + 4, words));
      svg.append(row);
    });
    body.replaceChildren(svg);
  });
  const keys = [swatch(s("g", { class: "s0" }, path(shape(0, 11, 6, 4), { class: "solid" })), section.adjusted ? "beyond chance, the number of measures considered" : "interval excludes zero"), swatch(s("g", { class: "s6" }, path(shape(0, 11, 6, 4), { class: "hollow" })), "cannot tell from chance")];
  host.append(legend(keys));
  if (page.verb === "rank") return;
  const columns = ["measure", "n", "spearman", "kendall", "p_value", "r2", "loo_rmse"].filter((key) => items.some((item) => item[key] !== undefined));
  const title = { measure: "Measure", n: "Models", spearman: "Spearman ρ", kendall: "Kendall τ", p_value: "p-value", r2: "R²", loo_rmse: "LOO RMSE" };
  host.append(h("div", { class: "box forest-table" }, h("table", {}, h("thead", {}, h("tr", {}, columns.map((key) => h("th", { scope: "col", class: "plain", text: title[key] })))),
    h("tbody", {}, items.map((item) => h("tr", {}, columns.map((key) => h("td", { text: format(item[key]) }))))))));
}
const two = (v) => v.toFixed(2).replace("-", "−");
const fit = (text, room) => (text.length * 6.6 > room ? text.slice(0, Math.max(4, Math.floor(room / 6.6) - 1)) + "…" : text);

function scatterSeries(one) {
  const groups = [...new Set(one.groups)];
  const at = (k) => ({ x: one.x[k], y: one.y[k], lines: [one.labels[k] || `model ${k + 1}`, `${one.measure} ${format(one.x[k])}`, `score ${format(one.y[k])}`, ...(one.groups[k] ? [one.groups[k]] : [])] });
  const points = one.x.map((_, k) => k).filter((k) => isNumber(one.x[k]) && isNumber(one.y[k]));
  return (groups.length ? groups : [""]).map((group) => ({ name: group, points: points.filter((k) => !groups.length || one.groups[k] === group).map(at) }));
}
function mountScatter(host, section) {
  const large = h("div"), caption = h("figcaption"), keys = h("div"), figures = [];
  let chosen = 0;
  const redraw = () => {
    const one = section.charts[chosen], series = scatterSeries(one);
    caption.textContent = `${one.measure} against ${section.target}`;
    keys.replaceChildren(series.length > 1 ? legend(series.map((other, k) => swatch(s("g", { class: "s" + (k % 8) }, path(shape(k, 11, 6, 4), { class: "solid" })), other.name))) : "");
    drawLarge.now = (width) => large.replaceChildren(seriesChart(width, series, { height: width < 520 ? 280 : 360, title: caption.textContent, desc: `${one.x.length} models`, xlabel: one.measure, ylabel: section.target }));
    figures.forEach((figure, k) => figure.setAttribute("aria-pressed", String(k === chosen)));
    drawLarge.queue?.();
  };
  const drawLarge = { now: null, queue: null };
  host.append(h("figure", { class: "figure wide" }, caption, large, keys));
  redraw();
  drawLarge.queue = responsive(large, (width) => drawLarge.now(width));
  if (section.charts.length < 2) return;
  const grid = h("div", { class: "grid-of" });
  host.append(grid);
  section.charts.forEach((one, k) => {
    const body = h("div"), pick = () => { chosen = k; redraw(); };
    const figure = h("figure", { class: "pick", tabindex: 0, role: "button", "aria-pressed": "false", on: { click: pick, keydown: (event) => { if (event.target === figure && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); pick(); } } } }, h("figcaption", { text: one.measure }), body);
    figures.push(figure);
    grid.append(figure);
    responsive(body, (width) => { const svg = seriesChart(width, scatterSeries(one), { height: 170, radius: 3, title: `${one.measure} against ${section.target}`, desc: "" }); svg.removeAttribute("tabindex"); body.replaceChildren(svg); });
  });
  redraw();
}

function mountFigures(host, section) {
  host.className = "mount grid-of";
  for (const figure of section.figures) {
    const body = h("div"), keys = h("div"), axes = { title: figure.title, desc: "", xlabel: figure.xlabel || "", ylabel: figure.ylabel || "", height: 240 };
    host.append(h("figure", {}, h("figcaption", { text: figure.title }), body, keys));
    const asPoints = (one) => one.x.map((x, k) => ({ x, y: one.y[k], low: one.low?.[k], high: one.high?.[k], lines: [`${figure.xlabel || "x"} ${format(x, 3)}`, `${figure.ylabel || "y"} ${format(one.y[k], 3)}`] })).filter((p) => isNumber(p.x));
    if (figure.type === "line" || figure.type === "lines") {
      const series = (figure.series || [figure]).map((one) => ({ name: one.name || figure.title, points: asPoints(one) }));
      const log = figure.log || figure.series?.[0]?.log || "";
      responsive(body, (width) => body.replaceChildren(seriesChart(width, series, { ...axes, lines: true, xlog: log.includes("x"), ylog: log.includes("y") })));
      if (series.length > 1) keys.append(legend(series.map((one, k) => swatch(s("g", { class: "s" + (k % 8) }, path("M1 6H21", { class: "stroke" })), one.name))));
    } else if (figure.type === "hist") responsive(body, (width) => body.replaceChildren(barChart(width, figure.values.map((y, k) => ({ from: figure.edges[k], to: figure.edges[k + 1], y, lines: [`${format(figure.edges[k], 3)} to ${format(figure.edges[k + 1], 3)}`, format(y, 3)] })), axes)));
    else responsive(body, (width) => body.replaceChildren(barChart(width, figure.values.map((y, k) => ({ from: k + 0.6, to: k + 1.4, y, lines: [figure.labels[k] || `${k + 1}`, format(y)] })), { ...axes, xlabel: figure.xlabel || "layer, in order" })));
  }
}
function barChart(width, bars, o) {
  const seen = bars.filter((bar) => isNumber(bar.y)), ends = extent(seen.flatMap((bar) => [bar.from, bar.to])), [low, high] = extent([...seen.map((bar) => bar.y), 0]);
  const f = frame(width, o.height, { ...o, x: seen.length ? ends : [0, 1], y: [low < 0 ? low * 1.07 : 0, high > 0 ? high * 1.07 : low < 0 ? 0 : 1], interactive: true });
  const zero = f.Y(0), d = seen.map((bar) => { bar.px = trim(f.X((bar.from + bar.to) / 2)); bar.py = trim(f.Y(bar.y)); return `M${trim(f.X(bar.from))} ${trim(zero)}V${bar.py}H${trim(f.X(bar.to))}V${trim(zero)}z`; }).join("");
  f.svg.append(s("g", { class: "s0" }, path(d, { class: "solid" })), line(f.left, trim(zero), f.right, trim(zero), "zero"));
  explore(f, seen, null);
  return f.svg;
}
