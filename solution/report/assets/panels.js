// Sections that hold plots: the plots of an exam, effects, fine-tunings.

const section = (name, ...children) =>
  h("section", { id: name, "aria-labelledby": `${name}-title` },
    h("h2", { id: `${name}-title` }, t(name)), ...children);

function plotsSection(board) {
  if (!board.known) return null;
  const big = [
    accuracyAgainst(board, "parameters", "size"),
    accuracyAgainst(board, "speed", "speed"),
    accuracyAgainst(board, "memory", "memory", { limit: report.memory_limit }),
    publicPrivate(board),
  ];
  return section("plots",
    h("div", { class: "figures" }, big),
    h("p", { class: "note" }, `${t("plot_note")} ${t("halves_note")}`),
    h("h3", {}, t("calibration")),
    h("div", { class: "multiples" }, board.models.map(calibrationOf)),
    h("p", { class: "note" }, t("calibration_note")),
    h("h3", {}, t("positions")),
    h("div", { class: "multiples" }, board.models.map((m) => positionsOf(m, board.positions))),
    h("p", { class: "note" }, t("positions_note")));
}

function effectsSection(board) {
  if (board.effects.length === 0) return null;
  const ends = board.effects.flatMap((e) => e.parts.flatMap((p) => [p.low, p.high]));
  const domain = span([0, ...ends], { room: 0.04 });
  const row = (part) => h("tr", {},
    h("th", { scope: "row" }, part.subject ? said(cut(part.subject, 40)) : t("all_questions")),
    h("td", { class: "micro-cell" }, microEffect(part, domain)),
    h("td", {}, points(part.gain)),
    h("td", {}, `${points(part.low)} … ${points(part.high)}`),
    h("td", {}, pValue(part.p)), h("td", { class: "quiet" }, String(part.n)));
  return section("effects", board.effects.map((effect) => {
    const [of, versus] = [effect.of, effect.versus].map((i) => cut(board.models[i].name, 60));
    const title = `${t(`kind_${effect.kind}`)}: ${t("versus", of, versus)}`;
    return h("div", { class: "effect" }, h("h3", {}, said(title, "span")),
      scroller(title, h("table", { class: "numbers" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("part")), h("td", {}),
          ["points", "interval"].map((name) => h("th", { scope: "col" }, t(name))),
          h("th", { scope: "col" }, "p"), h("th", { scope: "col" }, "n"))),
        h("tbody", {}, effect.parts.map(row)))));
  }), h("p", { class: "note" }, t("effects_note")));
}

function microEffect(part, [low, high]) {
  const X = scale(low, high, 4, 236, false);
  const sure = part.low > 0 || part.high < 0;
  return s("svg", { class: `micro wide ${sure ? "sure" : ""}`, viewBox: "0 0 240 16", "aria-hidden": "true" },
    s("line", { class: "zero", x1: X(0), x2: X(0), y1: 0, y2: 16 }),
    s("line", { class: "whisker", x1: X(part.low), x2: X(part.high), y1: 8, y2: 8 }),
    mark("", X(part.gain), 8, 3.6));
}

function tuningSection() {
  if (report.tunings.length === 0) return null;
  return section("tuning", report.tunings.map((tuning) => h("article", { class: "tuning" },
    h("h3", {}, said(cut(tuning.name, 120)), " ", h("span", { class: "note" }, said(cut(tuning.model ?? "", 120)))),
    h("div", { class: "figures" },
      tuning.loss.length > 1 ? lossPlot(tuning) : null,
      tuning.validation.length > 1 ? validationPlot(tuning) : null,
      h("div", { class: "beside" }, gainsTable(tuning),
        tuning.trainable_parameters ? h("p", { class: "note" }, t("tuning_facts", tuning)) : null)))));
}

// The loss of single steps jumps; the line is its running mean over a twentieth of the steps.
function lossPlot(tuning) {
  const rows = tuning.loss, reach = Math.max(1, Math.round(rows.length / 40));
  const smooth = rows.map(([step], i) => {
    const near = rows.slice(Math.max(0, i - reach), i + reach + 1);
    return [step, near.reduce((sum, [, loss]) => sum + Math.max(loss, 1e-6), 0) / near.length];
  });
  const losses = rows.map(([, loss]) => Math.max(loss, 1e-6));
  const frame = plot({
    title: t("loss"), height: 220,
    x: { domain: [0, rows[rows.length - 1][0]], label: t("x_step") },
    y: { domain: [Math.min(...losses) / 1.1, Math.max(...losses) * 1.1], log: true, format: (v) => String(Number(v.toPrecision(2))) },
  });
  add(frame.svg, 
    s("path", { class: "line faint", d: path(rows.map(([step], i) => [step, losses[i]]), frame.X, frame.Y) }),
    s("path", { class: "line", d: path(smooth, frame.X, frame.Y) }));
  return figure(t("loss"), frame.svg);
}

function validationPlot(tuning) {
  const rows = tuning.validation, before = tuning.before.validation;
  const all = before === null || before === undefined ? rows : [[0, before], ...rows];
  const frame = plot({
    title: t("validation_accuracy"), height: 220,
    x: { domain: [0, rows[rows.length - 1][0]], label: t("x_step") },
    y: { domain: span(all.map(([, value]) => value), { least: 0.01, within: [0, 1] }), format: asTick },
  });
  const best = rows.find(([step]) => step === tuning.best_step);
  add(frame.svg, s("path", { class: "line", d: path(all, frame.X, frame.Y) }),
    all.map(([step, value]) => s("circle", { class: "mark", cx: frame.X(step), cy: frame.Y(value), r: 2.8 },
      s("title", {}, `${step}: ${fixed(value)}`))));
  if (best) {
    const x = frame.X(best[0]), y = frame.Y(best[1]);
    add(frame.svg, mark("tuned", x, y, 5), s("text", { class: "label", x: Math.min(x, frame.right - 40), y: y - 11, "text-anchor": "middle" },
      `${t("best_step")} ${fixed(best[1], 3)}`));
  }
  return figure(t("validation_accuracy"), frame.svg);
}

function gainsTable(tuning) {
  const flat = (at) => ({ validation: at.validation, ...at.test });
  const before = flat(tuning.before), after = flat(tuning.after);
  const names = { validation: t("validation"), overall: t("test"), public: t("public"), private: t("private") };
  const rows = Object.keys({ ...names, ...after }).filter((part) => (after[part] ?? null) !== null);
  return h("table", { class: "numbers" },
    h("thead", {}, h("tr", {}, ["part", "before", "after", "points"].map((name) => h("th", { scope: "col" }, t(name))))),
    h("tbody", {}, rows.map((part) => h("tr", {},
      h("th", { scope: "row" }, names[part] ?? said(cut(part, 40))),
      h("td", {}, fixed(before[part])), h("td", {}, fixed(after[part])),
      h("td", {}, (before[part] ?? null) === null ? "" : points(after[part] - before[part]))))));
}
