// The sections made of tables: leaderboard, effects, fine-tunings, published results.
const tables = (() => {
  const { h, t, cut, user, shortName, fixed, points, pValue, short, row, table, scroller, note } = dom;
  const bounds = (values) => [Math.min(...values), Math.max(...values)];
  const td = (value, className) => h("td", { class: className }, value);
  let order = { column: "accuracy", descending: true };

  const nameCell = (m) => h("span", { class: "model-name", title: cut([m.model ?? m.name, m.prompt].filter(Boolean).join(", "), 300) },
    user(cut(m.name, 60)), " ", m.kind === "tuned" ? h("span", { class: "badge" }, t("tuned")) : null);

  // Columns with a `value` sort; a column without any value is left out.
  function columns(board) {
    const scored = [...board.models, ...board.baselines].filter((m) => m.accuracy !== undefined);
    const axis = bounds(scored.flatMap((m) => [m.ci_low, m.ci_high]));
    const number = (name, digits = 4, value = (m) => m[name], label = t(name)) =>
      ({ name, label, value, cell: (m) => fixed(value(m), digits) });
    const pBest = (m) => board.pairs.find(([a, b]) => a === 0 && board.models[b] === m)?.[2];
    const all = [
      { name: "model", label: t("model"), text: true, value: (m) => m.name.toLowerCase(), cell: nameCell },
      number("accuracy"),
      { name: "interval", label: t("interval"), cell: (m) => m.accuracy === undefined ? "" : [dom.interval(m.ci_low, m.accuracy, m.ci_high, axis),
        ` ${fixed(m.ci_low, 3)}–${fixed(m.ci_high, 3)}`] },
      { name: "group", label: t("group"), text: true, value: (m) => m.group, cell: (m) => m.group },
      number("public"), number("private"),
      ...board.subjects.slice(0, 8).map((s) => number(`subject ${s}`, 4, (m) => m.by_subject?.[s]?.[0] ?? m[`accuracy_${s}`], cut(s, 16))),
      number("macro_f1"),
      { name: "p_best", label: t("p_best"), value: pBest, cell: (m) => pBest(m) === undefined ? "" : pValue(pBest(m)) },
      number("ece", 3), number("label_mass", 3), number("speed", 1), number("memory", 2),
      { name: "parameters", label: t("parameters"), value: (m) => m.parameters, cell: (m) => short(m.parameters) },
      { name: "published", label: t("published"), value: (m) => m.published?.[0], cell: (m) => m.published?.map((v) => fixed(v)).join(" / ") },
      { name: "licence", label: t("licence"), text: true, value: (m) => m.licence, cell: (m) => user(cut(m.licence ?? "", 30)) },
    ];
    return all.filter((c) => !c.value || board.models.some((m) => c.value(m) !== undefined));
  }

  function sorted(board, { value }) {
    const sign = order.descending ? -1 : 1;
    return [...board.models].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
      return sign * (typeof x === "string" ? x.localeCompare(y) : x - y);
    });
  }

  function ranking(board) {
    const shown = columns(board), chosen = shown.find((c) => c.name === order.column) ?? shown[0];
    const head = shown.map((c) => {
      const own = c === chosen, state = !own ? "none" : order.descending ? "descending" : "ascending";
      return h("th", { scope: "col", class: c.text ? "text" : "", "aria-sort": c.value ? state : null }, !c.value ? c.label
        : h("button", { "data-sort": c.name, onclick: () => sortBy(board, c) }, c.label, own ? (order.descending ? " ↓" : " ↑") : ""));
    });
    const cells = (m) => shown.map((c, i) => (i ? td(c.cell(m), c.text ? "text" : "") : c.cell(m)));
    const result = table(head, sorted(board, chosen).map((m) => row(cells(m), { class: m.kind })), { class: "board" });
    result.tBodies[0].id = "ranks";
    result.append(h("tbody", { class: "below" }, board.baselines.map((m) => row(cells(m))), board.failed.map((one) =>
      row([user(cut(one.name, 60)), h("td", { class: "text reason", colspan: shown.length - 1 }, user(cut(one.reason, 300)))]))));
    return result;
  }

  function sortBy(board, { name, text }) {
    order = { column: name, descending: order.column === name ? !order.descending : !text };
    const box = document.querySelector("#leaderboard .scroll"), across = box.scrollLeft;
    box.replaceChildren(ranking(board));
    box.scrollLeft = across;
    box.querySelector(`button[data-sort="${CSS.escape(name)}"]`).focus();
  }

  function leaderboard(board) {
    const p = (a, b) => board.pairs.find(([x, y]) => x === Math.min(a, b) && y === Math.max(a, b))?.[2];
    const parts = ["subject", "source"].flatMap((kind) => board[`${kind}s`].slice(0, 20).map((name) => [`by_${kind}`, name]));
    const names = board.models.map((m) => user(shortName(m.name)));
    return dom.section("leaderboard", scroller(t("leaderboard"), ranking(board)),
      note(t(board.known ? "board_note" : "no_key")),
      !board.known || board.models.length < 2 ? null : dom.details(t("every_pair"), table(["", ...board.models.map((m) => user(shortName(m.name, 16)))],
        names.map((name, a) => [name, ...names.map((_, b) => (a === b ? "" : td(pValue(p(a, b)), p(a, b) < 0.05 ? "" : "tie")))]))),
      !board.known || parts.length === 0 ? null : dom.details(t("by_part"), table([t("model"), ...parts.map(([, name]) => user(cut(name, 24)))],
        board.models.map((m, i) => [names[i].cloneNode(true), ...parts.map(([kind, name]) => m[kind][name]).map((v) =>
          `${fixed(v[0], 3)} (${fixed(v[1], 2)}–${fixed(v[2], 2)})`)]))));
  }

  function effects(board) {
    const axis = bounds([0, ...board.effects.flatMap((e) => e.parts.flatMap((p) => [p.low, p.high]))]);
    return dom.section("effects", board.effects.map((effect) => {
      const title = t("versus", t(`kind_${effect.kind}`), ...[effect.of, effect.versus].map((i) => cut(board.models[i].name, 60)));
      return [h("h3", {}, user(title, "span")), scroller(title, table([t("part"), "", t("points"), t("interval"), "p", "n"], effect.parts.map((part) => [
        part.subject ? user(cut(part.subject, 40)) : t("all"),
        dom.interval(part.low, part.gain, part.high, axis, { class: part.low > 0 || part.high < 0 ? "wide sure" : "wide" }),
        points(part.gain), `${points(part.low)} … ${points(part.high)}`, pValue(part.p), String(part.n)])))];
    }), note(t("effects_note")));
  }

  function tuning(report) {
    return dom.section("tuning", report.tunings.map((one) => {
      const [before, after] = [one.before, one.after].map((at) => ({ validation: at.validation, ...at.test }));
      const names = { validation: t("validation"), overall: t("test"), public: t("public"), private: t("private") };
      const rows = Object.keys({ ...names, ...after }).filter((part) => (after[part] ?? null) !== null);
      return [h("h3", {}, user(cut(one.name, 120)), " ", user(cut(one.model ?? "", 120), "bdi", { class: "quiet" })), h("div", { class: "figures" },
        one.loss.length > 1 ? charts.loss(one) : null, one.validation.length > 1 ? charts.validation(one) : null,
        h("div", {}, table(["part", "before", "after", "points"].map((name) => t(name)), rows.map((part) => [names[part] ?? user(cut(part, 40)),
          fixed(before[part]), fixed(after[part]), (before[part] ?? null) === null ? "" : points(after[part] - before[part])])),
        one.trainable_parameters ? note(t("tuning_facts", short(one.trainable_parameters), one.steps ?? "?", fixed((one.training_seconds ?? 0) / 60, 1))) : null))];
    }));
  }

  function study(report) {
    const runs = report.boards.flatMap((board) => board.models.filter((m) => m.accuracy !== undefined).map((m) => ({ ...m, exam: board.name })));
    const { tasks, rows } = report.kobest;
    const cells = [...new Set(rows.flatMap((one) => Object.keys(one.cells)))].sort((a, b) =>
      tasks.indexOf(a.split("/")[0]) - tasks.indexOf(b.split("/")[0]) || a.split("/")[1] - b.split("/")[1]);
    return dom.section("study", h("h3", {}, t("candidates")), scroller(t("candidates"),
      table(["model", "public", "private", "parameters", "licence", "measured"].map((name) => t(name)), report.candidates.map((one) => [
        one.model, fixed(one.public), fixed(one.private), short(one.parameters), td(one.licence ?? "", "text"),
        td(runs.filter((m) => one.runs.includes(m.run)).map((m) => user(cut(`${fixed(m.public)} / ${fixed(m.private)}, ${m.exam}`, 60), "div")), "text")]))),
    note(t("candidates_note")), h("h3", {}, t("kobest")), scroller(t("kobest"), table([t("model"), ...cells], rows.map((one) => [
      [user(cut(one.model, 60)), h("span", { class: "badge" }, t(one.measured ? "measured" : "published"))],
      ...cells.map((cell) => fixed(one.cells[cell]))]))), note(t("kobest_note")));
  }

  return { leaderboard, effects, tuning, study };
})();
