// Ground floor: elements made only through textContent, numbers for people, scales, one tooltip, the address as state.
const SVG = "http://www.w3.org/2000/svg";
const page = JSON.parse(document.getElementById("data").textContent);
const still = window.matchMedia("(prefers-reduced-motion: reduce)");

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "on") for (const [name, handler] of Object.entries(value)) node.addEventListener(name, handler);
    else if (key === "text") node.textContent = value;
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) if (child !== null && child !== undefined) node.append(child);
  return node;
}
const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
const extent = (values) => values.reduce((e, v) => (isNumber(v) ? [Math.min(e[0], v), Math.max(e[1], v)] : e), [Infinity, -Infinity]);

const WRITERS = new Map(); // Intl objects are slow to make and quick to use
const written = (value, least, most) => {
  const key = least * 32 + most,
    writer =
      WRITERS.get(key) ||
      WRITERS.set(key, new Intl.NumberFormat("en-US", { minimumFractionDigits: least, maximumFractionDigits: most })).get(key);
  return writer.format(value).replace("-", "−");
};
const SUPERSCRIPTS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const power = (exponent) => "10" + Array.from(String(exponent), (c) => SUPERSCRIPTS[c]).join("");
function format(value, digits = 4) {
  if (!isNumber(value)) return value === null || value === undefined ? "–" : String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e12) return written(value, 0, 0);
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) {
    const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
    return (mantissa + "×" + power(Number(exponent))).replace(/^-/, "−");
  }
  const whole = Math.trunc(Number(size.toPrecision(digits))),
    places = whole >= 1 ? Math.max(0, digits - String(whole).length) : digits - 1;
  return written(value, places, places);
}
function bytes(count) {
  if (!isNumber(count)) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let step = 0;
  while (Math.abs(count) >= 1000 && step < 4) {
    count /= 1000;
    step += 1;
  }
  return (step ? Number(count.toPrecision(3)) : count) + " " + units[step];
}

// Scales: a function from data to pixels that knows its ticks.
function scale(low, high, from, to, log) {
  if (log) {
    const a = Math.log10(low),
      b = Math.log10(high),
      span = b - a || 1;
    const map = (v) => from + ((Math.log10(v) - a) / span) * (to - from);
    return Object.assign(map, {
      log: true,
      low,
      high,
      invert: (p) => 10 ** (a + ((p - from) / (to - from)) * span),
      ticks: (n) => logTicks(a, b, n),
    });
  }
  const span = high - low || 1;
  const map = (v) => from + ((v - low) / span) * (to - from);
  return Object.assign(map, {
    log: false,
    low,
    high,
    invert: (p) => low + ((p - from) / (to - from)) * span,
    ticks: (n) => linearTicks(low, high, n),
  });
}
function linearTicks(low, high, n) {
  const raw = (high - low) / Math.max(1, n) || 1;
  const base = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * base).find((m) => m >= raw);
  const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) ticks.push([k * step, plainTick(k * step + 0, places)]);
  return ticks;
}
const plainTick = (v, places) => (v === 0 ? "0" : Math.abs(v) >= 1e6 || (v !== 0 && places > 4) ? format(v, 2) : written(v, 0, places));
function logTicks(a, b, n) {
  const first = Math.ceil(a - 1e-9),
    last = Math.floor(b + 1e-9),
    ticks = [];
  if (last - first >= 2) {
    const step = Math.max(1, Math.ceil((last - first) / Math.max(1, n)));
    for (let k = Math.ceil(first / step) * step; k <= last; k += step)
      ticks.push([10 ** k, Math.abs(k) <= 3 ? plainTick(10 ** k, 3) : power(k)]);
    return ticks;
  }
  for (let k = Math.floor(a); k <= Math.ceil(b); k++)
    for (const m of [1, 2, 5]) {
      const v = m * 10 ** k;
      if (Math.log10(v) >= a - 1e-9 && Math.log10(v) <= b + 1e-9) ticks.push([v, k < -4 ? format(v, 1) : plainTick(v, Math.max(0, -k))]);
    }
  return ticks;
}

// Curves arrive as steps on a logarithmic grid of 4,095 levels.
function unpack(steps) {
  const [low, high] = steps,
    span = (high - low) / 4095,
    values = [];
  let level = 0;
  for (let k = 2; k < steps.length; k++) {
    level += steps[k];
    values.push(10 ** (low + level * span));
  }
  return values;
}
const unpackCurve = (curve) => (curve ? { x: unpack(curve.x), y: unpack(curve.y) } : null);

// One tooltip, moved through CSSOM (inline style attributes are forbidden by the policy of the page).
const tip = document.getElementById("tip");
function showTip(lines, x, y) {
  tip.replaceChildren(h("b", { text: lines[0] }), ...lines.slice(1).map((line) => h("span", { text: line })));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = clamp(x + 14, 6, Math.max(6, window.innerWidth - box.width - 6)) + "px";
  tip.style.top = (y + box.height + 22 > window.innerHeight ? Math.max(6, y - box.height - 12) : y + 16) + "px";
}
const hideTip = () => {
  tip.hidden = true;
};
const live = document.getElementById("live");
const say = (text) => {
  live.textContent = text;
};

// Who is interested in what: "select" (row index) and "filter" (set of visible rows).
const bus = {
  heard: {},
  on(name, handler) {
    (this.heard[name] ||= []).push(handler);
  },
  emit(name, value) {
    for (const handler of this.heard[name] || []) handler(value);
  },
};

// The address holds what a reader may want to share: layer, curve, theme.
const readAddress = () => new URLSearchParams(window.location.hash.slice(1));
function writeAddress(changes) {
  const held = readAddress();
  for (const key of [...held.keys()]) if (!["layer", "row", "curve", "theme"].includes(key)) held.delete(key);
  for (const [key, value] of Object.entries(changes)) value === null ? held.delete(key) : held.set(key, value);
  try {
    window.history.replaceState(null, "", "#" + held.toString());
  } catch {
    window.location.hash = held.toString();
  }
}

function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
async function copy(text, button) {
  const said = button.textContent;
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    try {
      done = document.execCommand("copy");
    } catch {
      done = false;
    }
    area.remove();
  }
  button.textContent = done ? "Copied" : "Not allowed here";
  say(button.textContent);
  setTimeout(() => {
    button.textContent = said;
  }, 1400);
}

// Charts are drawn again when their box changes width; drawing happens once per frame at most.
function responsive(host, draw) {
  let width = 0,
    queued = false;
  const redraw = () => {
    queued = false;
    const now = Math.floor(host.clientWidth);
    if (now > 0) {
      width = now;
      draw(now);
    }
  };
  const queue = () => {
    if (!queued) {
      queued = true;
      requestAnimationFrame(redraw);
    }
  };
  new ResizeObserver(() => {
    if (Math.abs(Math.floor(host.clientWidth) - width) > 1) queue();
  }).observe(host);
  redraw();
  return queue;
}
let serial = 0;
function chart(width, height, title, description, extra) {
  const id = "c" + (serial += 1);
  return s(
    "svg",
    { class: "chart", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-labelledby": `${id}t ${id}d`, ...extra },
    s("title", { id: id + "t", text: title }),
    s("desc", { id: id + "d", text: description }),
  );
}
const path = (d, attributes) => s("path", { d: d || "M0 0", ...attributes });
const line = (x1, y1, x2, y2, cls) => s("line", { x1, y1, x2, y2, class: cls });
const label = (x, y, text, attributes) => s("text", { x, y, text, ...attributes });
const trim = (v) => Math.round(v * 100) / 100;
