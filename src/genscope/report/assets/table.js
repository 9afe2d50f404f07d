// The table: sorted by any column, filtered, searched, driven by keys; only the rows in sight exist.
const ROW = 34,
  ALWAYS = 250;

function store(payload) {
  const data = payload.data,
    names = data[payload.name] || [];
  const alike = new Map();
  names.forEach((name) => alike.set(name, (alike.get(name) || 0) + 1));
  return {
    ...payload,
    at: (key, row) => (data[key] ? data[key][row] : null),
    full: (row) => (names[row] === null || names[row] === undefined ? "" : String(names[row])),
    label: (row) => payload.labels[row] ?? String(names[row] ?? "(no name)"),
    view: (row) => (alike.get(names[row]) > 1 && data.view ? String(data.view[row] ?? "") : ""),
    rows: Array.from({ length: payload.n }, (_, row) => row),
  };
}

function cell(table, column, row) {
  const value = table.at(column.key, row);
  if (column.key === table.name) return table.label(row);
  if (column.kind === "int" || column.kind === "num") return format(value);
  if (column.kind === "bytes") return bytes(value);
  return value === null || value === undefined || value === "" ? "–" : String(value);
}

function order(table, column, down) {
  const key = column.kind === "interval" ? (row) => width(table, column, row) : (row) => table.at(column.key, row);
  const words = new Intl.Collator("en", { numeric: true });
  return (a, b) => {
    const x = key(a),
      y = key(b),
      noX = x === null || x === undefined || x === "",
      noY = y === null || y === undefined || y === "";
    if (noX || noY) return noX === noY ? a - b : noX ? 1 : -1; // rows without a value stay last in both directions
    const by = isNumber(x) && isNumber(y) ? x - y : words.compare(String(x), String(y));
    return (down ? -by : by) || a - b;
  };
}

const width = (table, column, row) => {
  const low = table.at(column.of + "_low", row),
    high = table.at(column.of + "_high", row);
  return isNumber(low) && isNumber(high) ? high - low : null;
};

function intervalGlyph(table, column, row) {
  const low = table.at(column.of + "_low", row),
    high = table.at(column.of + "_high", row),
    mid = table.at(column.of, row);
  if (!isNumber(low) || !isNumber(high)) return h("span", { text: "–" });
  const x = (v) => trim(4 + clamp((v - 1) / 9, 0, 1) * 88),
    believed = table.at("status", row) !== "doubtful";
  return s(
    "svg",
    { width: 96, height: 16, viewBox: "0 0 96 16", role: "img", "aria-label": `${format(low, 3)} to ${format(high, 3)}` },
    s("title", { text: `95%: ${format(low, 3)} to ${format(high, 3)}` }),
    s("rect", { class: "band", x: x(column.band[0]), y: 0, width: x(column.band[1]) - x(column.band[0]), height: 16 }),
    s(
      "g",
      { class: "s0" },
      line(x(low), 8, x(high), 8, "stroke thin"),
      isNumber(mid) ? s("circle", { cx: x(mid), cy: 8, r: 3, class: believed ? "solid" : "hollow" }) : null,
    ),
  );
}

