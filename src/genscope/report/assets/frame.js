// What charts share: marks that differ by shape as well as colour, a frame with axes, and exploring by pointer and keys.
const SHAPES = [
  (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
  (x, y, r) => `M${x - r * 0.9} ${y - r * 0.9}h${r * 1.8}v${r * 1.8}h${-r * 1.8}z`,
  (x, y, r) => `M${x} ${y - r * 1.25}l${r * 1.25} ${r * 1.25}l${-r * 1.25} ${r * 1.25}l${-r * 1.25} ${-r * 1.25}z`,
  (x, y, r) => `M${x} ${y - r * 1.2}l${r * 1.15} ${r * 2.1}h${-r * 2.3}z`,
  (x, y, r) => `M${x} ${y + r * 1.2}l${r * 1.15} ${-r * 2.1}h${-r * 2.3}z`,
  (x, y, r) => `M${x - r} ${y - r * 0.6}h${r * 2}v${r * 1.2}h${-r * 2}z`,
];

const shape = (group, x, y, r) => SHAPES[group % SHAPES.length](trim(x), trim(y), trim(r));

const swatch = (inner, text) => h("li", {}, s("svg", { width: 22, height: 12, "aria-hidden": "true" }, inner), text);

const legend = (items) => h("ul", { class: "keys" }, items);

function padded(low, high, log) {
  if (!isNumber(low) || !isNumber(high)) return log ? [0.1, 10] : [0, 1];
  if (log) return low === high ? [low / 2, high * 2] : [low / (high / low) ** 0.05, high * (high / low) ** 0.05];
  const room = (high - low) * 0.07 || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

// o: {x:[lo,hi], y:[lo,hi], xlog, ylog, xlabel, ylabel, title, desc, xticks, interactive}
function frame(width, height, o) {
  const probe = scale(...o.y, 1, 0, o.ylog).ticks(5),
    widest = Math.max(...probe.map((tick) => tick[1].length), 1);
  const left = Math.min(64, 14 + widest * 7) + (o.ylabel ? 18 : 0),
    bottom = o.xlabel ? 42 : 24,
    top = 10,
    right = 12;
  const svg = chart(
    width,
    height,
    o.title,
    o.desc || "",
    o.interactive ? { tabindex: 0, role: "application", "aria-roledescription": "chart" } : {},
  );
  const X = scale(...o.x, left, width - right, o.xlog),
    Y = scale(...o.y, height - bottom, top, o.ylog);
  for (const [v, text] of Y.ticks(clamp(Math.floor((height - bottom - top) / 42), 2, 8))) {
    svg.append(line(left, trim(Y(v)), width - right, trim(Y(v)), "grid"), label(left - 8, trim(Y(v)) + 4, text, { "text-anchor": "end" }));
  }
  const xticks = o.xticks || X.ticks(clamp(Math.floor((width - left - right) / 70), 3, 12));
  for (const [v, text] of xticks)
    if (X(v) >= left - 1 && X(v) <= width - right + 1) {
      svg.append(
        line(trim(X(v)), height - bottom, trim(X(v)), height - bottom + 4, "frame"),
        label(trim(X(v)), height - bottom + 17, text, { "text-anchor": "middle" }),
      );
    }
  svg.append(line(left, height - bottom, width - right, height - bottom, "frame"));
  if (o.xlabel) svg.append(label((left + width - right) / 2, height - 6, o.xlabel, { "text-anchor": "middle" }));
  if (o.ylabel)
    svg.append(label(0, 0, o.ylabel, { "text-anchor": "middle", transform: `translate(12 ${(height - bottom + top) / 2}) rotate(-90)` }));
  return { svg, X, Y, left, right: width - right, top, bottom: height - bottom, width, height };
}

// Pointer and keys over points {px, py, lines, row}: the nearest one is marked; click or Enter chooses it.
function explore(f, points, choose, upright = 1) {
  // upright: how much the vertical distance counts
  const mark = s("path", { class: "halo", d: "M0 0" });
  const guide = path("", { class: "mark" });
  const area = s("rect", {
    class: "hit" + (choose ? " go" : ""),
    x: f.left - 6,
    y: f.top - 6,
    width: Math.max(0, f.right - f.left + 12),
    height: f.bottom - f.top + 12,
  });
  let at = -1;
  const clear = () => {
    at = -1;
    mark.setAttribute("d", "M0 0");
    guide.setAttribute("d", "M0 0");
    hideTip();
  };
  const point = (index, aloud) => {
    at = index;
    const p = points[index],
      box = f.svg.getBoundingClientRect(),
      zoom = box.width / f.width || 1;
    mark.setAttribute("d", SHAPES[0](p.px, p.py, 7));
    guide.setAttribute("d", `M${p.px} ${f.top}V${f.bottom}`);
    showTip(p.lines, box.left + p.px * zoom, box.top + p.py * zoom);
    if (aloud) say(p.lines.join(", "));
  };
  const nearest = (event) => {
    const box = f.svg.getBoundingClientRect(),
      zoom = box.width / f.width || 1,
      x = (event.clientX - box.left) / zoom,
      y = (event.clientY - box.top) / zoom;
    let best = -1,
      least = Infinity;
    points.forEach((p, index) => {
      const d = (p.px - x) ** 2 + upright * (p.py - y) ** 2;
      if (d < least) {
        least = d;
        best = index;
      }
    });
    return best;
  };
  area.addEventListener("pointermove", (event) => {
    const index = nearest(event);
    if (index >= 0) point(index);
  });
  area.addEventListener("pointerleave", clear);
  area.addEventListener("click", (event) => {
    const index = nearest(event);
    if (index >= 0) {
      point(index);
      choose?.(points[index]);
    }
  });
  f.svg.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, Home: -Infinity, End: Infinity };
    if (event.key in moves && points.length)
      point(clamp(at < 0 && Number.isFinite(moves[event.key]) ? 0 : at + moves[event.key], 0, points.length - 1), true);
    else if (event.key === "Enter" && at >= 0) choose?.(points[at]);
    else if (event.key === "Escape") clear();
    else return;
    event.preventDefault();
  });
  f.svg.addEventListener("blur", clear);
  f.svg.append(guide, mark, area);
}
