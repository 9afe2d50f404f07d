// Views of measures rather than matrices: intervals of rank correlations, scatters, figures of an assessment.
function mountForest(host, section) {
  const items = section.items,
    body = h("div");
  host.append(h("div", { class: "card" }, body));
  responsive(body, (width) => {
    const narrow = width < 520,
      room = narrow ? 12 : clamp(width * 0.28, 140, 320),
      pitch = narrow ? 44 : 28,
      height = items.length * pitch + 52,
      right = narrow ? 14 : 150;
    const svg = chart(
      width,
      height,
      "Kendall's τ by measure",
      items
        .slice(0, 5)
        .map((item) => `${item.measure} ${format(item.kendall, 2)}`)
        .join("; "),
    );
    const X = scale(-1, 1, room, width - right),
      bottom = height - 40;
    for (const v of [-1, -0.5, 0, 0.5, 1])
      svg.append(
        line(trim(X(v)), 6, trim(X(v)), bottom, v ? "grid" : "zero"),
        label(trim(X(v)), bottom + 18, plainTick(v, 1), { "text-anchor": "middle" }),
      );
    svg.append(label((X(-1) + X(1)) / 2, height - 4, section.target ? `Kendall's τ with ${section.target}` : "Kendall's τ with the score", { "text-anchor": "middle" }));
    items.forEach((item, k) => {
      const y = k * pitch + (narrow ? 34 : 22),
        low = item.kendall_low,
        high = item.kendall_high,
        sure = isNumber(item.p_adjusted) ? item.p_adjusted <= 0.05 : isNumber(low) && isNumber(high) && low * high > 0;
      const full = item.measure + (item.baseline ? " (baseline)" : ""),
        name = full.length > 44 ? full.slice(0, 43) + "…" : full,
        words = two(item.kendall) + (isNumber(low) && isNumber(high) ? ` (${two(low)} to ${two(high)})` : "");
      const row = s(
        "g",
        { class: sure ? "s0" : "s6" },
        s("title", { text: `${item.measure}: τ ${words}` + (isNumber(item.p_value) ? `, p ${format(item.p_value, 2)}` : "") }),
      );
      row.append(
        narrow
          ? label(room, y - 12, `${name}  ${words}`, { class: "label over" })
          : label(room - 14, y + 4, fit(name, room), { class: "label", "text-anchor": "end" }),
      );
      if (isNumber(low) && isNumber(high)) row.append(line(trim(X(clamp(low, -1, 1))), y, trim(X(clamp(high, -1, 1))), y, "stroke"));
      row.append(path(shape(0, X(item.kendall), y, 5), { class: sure ? "solid" : "hollow" }));
      if (!narrow) row.append(label(width - right + 16, y + 4, words));
      svg.append(row);
    });
    body.replaceChildren(svg);
  });
  const keys = [
    swatch(
      s("g", { class: "s0" }, path(shape(0, 11, 6, 4), { class: "solid" })),
      section.adjusted ? "beyond chance, the number of measures considered" : "interval excludes zero",
    ),
    swatch(s("g", { class: "s6" }, path(shape(0, 11, 6, 4), { class: "hollow" })), "cannot tell from chance"),
  ];
  host.append(legend(keys));
  if (page.verb === "rank") return;
  const columns = ["measure", "n", "spearman", "kendall", "p_value", "r2", "loo_rmse"].filter((key) =>
    items.some((item) => item[key] !== undefined),
  );
  const title = {
    measure: "Measure",
    n: "Models",
    spearman: "Spearman ρ",
    kendall: "Kendall τ",
    p_value: "p-value",
    r2: "R²",
    loo_rmse: "LOO RMSE",
  };
  host.append(
    h(
      "div",
      { class: "box forest-table" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            columns.map((key) => h("th", { scope: "col", class: "plain", text: title[key] })),
          ),
        ),
        h(
          "tbody",
          {},
          items.map((item) =>
            h(
              "tr",
              {},
              columns.map((key) => h("td", { text: format(item[key]) })),
            ),
          ),
        ),
      ),
    ),
  );
}

const two = (v) => v.toFixed(2).replace("-", "−");

const fit = (text, room) => (text.length * 6.6 > room ? text.slice(0, Math.max(4, Math.floor(room / 6.6) - 1)) + "…" : text);

