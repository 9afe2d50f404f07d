// Several models side by side: a measure in every model by depth, and one layer in all models.
// Views of measures and of several models: what changed, intervals of rank correlations, scatters, figures of an assessment.
function mountChanges(host, section) {
  const choice = h(
    "select",
    {
      "aria-label": "Measure",
      on: {
        change: () => {
          redraw();
          state.table?.show(choice.value);
        },
      },
    },
    section.measures.map((one) => h("option", { value: one.key, text: one.label })),
  );
  choice.value = section.first;
  const body = h("div"),
    keys = legend(
      section.models.map((name, k) => swatch(s("g", { class: "s" + (k % 8) }, path(shape(k, 11, 6, 4), { class: "solid" })), name)),
    );
  host.append(h("div", { class: "tools" }, h("label", {}, "Measure ", choice), keys), h("div", { class: "card" }, body));
  const redraw = responsive(body, (width) => {
    const key = choice.value,
      name = choice.selectedOptions[0].textContent;
    const series = section.models.map((model, k) => ({
      name: model,
      points: table.rows
        .filter((row) => isNumber(table.at(`${key}[${k}]`, row)) && (!stateOf.kept || stateOf.kept.has(row)))
        .map((row) => ({
          row,
          x: row + 1 + (section.models.length > 1 ? (k / (section.models.length - 1) - 0.5) * 0.36 : 0),
          y: table.at(`${key}[${k}]`, row),
          low: table.at(`${key}_low[${k}]`, row),
          high: table.at(`${key}_high[${k}]`, row),
          get lines() {
            return [
              nameOf(row),
              `${model}: ${format(table.at(`${key}[${k}]`, row))}`,
              `change ${format(table.at(key + ".change", row), 3)}`,
            ];
          },
        })),
    }));
    if (!series.some((one) => one.points.length))
      return body.replaceChildren(h("p", { class: "empty", text: `${name} has no value in any shared layer.` }));
    body.replaceChildren(
      seriesChart(width, series, {
        height: width < 520 ? 280 : 340,
        x: [0.3, table.n + 0.7],
        joined: true,
        title: `${name} by depth and model`,
        desc: "One mark per model, joined within a layer. Enter selects the layer.",
        xlabel: "matrix, in the order of the checkpoint",
        ylabel: name,
        band: key === "alpha" ? [2, 6] : null,
        selected: stateOf.row,
        choose,
      }),
    );
  });
  bus.on("select", redraw);
  bus.on("filter", redraw);
}

function models(row, names) {
  const keys = sections.changes ? sections.changes.measures.map((one) => one.key) : [];
  const head = h(
    "tr",
    {},
    h("th", { scope: "col", text: "Measure", class: "plain" }),
    names.map((name) => h("th", { scope: "col", class: "plain", text: name })),
    h("th", { scope: "col", class: "plain", text: "Change" }),
  );
  const lines = keys
    .filter((key) => names.some((_, k) => isNumber(table.at(`${key}[${k}]`, row))))
    .map((key) =>
      h(
        "tr",
        {},
        h("td", { text: sections.changes.measures.find((one) => one.key === key).label }),
        names.map((_, k) => h("td", { class: "right", text: format(table.at(`${key}[${k}]`, row)) })),
        h("td", { class: "right", text: format(table.at(key + ".change", row), 3) }),
      ),
    );
  const other = table.columns.filter(
    (column) => !column.measure && ["num", "int"].includes(column.kind) && isNumber(table.at(column.key, row)),
  );
  return h(
    "div",
    {},
    h(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "Measures of this layer" },
      h("table", {}, h("thead", {}, head), h("tbody", {}, lines)),
    ),
    h(
      "div",
      { class: "pairs" },
      other.map((column) =>
        h("div", { title: column.hint }, h("span", { text: column.label }), h("span", { text: cell(table, column, row) })),
      ),
    ),
  );
}
