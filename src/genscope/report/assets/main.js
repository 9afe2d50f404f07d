// The page: each section finds its data and is mounted; charts, lens and table follow one selection.
const sections = page.sections;
const tablePayload = sections.table;
const table = tablePayload ? store(tablePayload) : store({ name: "layer", n: 0, columns: [], data: {}, labels: {}, filters: [] });
const stateOf = { row: -1, kept: null, mode: readAddress().get("curve") === "density" ? "density" : "ccdf" };
const hostOf = (id) => document.querySelector(`#${CSS.escape(id)} [data-mount]`);
const kinds = [...new Set((table.data.kind || []).map((kind) => String(kind ?? "other")))].sort();
const placeOf = new Map(kinds.map((kind, place) => [kind, place]));
const groupOf = (row) => (table.data.kind ? placeOf.get(String(table.at("kind", row) ?? "other")) : 0);
const nameOf = (row) => table.label(row) + (table.view(row) ? ` · ${short(table.view(row), 40)}` : "");
bus.on("select", ({ row }) => { stateOf.row = row; }); // first to hear, so that every chart redraws with the new selection
bus.on("filter", (kept) => { stateOf.kept = kept; });
const choose = (point) => bus.emit("select", { row: point.row, from: "chart" });

function pointsOf(key) {
  return table.rows.filter((row) => isNumber(table.at(key, row))).map((row) => {
    const y = table.at(key, row), low = table.at(key + "_low", row), high = table.at(key + "_high", row);
    return { row, x: row + 1, y, low, high, hollow: table.at("status", row) === "doubtful", group: groupOf(row), get lines() { return told(key, row, y, low, high); } };
  });
}
function told(key, row, y, low, high) { // the words of a tooltip, made when asked for
  const column = table.columns.find((other) => other.key === key), status = table.at("status", row);
  const lines = [nameOf(row), `${column.label} ${format(y)}` + (isNumber(low) && isNumber(high) ? ` (95% ${format(low, 3)} to ${format(high, 3)})` : "")];
  if (table.data.rows) lines.push(`${table.at("kind", row) ?? ""} ${format(table.at("rows", row))} × ${format(table.at("cols", row))}`.trim());
  if (status && status !== "ok") lines.push(`${status}: ${table.at("reason", row) || "no reason given"}`);
  return lines;
}

function mountDepth(host, section) {
  const state = { log: false }, points = pointsOf(section.measure);
  const sorted = points.filter((p) => !p.hollow).map((p) => p.y).sort((a, b) => a - b);
  const cap = Math.max(section.band[1] * 1.5, (sorted[Math.floor(sorted.length * 0.9)] ?? 8) * 1.25), over = points.filter((p) => p.y > cap).length;
  const body = h("div"), toggle = h("button", { type: "button", "aria-pressed": "false", text: "Log axis", on: { click: () => {
    state.log = !state.log;
    toggle.setAttribute("aria-pressed", String(state.log));
    redraw();
  } } });
  const keys = kinds.slice(0, 8).map((kind, k) => swatch(s("g", { class: "s" + k }, path(shape(k, 11, 6, 4), { class: "solid" })), short(kind)));
  if (points.some((p) => p.hollow)) keys.push(swatch(s("g", { class: "s6" }, path(shape(0, 11, 6, 4), { class: "hollow" })), "doubtful fit"));
  const clipped = h("li", { text: `▲ ${over} above ${format(cap, 2)}, drawn at the edge` });
  if (over) keys.push(clipped);
  const crowded = h("li", { text: "too many matrices to draw intervals; point at one to read its own", hidden: true });
  keys.push(crowded);
  host.append(h("div", { class: "tools" }, legend(keys), h("span", { class: "spring" }), toggle), h("div", { class: "card" }, body));
  const redraw = responsive(body, (width) => {
    clipped.toggleAttribute("hidden", state.log);
    crowded.toggleAttribute("hidden", table.n * 2.5 < width);
    const desc = `${points.length} matrices; α from ${format(extent(points.map((p) => p.y))[0], 3)} to ${format(extent(points.map((p) => p.y))[1], 3)}. Arrow keys move along the layers, Enter selects.`;
    body.replaceChildren(depthChart(width, points, { log: state.log, band: section.band, cap: state.log ? undefined : cap, height: width < 520 ? 280 : 360, title: "α by depth", desc,
      ylabel: "α", xlabel: "matrix, in the order of the checkpoint", selected: stateOf.row, kept: stateOf.kept, choose }));
  });
  bus.on("select", redraw);
  bus.on("filter", redraw);
}

