// One small plot: scales, axes, and marks on them. Lengths are in the units of the viewBox.

const LEFT = 44, RIGHT = 14, TOP = 12, BOTTOM = 40;

function scale(low, high, from, to, log) {
  const f = log ? Math.log10 : (v) => v;
  const a = f(low), b = f(high);
  return (value) => from + ((f(value) - a) / (b - a || 1)) * (to - from);
}

function niceTicks(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw || 1));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((m) => m >= raw) ?? power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => (first + i) * step);
}

function logTicks(low, high) {
  const wide = high / low > 400;
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const m of wide ? [1] : high / low > 30 ? [1, 3] : [1, 2, 5]) {
      const tick = m * 10 ** power;
      if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
    }
  }
  return ticks;
}

// The widest span of values with room around it.
function span(values, { room = 0.08, least = 0, within } = {}) {
  let low = Math.min(...values), high = Math.max(...values);
  const pad = Math.max((high - low) * room, least);
  low -= pad; high += pad;
  return within ? [Math.max(within[0], low), Math.min(within[1], high)] : [low, high];
}

function logSpan(values) {
  const low = Math.min(...values), high = Math.max(...values);
  return [low / 1.6, high * 1.6];
}

function plot({ width = 310, height = 250, x, y, title, small = false }) {
  const left = small ? 26 : LEFT, bottom = small ? 22 : BOTTOM, right = small ? 6 : RIGHT;
  const top = small ? 6 : TOP;
  const X = scale(...x.domain, left, width - right, x.log);
  const Y = scale(...y.domain, height - bottom, top, y.log);
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title, class: small ? "plot small" : "plot" });
  const grid = s("g", { class: "grid" });
  const ticks = (axis, count) =>
    axis.ticks ?? (axis.log ? logTicks(...axis.domain) : niceTicks(...axis.domain, count));
  for (const tick of ticks(y, small ? 2 : 5)) {
    grid.append(
      s("line", { x1: left, x2: width - right, y1: Y(tick), y2: Y(tick) }),
      s("text", { x: left - 6, y: Y(tick), dy: "0.35em", "text-anchor": "end" }, (y.format ?? String)(tick)));
  }
  for (const tick of ticks(x, small ? 2 : 5)) {
    grid.append(
      s("line", { class: "tick", x1: X(tick), x2: X(tick), y1: height - bottom, y2: height - bottom + 4 }),
      s("text", { x: X(tick), y: height - bottom + 16, "text-anchor": "middle" }, (x.format ?? String)(tick)));
  }
  grid.append(s("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }));
  if (x.label) grid.append(s("text", { class: "name", x: width - right, y: height - 5, "text-anchor": "end" }, x.label));
  if (y.label) grid.append(s("text", { class: "name", x: left, y: top - 2 }, y.label));
  svg.append(grid);
  return { svg, X, Y, left, right: width - right, top, bottom: height - bottom };
}

function path(rows, X, Y) {
  return rows.map(([a, b], i) => `${i ? "L" : "M"}${X(a).toFixed(2)} ${Y(b).toFixed(2)}`).join("");
}

function mark(kind, x, y, size = 4.5) {
  if (kind === "tuned") {
    return s("path", { class: "mark tuned", d: `M${x} ${y - size * 1.3}l${size * 1.3} ${size * 1.3}l${-size * 1.3} ${size * 1.3}l${-size * 1.3} ${-size * 1.3}z` });
  }
  return s("circle", { class: "mark", cx: x, cy: y, r: size });
}

// Points with names: each name goes to the side with room, then up or down until it is free.
function named(frame, rows) {
  const taken = rows.map(({ x, y }) => [frame.X(x) - 6, frame.Y(y) - 6, frame.X(x) + 6, frame.Y(y) + 6]);
  const group = s("g", {});
  for (const row of rows) {
    const x = frame.X(row.x), y = frame.Y(row.y);
    if (row.low !== undefined) group.append(s("line", { class: "whisker", x1: x, x2: x, y1: frame.Y(row.low), y2: frame.Y(row.high) }));
    const point = mark(row.kind, x, y);
    point.append(s("title", {}, row.hint));
    group.append(point);
  }
  for (const row of rows) group.append(nameBeside(frame, row, taken));
  return group;
}

function nameBeside(frame, row, taken) {
  const text = shortName(row.name, 22), wide = 6.1 * Array.from(text).length;
  const x = frame.X(row.x), y = frame.Y(row.y);
  const places = [];
  for (const dy of [0, -11, 11, -22, 22, -33, 33, -44, 44]) {
    places.push([x + 9, y + dy, "start"], [x - 9 - wide, y + dy, "end"]);
  }
  const free = ([left, middle]) =>
    left > frame.left - 2 && left + wide < frame.right + 10 && middle > frame.top + 4 && middle < frame.bottom - 4 &&
    taken.every(([a, b, c, d]) => left + wide < a || left > c || middle + 6 < b || middle - 6 > d);
  const [left, middle, anchor] = places.find(free) ?? places[x > (frame.left + frame.right) / 2 ? 1 : 0];
  taken.push([left, middle - 6, left + wide, middle + 6]);
  return s("text", { class: "label", x: anchor === "start" ? left : left + wide, y: middle, dy: "0.35em", "text-anchor": anchor }, text);
}

const figure = (title, svg, note) =>
  h("figure", {}, h("figcaption", {}, title), svg, note ? h("p", { class: "note" }, note) : null);
