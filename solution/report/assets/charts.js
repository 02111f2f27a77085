// The plots of one exam.

const asTick = (value) => value.toFixed(2).replace(/0$/, "");

function accuracyAgainst(board, field, name, { limit } = {}) {
  const models = board.models.filter((m) => m[field] > 0 && m.accuracy !== undefined);
  if (models.length === 0) return null;
  const random = board.baselines.find((b) => b.name.startsWith("random"));
  const heights = models.flatMap((m) => [m.ci_low, m.ci_high]);
  if (random) heights.push(random.accuracy);
  const widths = models.map((m) => m[field]);
  if (limit) widths.push(limit);
  const frame = plot({
    title: t(`vs_${name}`),
    x: { domain: logSpan(widths), log: true, label: t(`x_${name}`), format: short },
    y: { domain: span(heights, { within: [0, 1], least: 0.02 }), format: asTick },
  });
  if (limit) {
    const x = frame.X(limit);
    add(frame.svg, 
      s("rect", { class: "beyond", x, y: frame.top, width: frame.right - x, height: frame.bottom - frame.top }),
      s("line", { class: "limit", x1: x, x2: x, y1: frame.top, y2: frame.bottom }),
      s("text", { class: "limit", x: x - 5, y: frame.top + 9, "text-anchor": "end" }, t("limit", limit)));
  }
  if (random) {
    const y = frame.Y(random.accuracy);
    add(frame.svg, 
      s("line", { class: "chance", x1: frame.left, x2: frame.right, y1: y, y2: y }),
      s("text", { class: "chance", x: frame.right, y: y + 13, "text-anchor": "end" }, t("chance")));
  }
  add(frame.svg, named(frame, models.map((m) => ({
    x: m[field], y: m.accuracy, low: m.ci_low, high: m.ci_high, name: m.name, kind: m.kind,
    hint: `${m.name}: ${fixed(m.accuracy)} (${fixed(m.ci_low, 3)}–${fixed(m.ci_high, 3)}), ${short(m[field])}`,
  }))));
  return figure(t(`vs_${name}`), frame.svg);
}

function publicPrivate(board) {
  const models = board.models.filter((m) => m.public !== undefined && m.private !== undefined);
  if (models.length === 0) return null;
  const sizes = [0, 1].map((half) => board.questions.filter((q) => q[8] === half).length);
  const domain = span(models.flatMap((m) => [m.public, m.private]), { within: [0, 1], least: 0.06 });
  const frame = plot({
    title: t("vs_halves"),
    x: { domain, label: t("x_public"), format: asTick },
    y: { domain, label: t("y_private"), format: asTick },
  });
  const reach = (p) => 1.96 * Math.sqrt(p * (1 - p) * (1 / sizes[0] + 1 / sizes[1]));
  const steps = Array.from({ length: 61 }, (_, i) => domain[0] + ((domain[1] - domain[0]) * i) / 60);
  const inside = (v) => Math.min(domain[1], Math.max(domain[0], v));
  const band = [...steps.map((p) => [p, inside(p + reach(p))]), ...steps.reverse().map((p) => [p, inside(p - reach(p))])];
  add(frame.svg, 
    s("path", { class: "band", d: `${path(band, frame.X, frame.Y)}z` }),
    s("path", { class: "chance", d: path([[domain[0], domain[0]], [domain[1], domain[1]]], frame.X, frame.Y) }),
    named(frame, models.map((m) => ({
      x: m.public, y: m.private, name: m.name, kind: m.kind,
      hint: `${m.name}: ${fixed(m.public)} / ${fixed(m.private)}`,
    }))));
  return figure(t("vs_halves"), frame.svg);
}

function calibrationOf(model) {
  const frame = plot({
    small: true, width: 176, height: 150, title: `${t("calibration")}: ${model.name}`,
    x: { domain: [0, 1], ticks: [0, 0.5, 1] }, y: { domain: [0, 1], ticks: [0, 0.5, 1] },
  });
  const rows = model.calibration.filter(([count]) => count > 0);
  const most = Math.max(...rows.map(([count]) => count));
  add(frame.svg, 
    s("path", { class: "chance", d: path([[0, 0], [1, 1]], frame.X, frame.Y) }),
    s("path", { class: "line", d: path(rows.map((r) => [r[1], r[2]]), frame.X, frame.Y) }),
    rows.map(([count, sure, right]) => s("circle", {
      class: `mark ${model.kind}`, cx: frame.X(sure), cy: frame.Y(right), r: 1.8 + 4 * Math.sqrt(count / most),
    }, s("title", {}, `${percent(sure)} → ${percent(right)} (${count})`))));
  return multiple(model, frame.svg, `${t("ece_short")} ${fixed(model.ece, 3)}`);
}

function positionsOf(model, key) {
  const count = Math.max(model.positions.length, key?.length ?? 0);
  const most = Math.max(...model.positions, ...(key ?? [0]));
  const frame = plot({
    small: true, width: 176, height: 150, title: `${t("positions")}: ${model.name}`,
    x: { domain: [0.4, count + 0.6], ticks: Array.from({ length: count }, (_, i) => i + 1) },
    y: { domain: [0, most * 1.05] },
  });
  const wide = (frame.right - frame.left) / (count + 0.2);
  const bar = (value, index, part, name) => s("rect", {
    class: name, x: frame.X(index + 1) - (wide * part) / 2, width: wide * part,
    y: frame.Y(value), height: frame.bottom - frame.Y(value),
  });
  add(frame.svg, 
    model.positions.map((value, i) => bar(value, i, 0.5, `bar ${model.kind}`)),
    (key ?? []).map((value, i) => bar(value, i, 0.82, "outline")));
  return multiple(model, frame.svg);
}

const multiple = (model, svg, note) =>
  h("figure", { class: "multiple" },
    h("figcaption", { title: cut(model.name, 200) }, said(shortName(model.name)), note ? h("span", { class: "note" }, note) : null), svg);

function microInterval(model, [low, high]) {
  const X = scale(low, high, 3, 97, false);
  return s("svg", { class: "micro", viewBox: "0 0 100 14", "aria-hidden": "true" },
    s("line", { class: "whisker", x1: X(model.ci_low ?? model.accuracy), x2: X(model.ci_high ?? model.accuracy), y1: 7, y2: 7 }),
    mark(model.kind, X(model.accuracy), 7, 3));
}