function mountMultiples(host, section) {
  const figures = section.measures.map((key) => {
    const column = table.columns.find((other) => other.key === key), points = pointsOf(key), [low, high] = extent(points.map((p) => p.y));
    const log = low > 0 && high / low > 50, body = h("div");
    return { points, log, body, column, figure: h("figure", {}, h("figcaption", { title: column.hint, text: column.label }, log ? h("small", { text: " log axis" }) : null), body) };
  });
  host.className = "mount grid-of";
  host.append(...figures.map((one) => one.figure));
  for (const one of figures) {
    const redraw = responsive(one.body, (width) => one.body.replaceChildren(depthChart(width, one.points, { log: one.log, height: 170, title: one.column.label + " by depth", desc: one.column.hint,
      selected: stateOf.row, kept: stateOf.kept, choose })));
    bus.on("select", redraw);
    bus.on("filter", redraw);
  }
}

function spectrumOf(row, packed) {
  const curves = { ccdf: unpackCurve(packed.ccdf), twin: unpackCurve(packed.twin), hist: unpackCurve(packed.hist), hill: unpackCurve(packed.hill), mp: packed.mp ? { ...packed.mp, curve: unpackCurve(packed.mp.curve) || bulkDensity(packed.mp.edge, row) } : null };
  const alpha = table.at("alpha", row) ?? packed.alpha, xmin = table.at("xmin", row) ?? packed.xmin;
  let share = table.at("n_tail", row) / table.at("n_eigenvalues", row);
  if (!(share > 0) && curves.ccdf && isNumber(xmin)) share = curves.ccdf.y[Math.max(0, curves.ccdf.x.findIndex((x) => x >= xmin))];
  return { curves, facts: { alpha, xmin, low: table.at("alpha_low", row), high: table.at("alpha_high", row), tailShare: share } };
}

// The Marchenko–Pastur density that ends at `edge`, for the shape of this row (a convolution operator has no such shape).
function bulkDensity(edge, row) {
  const sides = [table.at("rows", row), table.at("cols", row)];
  if (!(edge > 0) || !sides.every((side) => side > 1) || table.at("view", row) === "operator") return null;
  const q = Math.min(...sides) / Math.max(...sides), scaled = edge / (1 + Math.sqrt(q)) ** 2, low = scaled * (1 - Math.sqrt(q)) ** 2;
  const start = Math.max(low, edge * 1e-4), curve = { x: [], y: [] };
  for (let k = 1; k < 80; k++) {
    const x = start * (edge / start) ** (k / 80), y = Math.sqrt(Math.max(0, (edge - x) * (x - low))) / (2 * Math.PI * q * scaled * x);
    if (y > 0) { curve.x.push(x); curve.y.push(y); }
  }
  return curve;
}