function mountTable(host, section, table) {
  const state = { sort: null, down: false, words: "", off: {}, all: false, rows: table.rows, active: 0, selected: -1 };
  const body = h("tbody"),
    head = h("thead"),
    count = h("span", { class: "count", role: "status" });
  const grid = h(
    "table",
    { "aria-rowcount": table.n + 1 },
    h("caption", { class: "unseen", text: "One row per entry. Arrow keys move, Enter selects." }),
    head,
    body,
  );
  const box = h("div", { class: "box", role: "region", "aria-label": "Table", tabindex: -1 }, grid);
  const columns = () => table.columns.filter((column) => state.all || column.shown);
  const right = (column) => (["num", "int", "bytes"].includes(column.kind) ? "right" : "");
  const cls = (column) => [column.key === table.name ? "first" : "", right(column)].join(" ").trim() || null;

  function drawHead() {
    head.replaceChildren(
      h(
        "tr",
        {},
        columns().map((column) => {
          const sorted = state.sort === column.key;
          const button = h("button", {
            type: "button",
            title: column.hint,
            text: column.label + (sorted ? (state.down ? " ↓" : " ↑") : ""),
            on: { click: () => sortBy(column.key) },
          });
          return h(
            "th",
            {
              scope: "col",
              class: cls(column),
              "aria-sort": sorted ? (state.down ? "descending" : "ascending") : null,
              "data-key": column.key,
            },
            button,
          );
        }),
      ),
    );
  }
  function drawRow(place) {
    const row = state.rows[place];
    const cells = columns().map((column) => {
      const text = column.kind === "interval" ? null : cell(table, column, row);
      const inner =
        column.kind === "interval"
          ? intervalGlyph(table, column, row)
          : column.kind === "status"
            ? h("span", { class: "badge badge-" + (["ok", "doubtful", "skipped", "failed"].includes(text) ? text : "skipped"), text })
            : text;
      const hint = column.kind === "status" ? table.at("reason", row) : text !== null && text.length > 24 ? text : null;
      return h("td", { class: cls(column), title: hint }, inner);
    });
    return h(
      "tr",
      {
        "data-row": row,
        "data-place": place,
        tabindex: place === state.active ? 0 : -1,
        "aria-rowindex": place + 2,
        "aria-selected": row === state.selected ? "true" : "false",
      },
      cells,
    );
  }
  function drawBody() {
    const n = state.rows.length,
      few = n <= ALWAYS || state.printing,
      high = box.clientHeight || 600;
    const from = few ? 0 : clamp(Math.floor(box.scrollTop / ROW) - 12, 0, n),
      to = few ? n : Math.min(n, from + Math.ceil(high / ROW) + 24);
    const gap = (size) => {
      const room = h("td", { colspan: columns().length });
      room.style.height = size * ROW + "px";
      return h("tr", { class: "gap", "aria-hidden": "true" }, room);
    };
    const drawn = [];
    if (from) drawn.push(gap(from));
    for (let place = from; place < to; place++) drawn.push(drawRow(place));
    if (to < n) drawn.push(gap(n - to));
    if (!n) drawn.push(h("tr", {}, h("td", { colspan: columns().length, text: "Nothing matches these filters." })));
    const held = body.contains(document.activeElement);
    body.replaceChildren(...drawn);
    state.from = from;
    state.to = to;
    if (held) body.querySelector(`[data-place="${state.active}"]`)?.focus({ preventScroll: true });
  }
  function refresh() {
    const words = state.words.toLowerCase().split(/\s+/).filter(Boolean);
    const searched = [table.name, "kind", "view", "status", "reason", "dtype", "verdict", "layer"].filter((key) => table.data[key]);
    state.rows = table.rows.filter(
      (row) =>
        section.filters.every((key) => !(state.off[key] || new Set()).has(String(table.at(key, row)))) &&
        words.every((word) =>
          searched.some((key) =>
            String(key === table.name ? table.label(row) : (table.at(key, row) ?? ""))
              .toLowerCase()
              .includes(word),
          ),
        ),
    );
    const column = table.columns.find((other) => other.key === state.sort);
    if (column) state.rows.sort(order(table, column, state.down));
    state.active = 0;
    count.textContent =
      state.rows.length === table.n ? `${format(table.n)} rows` : `${format(state.rows.length)} of ${format(table.n)} rows`;
    drawHead();
    drawBody();
    bus.emit("filter", state.rows.length === table.n ? null : new Set(state.rows));
  }
  function sortBy(key) {
    const numeric = right(table.columns.find((column) => column.key === key)) === "right";
    if (state.sort !== key) {
      state.sort = key;
      state.down = numeric;
    } else if (state.down === numeric) state.down = !state.down;
    else {
      state.sort = null;
      state.down = false;
    }
    refresh();
    head.querySelector(`th[data-key="${CSS.escape(key)}"] button`)?.focus();
  }
  function go(place) {
    state.active = clamp(place, 0, state.rows.length - 1);
    const top = state.active * ROW,
      room = box.clientHeight - 38 - ROW;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top > box.scrollTop + room) box.scrollTop = top - room;
    drawBody();
    body.querySelector(`[data-place="${state.active}"]`)?.focus({ preventScroll: true });
  }
  body.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(box.clientHeight / ROW) - 2);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in moves) go(state.active + moves[event.key]);
    else if (event.key === "Enter" || event.key === " ") bus.emit("select", { row: state.rows[state.active], from: "table" });
    else return;
    event.preventDefault();
  });
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-row]");
    if (!row || String(window.getSelection())) return;
    state.active = Number(row.dataset.place);
    bus.emit("select", { row: Number(row.dataset.row), from: "table" });
  });
  bus.on("select", ({ row }) => {
    state.selected = row;
    drawBody();
  });
  box.addEventListener("scroll", () => {
    if (state.rows.length > ALWAYS) requestAnimationFrame(drawBody);
  });
  window.addEventListener("beforeprint", () => {
    state.printing = state.rows.length <= 1500;
    drawBody();
  });
  window.addEventListener("afterprint", () => {
    state.printing = false;
    drawBody();
  });

  const everyColumn = h("button", {
    type: "button",
    "aria-pressed": "false",
    text: "All columns",
    on: {
      click: () => {
        state.all = !state.all;
        everyColumn.setAttribute("aria-pressed", String(state.all));
        refresh();
      },
    },
  });
  const search = h("input", {
    type: "search",
    placeholder: "Search",
    "aria-label": "Search the table",
    on: {
      input: () => {
        state.words = search.value;
        refresh();
      },
    },
  });
  host.append(
    h(
      "div",
      { class: "tools" },
      search,
      section.filters.map((key) => chips(table, key, state, refresh)),
      table.columns.some((column) => !column.shown) ? everyColumn : null,
      exports(table, () => state.rows),
      count,
    ),
    box,
  );
  refresh();
  return {
    show(measure) {
      for (const column of table.columns) if (column.measure) column.shown = column.measure === measure;
      refresh();
    },
  };
}
