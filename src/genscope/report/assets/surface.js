// A loss surface that can be turned: painted on a canvas back to front, and its map from above.
const VIRIDIS = ["440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725"].map((hex) =>
  [0, 2, 4].map((k) => parseInt(hex.slice(k, k + 2), 16)),
);
function viridis(share, light = 1) {
  const at = clamp(share, 0, 1) * (VIRIDIS.length - 1),
    k = Math.min(Math.floor(at), VIRIDIS.length - 2);
  return `rgb(${VIRIDIS[k].map((low, c) => Math.round(clamp((low + (at - k) * (VIRIDIS[k + 1][c] - low)) * light, 0, 255))).join(" ")})`;
}
const READINGS = { loss: "Loss", error: "Error rate", margin: "Margin (5% quantile, logits)" };

function mountSurface(host, section) {
  const names = Object.keys(section.readings).filter((name) => name in READINGS && section.readings[name].some((row) => row.some(isNumber)));
  if (!names.length) return host.replaceChildren(h("p", { class: "empty", text: "No value on this plane is finite." }));
  const home = { turn: -0.6, tilt: 0.62, zoom: 1 },
    view = { ...home, reading: names[0], log: true, flat: false };
  const canvas = h("canvas", { class: "stage", tabindex: 0, role: "application", "aria-roledescription": "surface" });
  const bar = h("canvas", { class: "ramp", "aria-hidden": "true" }),
    ends = h("p", { class: "ramp-ends" });
  const ink = (name) => getComputedStyle(host).getPropertyValue(name).trim();
  const probe = h("span", { class: "probe unseen", "aria-hidden": "true" });
  const colour = (cls) => {
    probe.className = "probe unseen " + cls;
    return getComputedStyle(probe).color;
  };
  let redraw = () => {},
    places = null;

  const canLog = () => section.readings[view.reading].every((row) => row.every((v) => !isNumber(v) || v > 0));
  const heights = () => {
    const log = view.log && canLog();
    const values = section.readings[view.reading].map((row) => row.map((v) => (isNumber(v) ? (log ? Math.log10(v) : v) : null)));
    const [low, high] = extent(values.flat());
    return { values, low, high, log };
  };

  function paint(width) {
    const height = Math.round(clamp(width * 0.66, 260, 560)),
      ratio = window.devicePixelRatio || 1,
      field = heights();
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.width = width + "px";
    canvas.style.height = height + "px";
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = "12px " + (ink("--sans") || "sans-serif");
    const colours = { ink: colour("probe-ink"), muted: colour("probe-muted"), line: colour("probe-line"), paper: colour("probe-paper") };
    places = (view.flat ? paintMap : paintSolid)(pen, width, height, field, colours);
    ramp(field);
    canvas.setAttribute(
      "aria-label",
      `${READINGS[view.reading]} over ${section.labels[0]} and ${section.labels[1]}, from ${format(section.readings[view.reading].flat().filter(isNumber).reduce((a, b) => Math.min(a, b)), 3)} to ${format(section.readings[view.reading].flat().filter(isNumber).reduce((a, b) => Math.max(a, b)), 3)}`,
    );
  }

  const share = (v, field) => (field.high > field.low ? (v - field.low) / (field.high - field.low) : 0.5);
  const unit = (axis, v) => ((v - axis[0]) / (axis[axis.length - 1] - axis[0])) * 2 - 1;

  function paintMap(pen, width, height, field, colours) {
    const { x, y } = section,
      room = { left: 64, right: 16, top: 12, bottom: 46 },
      ratio = (x[x.length - 1] - x[0]) / (y[y.length - 1] - y[0]);
    if (ratio > 0.4 && ratio < 2.5) {
      // the same scale along both axes
      const spare = width - room.left - room.right - (height - room.top - room.bottom) * ratio;
      if (spare > 0) [room.left, room.right] = [room.left + spare / 2, room.right + spare / 2];
    }
    const X = scale(x[0], x[x.length - 1], room.left, width - room.right),
      Y = scale(y[0], y[y.length - 1], height - room.bottom, room.top);
    const edges = (axis, S) =>
      axis.map((v, k) => [S(k ? (axis[k - 1] + v) / 2 : v), S(k < axis.length - 1 ? (v + axis[k + 1]) / 2 : v)]);
    const across = edges(x, X),
      down = edges(y, Y);
    field.values.forEach((row, i) =>
      row.forEach((v, j) => {
        pen.fillStyle = v === null ? colours.line : viridis(share(v, field));
        pen.fillRect(across[i][0] - 0.3, down[j][1] - 0.3, across[i][1] - across[i][0] + 0.6, down[j][0] - down[j][1] + 0.6);
      }),
    );
    pen.fillStyle = colours.muted;
    pen.textAlign = "center";
    for (const [v, text] of X.ticks(6)) pen.fillText(text, X(v), height - room.bottom + 16);
    pen.fillText(section.labels[0], (room.left + width - room.right) / 2, height - 8);
    pen.textAlign = "right";
    for (const [v, text] of Y.ticks(6)) pen.fillText(text, room.left - 7, Y(v) + 4);
    pen.save();
    pen.translate(room.left - 50, (room.top + height - room.bottom) / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillText(section.labels[1], 0, 0);
    pen.restore();
    markAll(pen, section.marks.map((one) => [X(one.x), Y(one.y), one.label]));
    return { X, Y };
  }

  function paintSolid(pen, width, height, field, colours) {
    const { x, y } = section,
      size = Math.min(width * 0.33, height * 0.38) * view.zoom;
    const [ct, st, cp, sp] = [Math.cos(view.turn), Math.sin(view.turn), Math.cos(view.tilt), Math.sin(view.tilt)];
    const project = (a, b, c) => {
      const u = a * ct - b * st,
        w = a * st + b * ct;
      return [width / 2 + u * size, height * 0.47 - (c * cp + w * sp) * size, w * cp - c * sp]; // right, down, away
    };
    const lift = (v) => (share(v, field) - 0.5) * 1.25;
    const spot = (i, j) => {
      const v = field.values[i][j];
      return v === null ? null : project(unit(x, x[i]), unit(y, y[j]), lift(v));
    };
    const floor = -0.72;
    base(pen, project, floor, colours, false);
    const faces = [];
    for (let i = 0; i + 1 < x.length; i++)
      for (let j = 0; j + 1 < y.length; j++) {
        const corners = [spot(i, j), spot(i + 1, j), spot(i + 1, j + 1), spot(i, j + 1)];
        if (corners.includes(null)) continue; // a value that is not finite leaves a hole
        const vs = [field.values[i][j], field.values[i + 1][j], field.values[i + 1][j + 1], field.values[i][j + 1]];
        const slope = lift(vs[1]) + lift(vs[2]) - lift(vs[0]) - lift(vs[3]);
        faces.push({
          corners,
          depth: corners.reduce((a, c) => a + c[2], 0),
          colour: viridis(share(vs.reduce((a, b) => a + b, 0) / 4, field), 0.94 + clamp(-slope * 0.5, -0.14, 0.12)),
        });
      }
    faces.sort((a, b) => b.depth - a.depth);
    for (const face of faces) {
      pen.beginPath();
      face.corners.forEach(([px, py], k) => (k ? pen.lineTo(px, py) : pen.moveTo(px, py)));
      pen.closePath();
      pen.fillStyle = pen.strokeStyle = face.colour;
      pen.fill();
      pen.lineWidth = 0.6;
      pen.stroke();
    }
    base(pen, project, floor, colours, true);
    markAll(
      pen,
      section.marks.map((one) => {
        const near = (axis, v) => axis.reduce((best, a, k) => (Math.abs(a - v) < Math.abs(axis[best] - v) ? k : best), 0);
        const v = field.values[near(x, one.x)][near(y, one.y)];
        const [px, py] = project(unit(x, one.x), unit(y, one.y), v === null ? floor : lift(v));
        return [px, py, one.label];
      }),
    );
    return null;
  }

  function base(pen, project, floor, colours, words) {
    const corners = [
      [-1, -1],
      [1, -1],
      [1, 1],
      [-1, 1],
    ];
    if (words) return name(pen, project, floor, colours);
    pen.strokeStyle = colours.line;
    pen.lineWidth = 1;
    pen.beginPath();
    corners.concat([corners[0]]).forEach(([a, b], k) => {
      const [px, py] = project(a, b, floor);
      k ? pen.lineTo(px, py) : pen.moveTo(px, py);
    });
    pen.stroke();
  }

  // The axes' names and ends, on the sides that are nearer.
  function name(pen, project, floor, colours) {
    pen.fillStyle = colours.muted;
    pen.textAlign = "center";
    const named = [
      [section.labels[0], 0, -1.22],
      [section.labels[1], 1.22, 0],
    ];
    for (const [text, a, b] of named) {
      const side = project(a, b, floor),
        other = project(-a, -b, floor),
        seen = side[2] < other[2] ? side : other;
      pen.fillText(text, seen[0], seen[1] + 4);
    }
    const ticks = (axis, place) =>
      [axis[0], axis[axis.length - 1]].forEach((v, k) => {
        const [px, py] = place(k ? 1 : -1);
        pen.fillText(format(v, 2), px, py + 4);
      });
    const front = project(0, -1, floor)[2] < project(0, 1, floor)[2] ? -1.1 : 1.1,
      right = project(1, 0, floor)[2] < project(-1, 0, floor)[2] ? 1.1 : -1.1;
    ticks(section.x, (a) => project(a, front, floor));
    ticks(section.y, (b) => project(right, b, floor));
  }

  function markAll(pen, spots) {
    const path = spots.length > 4;
    if (path) {
      pen.strokeStyle = "#fff";
      pen.lineWidth = 2.5;
      pen.beginPath();
      spots.forEach(([px, py], k) => (k ? pen.lineTo(px, py) : pen.moveTo(px, py)));
      pen.stroke();
    }
    spots.forEach(([px, py, text], k) => {
      const named = !path || k === 0 || k === spots.length - 1;
      pen.beginPath();
      pen.arc(px, py, named ? 5 : 2.6, 0, 7);
      pen.fillStyle = "#fff";
      pen.strokeStyle = "#111418";
      pen.lineWidth = 1.5;
      pen.fill();
      pen.stroke();
      if (!named) return;
      pen.textAlign = "left";
      pen.lineWidth = 3.5;
      pen.strokeStyle = "rgb(255 255 255 / 0.85)";
      pen.strokeText(text, px + 9, py - 7);
      pen.fillStyle = "#111418";
      pen.fillText(text, px + 9, py - 7);
    });
  }

  function ramp(field) {
    bar.width = 256;
    bar.height = 1;
    const pen = bar.getContext("2d");
    for (let k = 0; k < 256; k++) {
      pen.fillStyle = viridis(k / 255);
      pen.fillRect(k, 0, 1, 1);
    }
    const back = (v) => format(field.log ? 10 ** v : v, 4);
    ends.replaceChildren(
      h("span", { text: back(field.low) }),
      h("span", { text: READINGS[view.reading] + (field.log ? " (log scale)" : "") }),
      h("span", { text: back(field.high) }),
    );
  }

  const press = (text, key, value) =>
    h("button", {
      type: "button",
      text,
      "aria-pressed": String(view[key] === value),
      on: {
        click: (event) => {
          view[key] = value;
          for (const one of event.target.parentNode.children) one.setAttribute("aria-pressed", String(one === event.target));
          logButton.disabled = !canLog();
          hideTip();
          redraw();
        },
      },
    });
  const logButton = h("button", {
    type: "button",
    text: "Log scale",
    "aria-pressed": "true",
    on: {
      click: () => {
        view.log = !view.log;
        logButton.setAttribute("aria-pressed", String(view.log));
        redraw();
      },
    },
  });
  logButton.disabled = !canLog();
  const turn = (changes, aloud) => {
    Object.assign(view, changes);
    view.tilt = clamp(view.tilt, 0.05, 1.5);
    view.zoom = clamp(view.zoom, 0.5, 4);
    if (aloud) say(`Turned to ${Math.round((view.turn * 180) / Math.PI)}°, tilted ${Math.round((view.tilt * 180) / Math.PI)}°, zoom ${format(view.zoom, 2)}`);
    redraw();
  };
  host.replaceChildren(
    h(
      "div",
      { class: "tools" },
      h("span", { class: "set", role: "group", "aria-label": "View" }, press("Surface", "flat", false), press("Map", "flat", true)),
      h("span", { class: "set", role: "group", "aria-label": "Reading" }, names.map((name) => press(READINGS[name].split(" (")[0], "reading", name))),
      logButton,
      h("button", { type: "button", text: "Reset view", on: { click: () => turn(home, true) } }),
    ),
    canvas,
    bar,
    ends,
    probe,
  );
  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointerup", () => {
    held = null;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (held && !view.flat) {
      turn({ turn: view.turn + (event.clientX - held[0]) / 180, tilt: view.tilt + (event.clientY - held[1]) / 220 });
      held = [event.clientX, event.clientY];
    } else if (view.flat && places) tell(event);
  });
  canvas.addEventListener("pointerleave", hideTip);
  canvas.addEventListener("blur", hideTip);
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (view.flat || document.activeElement !== canvas) return; // scrolling past the picture scrolls the page
      event.preventDefault();
      turn({ zoom: view.zoom * Math.exp(-event.deltaY / 600) });
    },
    { passive: false },
  );
  canvas.addEventListener("keydown", (event) => {
    const moves = {
      ArrowLeft: () => ({ turn: view.turn - 0.12 }),
      ArrowRight: () => ({ turn: view.turn + 0.12 }),
      ArrowUp: () => ({ tilt: view.tilt - 0.1 }),
      ArrowDown: () => ({ tilt: view.tilt + 0.1 }),
      "+": () => ({ zoom: view.zoom * 1.15 }),
      "=": () => ({ zoom: view.zoom * 1.15 }),
      "-": () => ({ zoom: view.zoom / 1.15 }),
      0: () => home,
    };
    if (!(event.key in moves) || event.ctrlKey || event.metaKey) return;
    if (view.flat) {
      step(event);
      event.preventDefault();
      return;
    }
    turn(moves[event.key](), true);
    event.preventDefault();
  });
  function tell(event) {
    const box = canvas.getBoundingClientRect(),
      find = (axis, v) => axis.reduce((best, a, k) => (Math.abs(a - v) < Math.abs(axis[best] - v) ? k : best), 0);
    const vx = places.X.invert(event.clientX - box.left),
      vy = places.Y.invert(event.clientY - box.top);
    if (vx < section.x[0] || vx > section.x[section.x.length - 1] || vy < section.y[0] || vy > section.y[section.y.length - 1]) return hideTip();
    showTip(wordsAt(find(section.x, vx), find(section.y, vy)), event.clientX, event.clientY);
  }
  // On the map the arrow keys go from point to point.
  const cursor = [Math.floor(section.x.length / 2), Math.floor(section.y.length / 2)];
  function step(event) {
    const [di, dj] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] || [0, 0];
    cursor[0] = clamp(cursor[0] + di, 0, section.x.length - 1);
    cursor[1] = clamp(cursor[1] + dj, 0, section.y.length - 1);
    const box = canvas.getBoundingClientRect(),
      lines = wordsAt(...cursor);
    showTip(lines, box.left + places.X(section.x[cursor[0]]), box.top + places.Y(section.y[cursor[1]]));
    say(lines.join(", "));
  }
  function wordsAt(i, j) {
    const lines = [`x = ${format(section.x[i], 3)}, y = ${format(section.y[j], 3)}`];
    for (const name of names) {
      const v = section.readings[name][i][j];
      lines.push(`${READINGS[name].split(" (")[0]} ${name === "error" && isNumber(v) ? format(100 * v, 3) + "%" : v === null ? "not finite" : format(v, 4)}`);
    }
    return lines;
  }
  redraw = responsive(canvas.parentNode, () => {
    const style = getComputedStyle(host);
    paint(Math.floor(host.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight)));
  });
  new MutationObserver(() => redraw()).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
}