function mountLens(host, section) {
  const parts = { chart: h("div"), redraw: null };
  bus.on("select", ({ row, from }) => {
    const packed = section.spectra[row] || {}, modes = [["ccdf", "Distribution"], ["density", "Density"]].filter(([mode]) => packed[mode === "density" ? "hist" : "ccdf"]);
    const step = (by) => bus.emit("select", { row: clamp(row + by, 0, table.n - 1), from: "lens" });
    const button = (text, name, by, off) => h("button", { type: "button", text, "aria-label": name, title: name, disabled: off, on: { click: () => step(by) } });
    const pick = h("span", { class: "set", role: "group", "aria-label": "Curve" }, modes.length > 1 ? modes.map(([mode, text]) => h("button", { type: "button", text, "aria-pressed": String(stateOf.mode === mode), "data-mode": mode,
      on: { click: () => { stateOf.mode = mode; writeAddress({ curve: mode }); bus.emit("select", { row, from: "lens" }); } } })) : null);
    const status = table.at("status", row), verdict = table.at("verdict", row) || table.at("reason", row) || table.at("reasons", row);
    const held = host.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") || document.activeElement.dataset.mode : null;
    host.replaceChildren(...[
      h("div", { class: "lens-head" },
        h("h3", {}, h("span", { text: table.label(row) }), h("span", { class: "sub", text: `${row + 1} of ${table.n}` + ["kind", "view"].map((key) => (table.at(key, row) ? ` · ${short(String(table.at(key, row)), 40)}` : "")).join("") })),
        status ? h("span", { class: "badge badge-" + status, text: status }) : null, pick,
        h("span", { class: "set" }, button("←", "Previous layer", -1, row === 0), button("→", "Next layer", 1, row === table.n - 1))),
      verdict ? h("p", { class: "lens-verdict", text: verdict }) : null,
      h("div", { class: "lens" }, parts.chart, section.models ? models(row, section.models) : pairs(row))].filter(Boolean));
    if (held) (host.querySelector(`[aria-label="${CSS.escape(held)}"]:not(:disabled)`) || host.querySelector(`[data-mode="${CSS.escape(held)}"]`) || host.querySelector("button:not(:disabled)"))?.focus({ preventScroll: true });
    parts.draw = (width) => drawSpectra(parts.chart, width, row, packed, section.models);
    parts.redraw ? parts.redraw() : (parts.redraw = responsive(parts.chart, (width) => parts.draw(width)));
    if (from === "table" || from === "address") document.getElementById("layer").scrollIntoView({ block: "start", behavior: still.matches || from === "address" ? "auto" : "smooth" });
    if (from !== "start") say(`${nameOf(row)}. ${verdict || ""}`);
  });
  host.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, "[": -1, "]": 1 }[event.key];
    if (by && !event.target.closest("svg") && stateOf.row >= 0) { event.preventDefault(); bus.emit("select", { row: clamp(stateOf.row + by, 0, table.n - 1), from: "lens" }); }
  });
}

function drawSpectra(host, width, row, packed, models) {
  const height = clamp(width * 0.62, 260, 430);
  if (packed.models?.some((one) => one?.ccdf)) {
    const series = packed.models.map((one, k) => { const c = unpackCurve(one?.ccdf); return { name: models?.[k] ?? `model ${k + 1}`, points: c ? c.x.map((x, i) => ({ x, y: c.y[i], lines: [models?.[k] ?? "", `λ ${format(x, 3)}`, `share above ${format(c.y[i], 3)}`] })) : [] }; });
    const svg = seriesChart(width, series, { height, xlog: true, ylog: true, lines: true, title: "Share of eigenvalues above λ, by model", xlabel: `eigenvalue λ of ${sections.layer.matrix}`, ylabel: "share above λ" });
    return host.replaceChildren(svg, legend(series.map((one, k) => swatch(s("g", { class: "s" + (k % 8) }, path("M1 6H21", { class: "stroke" })), one.name))));
  }
  const mode = packed.hist && (stateOf.mode === "density" || !packed.ccdf) ? "density" : "ccdf";
  if (!packed.ccdf && !packed.hist) return host.replaceChildren(h("p", { class: "empty", text: "No spectrum was kept for this layer." }));
  const { curves, facts } = spectrumOf(row, packed), drawn = spectrumChart(width, height, curves, facts, mode);
  host.replaceChildren(drawn.svg, drawn.legend);
  if (curves.hill) host.append(h("p", { class: "lead", text: "Hill estimate of α against the size of the tail" }), seriesChart(width, [{ name: "Hill", points: curves.hill.x.map((x, k) => ({ x, y: curves.hill.y[k], lines: [`tail of ${format(Math.round(x))}`, `α ${format(curves.hill.y[k], 3)}`] })) }],
    { height: 170, xlog: true, lines: true, band: [2, 6], title: "Hill estimate of α", xlabel: "eigenvalues in the tail", ylabel: "α" }));
}

