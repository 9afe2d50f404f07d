// The layer under the lens: its sentence, its spectrum, its numbers, and the way to its neighbours.
function mountLens(host, section) {
  const parts = { chart: h("div"), redraw: null };
  bus.on("select", ({ row, from }) => {
    const packed = section.spectra[row] || {},
      modes = [
        ["ccdf", "Distribution"],
        ["density", "Density"],
      ].filter(([mode]) => packed[mode === "density" ? "hist" : "ccdf"]);
    const step = (by) => bus.emit("select", { row: clamp(row + by, 0, table.n - 1), from: "lens" });
    const button = (text, name, by, off) =>
      h("button", { type: "button", text, "aria-label": name, title: name, disabled: off, on: { click: () => step(by) } });
    const pick = h(
      "span",
      { class: "set", role: "group", "aria-label": "Curve" },
      modes.length > 1
        ? modes.map(([mode, text]) =>
            h("button", {
              type: "button",
              text,
              "aria-pressed": String(stateOf.mode === mode),
              "data-mode": mode,
              on: {
                click: () => {
                  stateOf.mode = mode;
                  writeAddress({ curve: mode });
                  bus.emit("select", { row, from: "lens" });
                },
              },
            }),
          )
        : null,
    );
    const status = table.at("status", row),
      verdict = table.at("verdict", row) || table.at("reason", row) || table.at("reasons", row);
    const held = host.contains(document.activeElement)
      ? document.activeElement.getAttribute("aria-label") || document.activeElement.dataset.mode
      : null;
    host.replaceChildren(
      ...[
        h(
          "div",
          { class: "lens-head" },
          h(
            "h3",
            {},
            h("span", { text: table.label(row) }),
            h("span", {
              class: "sub",
              text:
                `${row + 1} of ${table.n}` +
                ["kind", "view"].map((key) => (table.at(key, row) ? ` · ${short(String(table.at(key, row)), 40)}` : "")).join(""),
            }),
          ),
          status ? h("span", { class: "badge badge-" + status, text: status }) : null,
          pick,
          h("span", { class: "set" }, button("←", "Previous layer", -1, row === 0), button("→", "Next layer", 1, row === table.n - 1)),
        ),
        verdict ? h("p", { class: "lens-verdict", text: verdict }) : null,
        h("div", { class: "lens" }, parts.chart, section.models ? models(row, section.models) : pairs(row)),
      ].filter(Boolean),
    );
    if (held)
      (
        host.querySelector(`[aria-label="${CSS.escape(held)}"]:not(:disabled)`) ||
        host.querySelector(`[data-mode="${CSS.escape(held)}"]`) ||
        host.querySelector("button:not(:disabled)")
      )?.focus({ preventScroll: true });
    parts.draw = (width) => drawSpectra(parts.chart, width, row, packed, section.models);
    parts.redraw ? parts.redraw() : (parts.redraw = responsive(parts.chart, (width) => parts.draw(width)));
    if (from === "table" || from === "address")
      document
        .getElementById("layer")
        .scrollIntoView({ block: "start", behavior: still.matches || from === "address" ? "auto" : "smooth" });
    if (from !== "start") say(`${nameOf(row)}. ${verdict || ""}`);
  });
  host.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, "[": -1, "]": 1 }[event.key];
    if (by && !event.target.closest("svg") && stateOf.row >= 0) {
      event.preventDefault();
      bus.emit("select", { row: clamp(stateOf.row + by, 0, table.n - 1), from: "lens" });
    }
  });
}

function drawSpectra(host, width, row, packed, models) {
  const height = clamp(width * 0.62, 260, 430);
  if (packed.models?.some((one) => one?.ccdf) || packed.differences?.some((one) => one?.ccdf)) {
    const matrix = sections.layer.matrix,
      parts = tails(width, height, packed.models || [], models, "Share of eigenvalues above λ, by model", `eigenvalue λ of ${matrix}`);
    if (packed.differences?.some((one) => one?.ccdf))
      parts.push(
        h("p", { class: "lead", text: `What moved: the spectrum of the difference from ${models?.[0] ?? "the first model"}` }),
        ...tails(width, height * 0.7, packed.differences, models, "Share of eigenvalues of the difference above λ", "eigenvalue λ of ΔWᵀΔW"),
      );
    return host.replaceChildren(...parts);
  }
  const mode = packed.hist && (stateOf.mode === "density" || !packed.ccdf) ? "density" : "ccdf";
  if (!packed.ccdf && !packed.hist) return host.replaceChildren(h("p", { class: "empty", text: "No spectrum was kept for this layer." }));
  const { curves, facts } = spectrumOf(row, packed),
    drawn = spectrumChart(width, height, curves, facts, mode);
  host.replaceChildren(drawn.svg, drawn.legend);
  if (curves.hill)
    host.append(
      h("p", { class: "lead", text: "Hill estimate of α against the size of the tail" }),
      seriesChart(
        width,
        [
          {
            name: "Hill",
            points: curves.hill.x.map((x, k) => ({
              x,
              y: curves.hill.y[k],
              lines: [`tail of ${format(Math.round(x))}`, `α ${format(curves.hill.y[k], 3)}`],
            })),
          },
        ],
        { height: 170, xlog: true, lines: true, band: [2, 6], title: "Hill estimate of α", xlabel: "eigenvalues in the tail", ylabel: "α" },
      ),
    );
}

// Tail functions of several spectra in one chart with its legend; those without a curve are left out, the others keep their color.
function tails(width, height, packed, models, title, xlabel) {
  const series = packed.map((one, k) => {
    const c = unpackCurve(one?.ccdf),
      name = models?.[k] ?? `model ${k + 1}`;
    return { name, points: c ? c.x.map((x, i) => ({ x, y: c.y[i], lines: [name, `λ ${format(x, 3)}`, `share above ${format(c.y[i], 3)}`] })) : [] };
  });
  const svg = seriesChart(width, series, { height, xlog: true, ylog: true, lines: true, title, xlabel, ylabel: "share above λ" });
  const keys = series.flatMap((one, k) =>
    one.points.length ? [swatch(s("g", { class: "s" + (k % 8) }, path("M1 6H21", { class: "stroke" })), one.name)] : [],
  );
  return [svg, legend(keys)];
}

function pairs(row) {
  const groups = new Map();
  for (const column of table.columns) {
    const value = table.at(column.key, row);
    if (
      value === null ||
      value === undefined ||
      ["layer", "measure", "verdict", "status", "reason", "kind", "view"].includes(column.key) ||
      column.kind === "interval" ||
      column.key.endsWith("_reason")
    )
      continue;
    groups.set(column.group, [
      ...(groups.get(column.group) || []),
      h("div", { title: column.hint }, h("span", { text: column.label }), h("span", { text: cell(table, column, row) })),
    ]);
  }
  const first = ["Power-law tail", "Norms", "Rank and entropy", "Bulk (Marchenko–Pastur)", "Matrix"];
  const rank = (name) => (first.includes(name) ? first.indexOf(name) : 9);
  const why = new Map();
  for (const [name, reason] of table.undefined?.[row] || []) why.set(reason, [...(why.get(reason) || []), name]);
  const missing = [...why].map(([reason, names]) => h("p", { class: "why", text: `${names.join(", ")}: ${reason}` }));
  return h(
    "div",
    { class: "pairs" },
    [...groups].sort((a, b) => rank(a[0]) - rank(b[0])).map(([name, items]) => [h("h4", { text: name }), ...items]),
    missing.length ? [h("h4", { text: "Not meaningful here" }), ...missing] : null,
  );
}
