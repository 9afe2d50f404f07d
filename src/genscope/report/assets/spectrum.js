// One spectrum on logarithmic axes: eigenvalues, fitted tail with its interval, xmin, random bulk and randomized twin.
// curves: unpacked {ccdf, twin, hist, mp}; facts: {alpha, low, high, xmin, tailShare, lambdaMax}; mode "ccdf" or "density"
function spectrumChart(width, height, curves, facts, mode) {
  const main = mode === "density" ? curves.hist : curves.ccdf,
    twin = mode === "density" ? null : curves.twin,
    bulk = mode === "density" ? curves.mp?.curve : null;
  const xs = extent([...main.x, ...(twin ? twin.x : []), facts.xmin, curves.mp?.edge].filter((v) => v > 0)),
    ys = extent([...main.y, ...(twin ? twin.y : [])]);
  const bulkStart = curves.ccdf ? (curves.ccdf.x.find((v, k) => curves.ccdf.y[k] <= 0.98) ?? xs[0]) : xs[0],
    hidden = bulkStart / xs[0] > 8;
  const x = padded(Math.max(hidden ? bulkStart / 1.5 : xs[0], xs[1] * 1e-7), xs[1], true),
    y = padded(Math.max(ys[0], ys[1] * 1e-9), ys[1], true);
  const desc =
    `${main.x.length} points from λ ${format(xs[0], 2)} to ${format(xs[1], 2)}` +
    (isNumber(facts.alpha) ? `; fitted tail with α ${format(facts.alpha, 3)} above xmin ${format(facts.xmin, 3)}` : "");
  const f = frame(width, height, {
    x,
    y,
    xlog: true,
    ylog: true,
    title: mode === "density" ? "Density of eigenvalues" : "Share of eigenvalues above λ",
    desc,
    xlabel: `eigenvalue λ of ${sections.layer.matrix}`,
    ylabel: mode === "density" ? "density ρ(λ)" : "share above λ",
    interactive: true,
  });
  const inside = (v, a, b) => clamp(v, a, b),
    px = (v) => trim(inside(f.X(v), f.left, f.right)),
    py = (v) => trim(inside(f.Y(v), f.top, f.bottom));
  const trace = (c, step) =>
    c.x.reduce(
      (d, v, k) =>
        v < x[0] || c.y[k] < y[0]
          ? d
          : d + (d ? (step ? `H${px(v)}V${py(c.y[k])}` : `L${px(v)} ${py(c.y[k])}`) : `M${px(v)} ${py(c.y[k])}`),
      "",
    );
  const keys = [],
    line2 = (cls) => path("M1 6H21", { class: cls });
  const fitted = isNumber(facts.alpha) && facts.xmin > 0 && facts.tailShare > 0;
  if (fitted)
    f.svg.append(
      s("rect", { class: "tail", x: px(facts.xmin), y: f.top, width: Math.max(0, f.right - px(facts.xmin)), height: f.bottom - f.top }),
    );
  if (twin) {
    f.svg.append(s("g", { class: "s6" }, path(trace(twin), { class: "stroke thin dotted" })));
    keys.push(swatch(s("g", { class: "s6" }, line2("stroke thin dotted")), "randomized twin"));
  }
  if (bulk) {
    f.svg.append(s("g", { class: "s2" }, path(trace(bulk), { class: "stroke thin" })));
    keys.push(swatch(s("g", { class: "s2" }, line2("stroke thin")), "random bulk (Marchenko–Pastur)"));
  }
  const bin = mode === "density" ? 10 ** (Math.min(...main.x.slice(1).map((v, k) => Math.log10(v / main.x[k]))) / 2) : 1,
    seen = main.x.map((v, k) => [v, main.y[k]]).filter(([v, w]) => v >= x[0] && w >= y[0]);
  const bars = seen.map(([v, w]) => `M${px(v / bin)} ${f.bottom}V${py(w)}H${px(v * bin)}V${f.bottom}z`).join(""),
    tops = seen.map(([v, w]) => `M${px(v / bin)} ${py(w)}H${px(v * bin)}`).join("");
  const dots = main.x.reduce(
    (d, v, k) => (v < x[0] || main.y[k] < y[0] ? d : d + shape(0, px(v), py(main.y[k]), main.x.length > 90 ? 2 : 2.6)),
    "",
  );
  f.svg.append(
    s(
      "g",
      { class: "s0" },
      mode === "density" ? [path(bars, { class: "area" }), path(tops, { class: "stroke thin" })] : path(dots, { class: "solid" }),
    ),
  );
  keys.unshift(
    swatch(
      s(
        "g",
        { class: "s0" },
        mode === "density"
          ? [path("M1 3H21V12H1z", { class: "area" }), path("M1 3H21", { class: "stroke thin" })]
          : path(shape(0, 11, 6, 3.4), { class: "solid" }),
      ),
      "eigenvalues",
    ),
  );
  if (hidden) keys.push(h("li", { text: "the smallest 2% lie left of the frame" }));
  if (fitted) {
    const value = (v, a) =>
      mode === "density"
        ? ((facts.tailShare * (a - 1)) / facts.xmin) * (v / facts.xmin) ** -a
        : facts.tailShare * (v / facts.xmin) ** (1 - a);
    const free = (v) => trim(clamp(f.Y(Math.max(v, 1e-300)), -4000, 4000)),
      start = `M${px(facts.xmin)} ${free(value(facts.xmin, facts.alpha))}`,
      end = (a) => `L${f.right} ${free(value(x[1], a))}`;
    const box = `frame${(serial += 1)}`,
      inBox = { "clip-path": `url(#${box})` };
    f.svg.append(s("clipPath", { id: box }, s("rect", { x: f.left, y: f.top, width: f.right - f.left, height: f.bottom - f.top })));
    if (isNumber(facts.low) && isNumber(facts.high) && facts.low > 1)
      f.svg.append(s("g", { class: "s3" }, path(start + end(facts.low) + end(facts.high) + "Z", { class: "area", ...inBox })));
    f.svg.append(s("g", { class: "s3" }, path(start + end(facts.alpha), { class: "stroke dashed", ...inBox })));
    keys.push(
      swatch(
        s("g", { class: "s3" }, line2("stroke dashed")),
        `fit, α ${format(facts.alpha, 3)}` + (isNumber(facts.low) ? ` (95% ${format(facts.low, 3)}–${format(facts.high, 3)})` : ""),
      ),
    );
    f.svg.append(
      s("g", { class: "s1" }, path(`M${px(facts.xmin)} ${f.top}V${f.bottom}`, { class: "stroke thin" })),
      label(px(facts.xmin) - 5, f.top + 12, "xmin", { class: "label over", "text-anchor": "end" }),
    );
    keys.push(swatch(s("g", { class: "s1" }, path("M11 0V12", { class: "stroke thin" })), `xmin ${format(facts.xmin, 3)}, tail shaded`));
  }
  const edge = curves.mp?.edge;
  if (edge > 0) {
    f.svg.append(
      s("g", { class: "s2" }, path(`M${px(edge)} ${f.top}V${f.bottom}`, { class: "stroke thin dashed" })),
      label(px(edge) + 5, f.top + 12, "MP edge", { class: "label over" }),
    );
    keys.push(swatch(s("g", { class: "s2" }, path("M11 0V12", { class: "stroke thin dashed" })), `MP edge ${format(edge, 3)}`));
  }
  const words = mode === "density" ? "density" : "share above";
  explore(
    f,
    main.x.map((v, k) => ({ px: px(v), py: py(main.y[k]), lines: [`λ ${format(v, 3)}`, `${words} ${format(main.y[k], 3)}`] })),
    null,
  );
  return { svg: f.svg, legend: legend(keys) };
}

