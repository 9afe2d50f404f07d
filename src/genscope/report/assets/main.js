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
bus.on("select", ({ row }) => {
  stateOf.row = row;
}); // first to hear, so that every chart redraws with the new selection
bus.on("filter", (kept) => {
  stateOf.kept = kept;
});
const choose = (point) => bus.emit("select", { row: point.row, from: "chart" });
function start() {
  const mounted = {
    depth: mountDepth,
    multiples: mountMultiples,
    layer: mountLens,
    changes: mountChanges,
    forest: mountForest,
    scatter: mountScatter,
    figures: mountFigures,
    topic: mountFigures,
    surface: mountSurface,
  };
  for (const [id, section] of Object.entries(sections))
    if (section.kind in mounted && hostOf(id)) mounted[section.kind](hostOf(id), section);
  bus.on("select", ({ row, from }) => {
    if (from !== "start" && from !== "address")
      writeAddress(
        table.full(row).length <= 300
          ? { layer: table.full(row) + (table.at("view", row) ? "::" + table.at("view", row) : ""), row: null }
          : { row: row + 1, layer: null },
      );
  });
  if (tablePayload && table.n) state.table = mountTable(hostOf("table"), tablePayload, table);
  window.addEventListener("hashchange", () => follow("address"));
  if (!follow("address") && sections.layer && table.n) bus.emit("select", { row: firstRow(), from: "start" });
}
const state = { table: null };
function follow(from) {
  const asked = readAddress(),
    name = asked.get("layer"),
    number = Number(asked.get("row"));
  if (asked.get("theme")) setTheme(asked.get("theme"));
  if (!sections.layer) return false;
  const row =
    number >= 1 && number <= table.n
      ? number - 1
      : name
        ? ([(r) => `${table.full(r)}::${table.at("view", r)}` === name, (r) => table.full(r) === name]
            .map((test) => table.rows.findIndex(test))
            .find((r) => r >= 0) ?? -1)
        : -1;
  if (row >= 0 && row !== stateOf.row) bus.emit("select", { row, from });
  return row >= 0;
}
function firstRow() {
  // the first layer whose fit is believed and has a curve, else the first
  const row = table.rows.find((r) => table.at("status", r) === "ok" && sections.layer.spectra[r]);
  return row ?? 0;
}
function setTheme(theme) {
  if (theme !== "light" && theme !== "dark") return;
  document.documentElement.dataset.theme = theme;
  document.getElementById("theme-name").textContent = theme === "dark" ? "Dark" : "Light";
}
document.getElementById("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : window.matchMedia("(prefers-color-scheme: dark)").matches;
  setTheme(dark ? "light" : "dark");
  writeAddress({ theme: dark ? "light" : "dark" });
});
start();