function pairs(row) {
  const groups = new Map();
  for (const column of table.columns) {
    const value = table.at(column.key, row);
    if (value === null || value === undefined || ["layer", "measure", "verdict", "status", "reason", "kind", "view"].includes(column.key) || column.kind === "interval" || column.key.endsWith("_reason")) continue;
    groups.set(column.group, [...(groups.get(column.group) || []), h("div", { title: column.hint }, h("span", { text: column.label }), h("span", { text: cell(table, column, row) }))]);
  }
  const first = ["Power-law tail", "Norms", "Rank and entropy", "Bulk (Marchenko–Pastur)", "Matrix"];
  const rank = (name) => (first.includes(name) ? first.indexOf(name) : 9);
  const why = new Map();
  for (const [name, reason] of table.undefined?.[row] || []) why.set(reason, [...(why.get(reason) || []), name]);
  const missing = [...why].map(([reason, names]) => h("p", { class: "why", text: `${names.join(", ")}: ${reason}` }));
  return h("div", { class: "pairs" }, [...groups].sort((a, b) => rank(a[0]) - rank(b[0])).map(([name, items]) => [h("h4", { text: name }), ...items]),
    missing.length ? [h("h4", { text: "Not meaningful here" }), ...missing] : null);
}

function start() {
  const mounted = { depth: mountDepth, multiples: mountMultiples, layer: mountLens, changes: mountChanges, forest: mountForest, scatter: mountScatter, figures: mountFigures };
  for (const [id, section] of Object.entries(sections)) if (section.kind in mounted && hostOf(id)) mounted[section.kind](hostOf(id), section);
  bus.on("select", ({ row, from }) => {
    if (from !== "start" && from !== "address") writeAddress(table.full(row).length <= 300 ? { layer: table.full(row) + (table.at("view", row) ? "::" + table.at("view", row) : ""), row: null } : { row: row + 1, layer: null });
  });
  if (tablePayload && table.n) state.table = mountTable(hostOf("table"), tablePayload, table);
  window.addEventListener("hashchange", () => follow("address"));
  if (!follow("address") && sections.layer && table.n) bus.emit("select", { row: firstRow(), from: "start" });
}
const state = { table: null };

function follow(from) {
  const asked = readAddress(), name = asked.get("layer"), number = Number(asked.get("row"));
  if (asked.get("theme")) setTheme(asked.get("theme"));
  if (!sections.layer) return false;
  const row = number >= 1 && number <= table.n ? number - 1 : name ? [(r) => `${table.full(r)}::${table.at("view", r)}` === name, (r) => table.full(r) === name].map((test) => table.rows.findIndex(test)).find((r) => r >= 0) ?? -1 : -1;
  if (row >= 0 && row !== stateOf.row) bus.emit("select", { row, from });
  return row >= 0;
}
function firstRow() { // the first layer whose fit is believed and has a curve, else the first
  const row = table.rows.find((r) => table.at("status", r) === "ok" && sections.layer.spectra[r]);
  return row ?? 0;
}

function setTheme(theme) {
  if (theme !== "light" && theme !== "dark") return;
  document.documentElement.dataset.theme = theme;
  document.getElementById("theme-name").textContent = theme === "dark" ? "Dark" : "Light";
}
document.getElementById("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
  setTheme(dark ? "light" : "dark");
  writeAddress({ theme: dark ? "light" : "dark" });
});
start();
