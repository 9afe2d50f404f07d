// Several named series of points or lines in one frame, and bars.
// series: [{name, points: [{x, y, lines, row}]}]; joined: connect points of the same x between series
function seriesChart(width, series, o) {
  const every = series.flatMap((one) => one.points.filter((p) => isNumber(p.y) && (!o.ylog || p.y > 0) && (!o.xlog || p.x > 0)));
  const inner = extent(every.map((p) => p.y)),
    reach = (inner[1] - inner[0]) * 0.6; // long intervals are cut so that the points stay apart
  const edges = every
    .flatMap((p) => [p.y, p.low, p.high])
    .map((v) => (isNumber(v) && !o.lines ? clamp(v, inner[0] - reach, inner[1] + reach) : v));
  const f = frame(width, o.height, {
    x: o.x || padded(...extent(every.map((p) => p.x)), o.xlog),
    y: padded(...extent(o.zero ? [...edges, 0] : edges), o.ylog),
    ...o,
    interactive: true,
  });
  if (o.band)
    f.svg.append(
      s("rect", {
        class: "band",
        x: f.left,
        y: clamp(f.Y(o.band[1]), f.top, f.bottom),
        width: f.right - f.left,
        height: Math.max(0, clamp(f.Y(o.band[0]), f.top, f.bottom) - clamp(f.Y(o.band[1]), f.top, f.bottom)),
      }),
    );
  for (const p of every) Object.assign(p, { px: trim(f.X(p.x)), py: trim(f.Y(p.y)) });
  if (o.joined) {
    const rows = new Map();
    for (const p of every) rows.set(p.row, rows.has(p.row) ? `${rows.get(p.row)}L${p.px} ${p.py}` : `M${p.px} ${p.py}`);
    f.svg.append(path([...rows.values()].join(""), { class: "link" }));
  }
  const radius = o.radius ?? (every.length > 600 ? 2 : every.length > 150 ? 3 : 4.2);
  series.forEach((one, index) => {
    const seen = one.points.filter((p) => isNumber(p.px)),
      banded = seen.filter((p) => isNumber(p.low) && isNumber(p.high));
    const area =
      banded.length > 1 && o.lines
        ? "M" +
          [...banded.map((p) => `${p.px} ${trim(f.Y(p.high))}`), ...banded.toReversed().map((p) => `${p.px} ${trim(f.Y(p.low))}`)].join(
            "L",
          ) +
          "Z"
        : "";
    f.svg.append(
      s(
        "g",
        { class: "s" + (index % 8) },
        area
          ? path(area, { class: "area" })
          : o.lines
            ? null
            : path(
                banded
                  .map((p) => `M${p.px} ${trim(clamp(f.Y(p.low), f.top, f.bottom))}V${trim(clamp(f.Y(p.high), f.top, f.bottom))}`)
                  .join(""),
                { class: "whisk" },
              ),
        o.lines ? path(seen.map((p, k) => `${k ? "L" : "M"}${p.px} ${p.py}`).join(""), { class: "stroke" }) : null,
        o.lines && seen.length > 60
          ? null
          : path(seen.map((p) => shape(o.lines ? 0 : index, p.px, p.py, o.lines ? 2.4 : radius)).join(""), { class: "solid" }),
      ),
    );
  });
  const chosen = every.find((p) => p.row !== undefined && p.row === o.selected);
  if (chosen) f.svg.append(line(chosen.px, f.top, chosen.px, f.bottom, "here"));
  explore(
    f,
    every.sort((a, b) => a.px - b.px),
    o.choose,
  );
  return f.svg;
}

function barChart(width, bars, o) {
  const seen = bars.filter((bar) => isNumber(bar.y)),
    ends = extent(seen.flatMap((bar) => [bar.from, bar.to])),
    [low, high] = extent([...seen.map((bar) => bar.y), 0]);
  const f = frame(width, o.height, {
    ...o,
    x: seen.length ? ends : [0, 1],
    y: [low < 0 ? low * 1.07 : 0, high > 0 ? high * 1.07 : low < 0 ? 0 : 1],
    interactive: true,
  });
  const zero = f.Y(0),
    d = seen
      .map((bar) => {
        bar.px = trim(f.X((bar.from + bar.to) / 2));
        bar.py = trim(f.Y(bar.y));
        return `M${trim(f.X(bar.from))} ${trim(zero)}V${bar.py}H${trim(f.X(bar.to))}V${trim(zero)}z`;
      })
      .join("");
  f.svg.append(s("g", { class: "s0" }, path(d, { class: "solid" })), line(f.left, trim(zero), f.right, trim(zero), "zero"));
  explore(f, seen, null);
  return f.svg;
}
