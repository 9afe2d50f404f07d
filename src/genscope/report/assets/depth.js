// A measure by depth: one mark per matrix with its interval, large for alpha and small for the other measures.
// points: {row, x, y, low, high, hollow, group, lines}; o: {log, band, cap, height, ylabel, title, desc, selected, kept, choose, zero}
function depthChart(width, points, o) {
  const tall = points.map((p) => p.y),
    whole = extent(tall),
    spread = extent(points.flatMap((p) => [p.low, p.high, p.y]));
  let low = o.log ? Math.max(spread[0], whole[0] / 10) : spread[0],
    high = Math.min(spread[1], o.cap ?? Infinity);
  if (o.band) {
    low = Math.min(low, o.band[0]);
    high = Math.max(high, o.band[1]);
  }
  const y = o.log ? padded(low, high, true) : padded(low, high, false);
  if (o.band && !o.log) y[0] = Math.max(0, Math.min(y[0], 1));
  const last = Math.max(1, points.at(-1)?.x ?? 1),
    f = frame(width, o.height, {
      x: [0.3, last + 0.7],
      y,
      ylog: o.log,
      title: o.title,
      desc: o.desc,
      ylabel: o.ylabel,
      xlabel: o.xlabel,
      interactive: true,
    });
  let note = null;
  if (o.band) {
    const a = f.Y(o.band[1]),
      b = f.Y(o.band[0]);
    f.svg.append(
      s("rect", { class: "band", x: f.left, y: a, width: f.right - f.left, height: b - a }),
      path(`M${f.left} ${a}H${f.right}M${f.left} ${b}H${f.right}`, { class: "band-edge" }),
    );
    note = label(f.right - 8, b - 7, width < 520 ? "typical range" : "range typical of well-trained layers", {
      "text-anchor": "end",
      class: "over",
    });
  }
  // Whiskers thin out as points close up and go when they would cover each other; the tooltip still tells them.
  const room = (f.right - f.left) / last,
    crowd = room < 2.5 ? " crowd" : "",
    radius = clamp(0.4 * room, o.height < 200 ? 1.7 : 2.3, o.height < 200 ? 2.6 : 4.6);
  const layers = new Map();
  for (const p of points) {
    const over = o.cap !== undefined && p.y > o.cap,
      py = clamp(f.Y(p.y), f.top, f.bottom);
    Object.assign(p, { px: trim(f.X(p.x)), py: trim(py) });
    const key = [p.group, p.hollow ? "hollow" : "solid", o.kept && !o.kept.has(p.row) ? "fade" : ""].join(" ");
    const layer = layers.get(key) || layers.set(key, { whisk: "", dots: "" }).get(key);
    if (!crowd && isNumber(p.low) && isNumber(p.high))
      layer.whisk += `M${p.px} ${trim(clamp(f.Y(Math.max(p.low, o.log ? y[0] : -Infinity)), f.top, f.bottom))}V${trim(clamp(f.Y(p.high), f.top, f.bottom))}`;
    layer.dots += over ? SHAPES[3](p.px, trim(p.py + 4), radius) : shape(p.group, p.px, p.py, radius);
  }
  for (const [key, layer] of layers) {
    const [group, look, fade] = key.split(" ");
    f.svg.append(
      s(
        "g",
        { class: `s${group % 8} ${fade}` },
        path(layer.whisk, { class: room < 7 ? "whisk faint" : "whisk" }),
        path(layer.dots, { class: look + crowd, "data-dots": (layer.dots.match(/M/g) || []).length }),
      ),
    );
  }
  if (note) f.svg.append(note);
  const chosen = points.find((p) => p.row === o.selected);
  if (chosen)
    f.svg.append(line(chosen.px, f.top, chosen.px, f.bottom, "here"), path(SHAPES[0](chosen.px, chosen.py, radius + 4), { class: "halo" }));
  explore(f, points, o.choose, 0.02);
  return f.svg;
}

function pointsOf(key) {
  return table.rows
    .filter((row) => isNumber(table.at(key, row)))
    .map((row) => {
      const y = table.at(key, row),
        low = table.at(key + "_low", row),
        high = table.at(key + "_high", row);
      return {
        row,
        x: row + 1,
        y,
        low,
        high,
        hollow: table.at("status", row) === "doubtful",
        group: groupOf(row),
        get lines() {
          return told(key, row, y, low, high);
        },
      };
    });
}