function spectrumOf(row, packed) {
  const curves = {
    ccdf: unpackCurve(packed.ccdf),
    twin: unpackCurve(packed.twin),
    hist: unpackCurve(packed.hist),
    hill: unpackCurve(packed.hill),
    mp: packed.mp ? { ...packed.mp, curve: unpackCurve(packed.mp.curve) || bulkDensity(packed.mp.edge, row) } : null,
  };
  const alpha = table.at("alpha", row) ?? packed.alpha,
    xmin = table.at("xmin", row) ?? packed.xmin;
  let share = table.at("n_tail", row) / table.at("n_eigenvalues", row);
  if (!(share > 0) && curves.ccdf && isNumber(xmin))
    share =
      curves.ccdf.y[
        Math.max(
          0,
          curves.ccdf.x.findIndex((x) => x >= xmin),
        )
      ];
  return { curves, facts: { alpha, xmin, low: table.at("alpha_low", row), high: table.at("alpha_high", row), tailShare: share } };
}

// The Marchenko–Pastur density that ends at `edge`, for the shape of this row (a convolution operator has no such shape).
function bulkDensity(edge, row) {
  const sides = [table.at("rows", row), table.at("cols", row)];
  if (!(edge > 0) || !sides.every((side) => side > 1) || table.at("view", row) === "operator") return null;
  const q = Math.min(...sides) / Math.max(...sides),
    scaled = edge / (1 + Math.sqrt(q)) ** 2,
    low = scaled * (1 - Math.sqrt(q)) ** 2;
  const start = Math.max(low, edge * 1e-4),
    curve = { x: [], y: [] };
  for (let k = 1; k < 80; k++) {
    const x = start * (edge / start) ** (k / 80),
      y = Math.sqrt(Math.max(0, (edge - x) * (x - low))) / (2 * Math.PI * q * scaled * x);
    if (y > 0) {
      curve.x.push(x);
      curve.y.push(y);
    }
  }
  return curve;
}
