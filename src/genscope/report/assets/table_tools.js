// What stands above the table: filters by value, and ways to take the rows away.
const short = (text, most = 28) => (text.length > most ? text.slice(0, most - 1) + "…" : text);

function chips(table, key, state, refresh) {
  const tally = new Map();
  for (const row of table.rows) {
    const value = String(table.at(key, row));
    if (value !== "null") tally.set(value, (tally.get(value) || 0) + 1);
  }
  if (tally.size < 2 || !table.data[key]) return null;
  const off = (state.off[key] = new Set());
  if (tally.size > 5) {
    const choice = h(
      "select",
      {
        "aria-label": "Filter by " + key,
        on: {
          change: () => {
            off.clear();
            if (choice.value) for (const value of [...tally.keys(), "null"]) if (value !== choice.value.slice(1)) off.add(value);
            refresh();
          },
        },
      },
      h("option", { value: "", text: `Every ${key}` }),
      [...tally].map(([value, n]) => h("option", { value: "=" + value, text: `${short(value)} (${n})` })),
    );
    return choice;
  }
  return h(
    "span",
    { class: "set chips", role: "group", "aria-label": "Filter by " + key },
    [...tally].map(([value, n]) => {
      const chip = h("button", {
        type: "button",
        "aria-pressed": "true",
        "data-filter": key,
        "data-value": value,
        text: `${short(value)} ${n}`,
        on: {
          click: () => {
            off.has(value) ? off.delete(value) : off.add(value);
            chip.setAttribute("aria-pressed", String(!off.has(value)));
            refresh();
          },
        },
      });
      return chip;
    }),
  );
}

// Downloads: full precision, true minus signs; a text that a spreadsheet would run as a formula is made a text again.
function csvCell(value) {
  if (value === null || value === undefined) return "";
  let text = String(value);
  if (typeof value !== "number" && /^[=+\-@\t\r\0]/.test(text) && !/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) text = "'" + text;
  return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

function toCsv(table, rows) {
  const keys = Object.keys(table.data);
  return (
    [keys.map(csvCell).join(","), ...rows.map((row) => keys.map((key) => csvCell(table.data[key][row])).join(","))].join("\r\n") + "\r\n"
  );
}

function toJson(table, rows) {
  const keys = Object.keys(table.data);
  return JSON.stringify(
    {
      verb: page.verb,
      source: page.source,
      [page.rows_name]: rows.map((row) => Object.fromEntries(keys.map((key) => [key, table.data[key][row]]))),
    },
    null,
    1,
  );
}

function exports(table, rows) {
  const name = "genscope-" + page.verb;
  const copying = h("button", {
    type: "button",
    text: "Copy CSV",
    title: "Copy the rows shown",
    on: { click: () => copy(toCsv(table, rows()), copying) },
  });
  return h(
    "span",
    { class: "set", role: "group", "aria-label": "Take the rows shown away" },
    copying,
    h("button", {
      type: "button",
      text: "CSV",
      title: "Download the rows shown as CSV",
      on: { click: () => download(name + ".csv", "text/csv", toCsv(table, rows())) },
    }),
    h("button", {
      type: "button",
      text: "JSON",
      title: "Download the rows shown as JSON",
      on: { click: () => download(name + ".json", "application/json", toJson(table, rows())) },
    }),
  );
}