function scatterSeries(one) {
  const groups = [...new Set(one.groups)];
  const at = (k) => ({
    x: one.x[k],
    y: one.y[k],
    lines: [
      one.labels[k] || `model ${k + 1}`,
      `${one.measure} ${format(one.x[k])}`,
      `score ${format(one.y[k])}`,
      ...(one.groups[k] ? [one.groups[k]] : []),
    ],
  });
  const points = one.x.map((_, k) => k).filter((k) => isNumber(one.x[k]) && isNumber(one.y[k]));
  return (groups.length ? groups : [""]).map((group) => ({
    name: group,
    points: points.filter((k) => !groups.length || one.groups[k] === group).map(at),
  }));
}

function mountScatter(host, section) {
  const large = h("div"),
    caption = h("figcaption"),
    keys = h("div"),
    figures = [];
  let chosen = 0;
  const redraw = () => {
    const one = section.charts[chosen],
      series = scatterSeries(one);
    caption.textContent = `${one.measure} against ${section.target}`;
    keys.replaceChildren(
      series.length > 1
        ? legend(
            series.map((other, k) => swatch(s("g", { class: "s" + (k % 8) }, path(shape(k, 11, 6, 4), { class: "solid" })), other.name)),
          )
        : "",
    );
    drawLarge.now = (width) =>
      large.replaceChildren(
        seriesChart(width, series, {
          height: width < 520 ? 280 : 360,
          title: caption.textContent,
          desc: `${one.x.length} models`,
          xlabel: one.measure,
          ylabel: section.target,
        }),
      );
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
    const body = h("div"),
      pick = () => {
        chosen = k;
        redraw();
      };
    const figure = h(
      "figure",
      {
        class: "pick",
        tabindex: 0,
        role: "button",
        "aria-pressed": "false",
        on: {
          click: pick,
          keydown: (event) => {
            if (event.target === figure && (event.key === "Enter" || event.key === " ")) {
              event.preventDefault();
              pick();
            }
          },
        },
      },
      h("figcaption", { text: one.measure }),
      body,
    );
    figures.push(figure);
    grid.append(figure);
    responsive(body, (width) => {
      const svg = seriesChart(width, scatterSeries(one), {
        height: 170,
        radius: 3,
        title: `${one.measure} against ${section.target}`,
        desc: "",
      });
      svg.removeAttribute("tabindex");
      body.replaceChildren(svg);
    });
  });
  redraw();
}

function mountFigures(host, section) {
  host.className = "mount grid-of";
  for (const figure of section.figures) {
    const body = h("div"),
      keys = h("div"),
      axes = { title: figure.title, desc: "", xlabel: figure.xlabel || "", ylabel: figure.ylabel || "", height: 240 };
    host.append(h("figure", {}, h("figcaption", { text: figure.title }), body, keys));
    const asPoints = (one) =>
      one.x
        .map((x, k) => ({
          x,
          y: one.y[k],
          low: one.low?.[k],
          high: one.high?.[k],
          lines: [`${figure.xlabel || "x"} ${format(x, 3)}`, `${figure.ylabel || "y"} ${format(one.y[k], 3)}`],
        }))
        .filter((p) => isNumber(p.x));
    if (figure.type === "line" || figure.type === "lines") {
      const series = (figure.series || [figure]).map((one) => ({ name: one.name || figure.title, points: asPoints(one) }));
      const log = figure.log || figure.series?.[0]?.log || "";
      responsive(body, (width) =>
        body.replaceChildren(seriesChart(width, series, { ...axes, lines: true, xlog: log.includes("x"), ylog: log.includes("y") })),
      );
      if (series.length > 1)
        keys.append(
          legend(series.map((one, k) => swatch(s("g", { class: "s" + (k % 8) }, path("M1 6H21", { class: "stroke" })), one.name))),
        );
    } else if (figure.type === "hist")
      responsive(body, (width) =>
        body.replaceChildren(
          barChart(
            width,
            figure.values.map((y, k) => ({
              from: figure.edges[k],
              to: figure.edges[k + 1],
              y,
              lines: [`${format(figure.edges[k], 3)} to ${format(figure.edges[k + 1], 3)}`, format(y, 3)],
            })),
            axes,
          ),
        ),
      );
    else
      responsive(body, (width) =>
        body.replaceChildren(
          barChart(
            width,
            figure.values.map((y, k) => ({ from: k + 0.6, to: k + 1.4, y, lines: [figure.labels[k] || `${k + 1}`, format(y)] })),
            { ...axes, xlabel: figure.xlabel || "layer, in order" },
          ),
        ),
      );
  }
}
