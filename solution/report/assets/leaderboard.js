// The leaderboard: one row a model, sortable by any column; baselines and failures below.

let order = { column: "accuracy", descending: true };

function leaderboardColumns(board) {
  const number = (name, value, digits = 4, more = {}) => ({
    name, label: t(name), value, cell: (m) => fixed(value(m), digits), ...more,
  });
  const some = (value) => board.models.some((m) => value(m) !== undefined);
  const columns = [
    { name: "model", label: t("model"), value: (m) => m.name.toLowerCase(), cell: nameCell, text: true },
    number("accuracy", (m) => m.accuracy, 4, { strong: true }),
    { name: "interval", label: t("interval"), cell: (m, axis) => intervalCell(m, axis), wide: true },
    { name: "groups", label: t("groups"), value: (m) => m.letters, cell: (m) => m.letters ?? "", text: true },
    number("public", (m) => m.public), number("private", (m) => m.private),
    ...board.subjects.slice(0, 8).map((subject) =>
      number("part", (m) => m.by_subject?.[subject]?.[0] ?? m[`accuracy_${subject}`], 4, { name: `subject ${subject}`, label: cut(subject, 16) })),
    number("macro_f1", (m) => m.macro_f1),
    { name: "p", label: t("p"), value: (m) => toBest(board, m), cell: (m) => bestCell(board, m) },
    number("ece", (m) => m.ece, 3), number("speed", (m) => m.speed, 1), number("memory", (m) => m.memory, 2),
    { name: "parameters", label: t("parameters"), value: (m) => m.parameters, cell: (m) => short(m.parameters) },
    { name: "published", label: t("published"), value: (m) => m.published?.[0],
      cell: (m) => (m.published ? m.published.map((v) => fixed(v)).join(" / ") : "") },
    { name: "licence", label: t("licence"), value: (m) => m.licence, cell: (m) => said(cut(m.licence ?? "", 30)), text: true },
  ];
  return columns.filter((c) => !c.value || some(c.value));
}

function nameCell(model) {
  const badge = model.kind === "tuned" ? h("span", { class: "badge" }, t("tuned")) : null;
  return h("span", { class: "model-name", title: cut(`${model.model ?? model.name}${model.prompt ? `, ${model.prompt}` : ""}`, 300) },
    said(cut(model.name, 60)), badge);
}

function intervalCell(model, axis) {
  if (model.accuracy === undefined) return "";
  const text = model.ci_low === undefined ? "" : `${fixed(model.ci_low, 3)}–${fixed(model.ci_high, 3)}`;
  return h("span", { class: "interval" }, microInterval(model, axis), h("span", {}, text));
}

function toBest(board, model) {
  return board.pairs.find(([a, b]) => a === 0 && board.models[b] === model)?.[2];
}

function bestCell(board, model) {
  const value = toBest(board, model);
  if (value === undefined) return "";
  return h("span", { class: value < 0.05 ? "" : "tie" }, `${value < 0.05 ? "" : "≈ "}${pValue(value)}`);
}

function sorted(board, columns) {
  const column = columns.find((c) => c.name === order.column) ?? columns[0];
  const sign = order.descending ? -1 : 1;
  return [...board.models].sort((a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
    return sign * (typeof x === "string" ? x.localeCompare(y) : x - y);
  });
}

function leaderboardTable(board) {
  const columns = leaderboardColumns(board);
  const scored = [...board.models, ...board.baselines].filter((m) => m.accuracy !== undefined);
  const axis = scored.length ? span(scored.flatMap((m) => [m.ci_low ?? m.accuracy, m.ci_high ?? m.accuracy])) : [0, 1];
  const head = columns.map((c) => {
    const own = c.name === order.column;
    const state = own ? (order.descending ? "descending" : "ascending") : "none";
    const text = h("span", {}, c.label);
    return h("th", { scope: "col", class: c.text ? "text" : "", "aria-sort": c.value ? state : null },
      c.value ? h("button", { "data-sort": c.name, onclick: () => sortBy(board, c) }, text,
        h("span", { class: "arrow", "aria-hidden": "true" }, own ? (order.descending ? "\u00a0↓" : "\u00a0↑") : "")) : text);
  });
  const row = (model, kind) => h("tr", { class: kind }, columns.map((c, i) =>
    i === 0 ? h("th", { scope: "row" }, c.cell(model))
      : h("td", { class: [c.text ? "text" : "", c.strong ? "strong" : ""].join(" ") }, c.cell(model, axis))));
  const failed = board.failed.map((one) => h("tr", { class: "failed" },
    h("th", { scope: "row" }, said(cut(one.name, 60))),
    h("td", { class: "text", colspan: columns.length - 1 }, said(cut(one.reason, 300)))));
  return h("table", { class: "numbers board" },
    h("thead", {}, h("tr", {}, head)),
    h("tbody", { id: "ranks" }, sorted(board, columns).map((m) => row(m, m.kind))),
    h("tbody", { class: "below" }, board.baselines.map((m) => row({ ...m, kind: "baseline" }, "baseline")), failed));
}

function sortBy(board, column) {
  const same = order.column === column.name;
  order = { column: column.name, descending: same ? !order.descending : !column.text };
  const box = document.querySelector("#leaderboard .scroll");
  const across = box.scrollLeft;
  box.replaceChildren(leaderboardTable(board));
  box.scrollLeft = across;
  box.querySelector(`button[data-sort="${CSS.escape(column.name)}"]`).focus();
}

function pairsTable(board) {
  const names = [...board.models.keys()];
  const value = (a, b) => board.pairs.find(([x, y]) => (x === a && y === b) || (x === b && y === a))?.[2];
  const cell = (a, b) => {
    const p = value(a, b);
    return h("td", { class: p >= 0.05 ? "tie" : "" }, p === undefined ? "" : pValue(p));
  };
  return h("details", {}, h("summary", {}, t("every_pair")),
    scroller(t("every_pair"), h("table", { class: "numbers" },
      h("thead", {}, h("tr", {}, h("td", {}), names.map((i) => h("th", { scope: "col" }, said(shortName(board.models[i].name, 16)))))),
      h("tbody", {}, names.map((a) => h("tr", {}, h("th", { scope: "row" }, said(shortName(board.models[a].name))), names.map((b) => cell(a, b))))))));
}

function partsTable(board) {
  const parts = [...board.subjects.map((s) => ["by_subject", s]),
    ...(board.sources.length > 1 ? board.sources.map((s) => ["by_source", s]) : [])].slice(0, 40);
  const cell = (own) => (own ? `${fixed(own[0], 3)} (${fixed(own[1], 2)}–${fixed(own[2], 2)})` : "");
  return h("details", {}, h("summary", {}, t("parts_note")),
    scroller(t("parts_note"), h("table", { class: "numbers" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("model")), parts.map(([, name]) => h("th", { scope: "col" }, said(cut(name, 24)))))),
      h("tbody", {}, board.models.map((m) => h("tr", {}, h("th", { scope: "row" }, said(shortName(m.name))),
        parts.map(([kind, name]) => h("td", {}, cell(m[kind]?.[name])))))))));
}

function leaderboardSection(board) {
  return section("leaderboard",
    scroller(t("leaderboard"), leaderboardTable(board)),
    h("p", { class: "note" }, board.known ? t("board_note") : t("no_key")),
    board.known && board.models.length > 1 ? pairsTable(board) : null,
    board.known && board.subjects.length + board.sources.length > 0 ? partsTable(board) : null);
}