function told(key, row, y, low, high) {
  // the words of a tooltip, made when asked for
  const column = table.columns.find((other) => other.key === key),
    status = table.at("status", row);
  const lines = [
    nameOf(row),
    `${column.label} ${format(y)}` + (isNumber(low) && isNumber(high) ? ` (95% ${format(low, 3)} to ${format(high, 3)})` : ""),
  ];
  if (table.data.rows)
    lines.push(`${table.at("kind", row) ?? ""} ${format(table.at("rows", row))} × ${format(table.at("cols", row))}`.trim());
  if (status && status !== "ok") lines.push(`${status}: ${table.at("reason", row) || "no reason given"}`);
  return lines;
}

function mountDepth(host, section) {
  const state = { log: false },
    points = pointsOf(section.measure);
  const sorted = points
    .filter((p) => !p.hollow)
    .map((p) => p.y)
    .sort((a, b) => a - b);
  const cap = Math.max(section.band[1] * 1.5, (sorted[Math.floor(sorted.length * 0.9)] ?? 8) * 1.25),
    over = points.filter((p) => p.y > cap).length;
  const body = h("div"),
    toggle = h("button", {
      type: "button",
      "aria-pressed": "false",
      text: "Log axis",
      on: {
        click: () => {
          state.log = !state.log;
          toggle.setAttribute("aria-pressed", String(state.log));
          redraw();
        },
      },
    });
  const keys = kinds
    .slice(0, 8)
    .map((kind, k) => swatch(s("g", { class: "s" + k }, path(shape(k, 11, 6, 4), { class: "solid" })), short(kind)));
  if (points.some((p) => p.hollow))
    keys.push(swatch(s("g", { class: "s6" }, path(shape(0, 11, 6, 4), { class: "hollow" })), "doubtful fit"));
  const clipped = h("li", { text: `▲ ${over} above ${format(cap, 2)}, drawn at the edge` });
  if (over) keys.push(clipped);
  const crowded = h("li", { text: "too many matrices to draw intervals; point at one to read its own", hidden: true });
  keys.push(crowded);
  host.append(h("div", { class: "tools" }, legend(keys), h("span", { class: "spring" }), toggle), h("div", { class: "card" }, body));
  const redraw = responsive(body, (width) => {
    clipped.toggleAttribute("hidden", state.log);
    crowded.toggleAttribute("hidden", table.n * 2.5 < width);
    const desc = `${points.length} matrices; α from ${format(extent(points.map((p) => p.y))[0], 3)} to ${format(extent(points.map((p) => p.y))[1], 3)}. Arrow keys move along the layers, Enter selects.`;
    body.replaceChildren(
      depthChart(width, points, {
        log: state.log,
        band: section.band,
        cap: state.log ? undefined : cap,
        height: width < 520 ? 280 : 360,
        title: "α by depth",
        desc,
        ylabel: "α",
        xlabel: "matrix, in the order of the checkpoint",
        selected: stateOf.row,
        kept: stateOf.kept,
        choose,
      }),
    );
  });
  bus.on("select", redraw);
  bus.on("filter", redraw);
}

function mountMultiples(host, section) {
  const figures = section.measures.map((key) => {
    const column = table.columns.find((other) => other.key === key),
      points = pointsOf(key),
      [low, high] = extent(points.map((p) => p.y));
    const log = low > 0 && high / low > 50,
      body = h("div");
    return {
      points,
      log,
      body,
      column,
      figure: h(
        "figure",
        {},
        h("figcaption", { title: column.hint, text: column.label }, log ? h("small", { text: " log axis" }) : null),
        body,
      ),
    };
  });
  host.className = "mount grid-of";
  host.append(...figures.map((one) => one.figure));
  for (const one of figures) {
    const redraw = responsive(one.body, (width) =>
      one.body.replaceChildren(
        depthChart(width, one.points, {
          log: one.log,
          height: 170,
          title: one.column.label + " by depth",
          desc: one.column.hint,
          selected: stateOf.row,
          kept: stateOf.kept,
          choose,
        }),
      ),
    );
    bus.on("select", redraw);
    bus.on("filter", redraw);
  }
}
