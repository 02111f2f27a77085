// The first study's tables, with this report's own figures beside them where a run measured them.

function candidatesTable() {
  const runs = report.boards.flatMap((board) => board.models.map((m) => ({ ...m, exam: board.name })));
  const any = runs.some((m) => report.candidates.some((row) => row.runs.includes(m.run)));
  const cell = (row) => {
    if (!any) return null;
    const own = runs.filter((m) => row.runs.includes(m.run) && m.accuracy !== undefined);
    if (own.length === 0) return h("td", { colspan: 3, class: "quiet text" }, t("not_measured"));
    const list = (value) => h("td", {}, own.map((m) => h("div", {}, value(m))));
    return [list((m) => fixed(m.public)), list((m) => fixed(m.private)),
      h("td", { class: "text" }, own.map((m) => h("div", {}, said(cut(`${m.name}, ${m.exam}`, 60)))))];
  };
  const interval = (share, count) => 1.96 * Math.sqrt((share * (1 - share)) / count);
  const score = (share, count) => h("td", {}, fixed(share), h("span", { class: "quiet" }, ` ± ${fixed(interval(share, count), 3)}`));
  const group = (name, columns) => h("th", { scope: "colgroup", colspan: columns, class: "over" }, t(name));
  return h("table", { class: "numbers" },
    h("thead", {},
      h("tr", {}, h("td", {}), group("published", 5), any ? group("measured", 3) : null),
      h("tr", {}, ["model", "public", "private", "z", "parameters", "licence", ...(any ? ["public", "private", "exam"] : [])].map((name, i) =>
        h("th", { scope: "col", class: [0, 5, 8].includes(i) ? "text" : "" }, t(name))))),
    h("tbody", {}, report.candidates.map((row) => h("tr", {},
      h("th", { scope: "row" }, row.model), score(row.public, row.questions[0]), score(row.private, row.questions[1]),
      h("td", { class: row.z > 2 ? "" : "tie" }, row.z ? fixed(row.z, 1) : ""),
      h("td", {}, row.parameters ? `${row.parameters / 1e9}B` : ""), h("td", { class: "text" }, row.licence ?? ""), cell(row)))));
}

function kobestTable() {
  const { tasks, rows } = report.kobest;
  const shots = [...new Set(rows.flatMap((row) => Object.keys(row.cells).map((cell) => Number(cell.split("/")[1]))))].sort((a, b) => a - b);
  const cells = (row) => [
    ...tasks.flatMap((task) => shots.map((n) => row.cells[`${task}/${n}`])),
    ...shots.map((n) => average(tasks.map((task) => row.cells[`${task}/${n}`]))),
  ];
  const names = { copa: "COPA", hellaswag: "HellaSwag", boolq: "BoolQ", sentineg: "SentiNeg" };
  const span = (label) => h("th", { scope: "colgroup", colspan: shots.length, class: "over" }, label);
  return h("table", { class: "numbers" },
    h("thead", {},
      h("tr", {}, h("td", {}), tasks.map((task) => span(names[task])), span(t("average"))),
      h("tr", {}, h("th", { scope: "col", class: "text" }, t("model")),
        [...tasks, "average"].flatMap(() => shots.map((n) => h("th", { scope: "col" }, String(n)))))),
    h("tbody", {}, rows.map((row) => h("tr", { class: row.measured ? "tuned" : "" },
      h("th", { scope: "row" }, said(cut(row.model, 60)), h("span", { class: "badge" }, t(row.measured ? "measured" : "published"))),
      cells(row).map((value) => h("td", {}, fixed(value)))))));
}

function average(values) {
  if (values.some((value) => value === undefined)) return undefined;
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function studySection() {
  const source = report.candidates[0]?.source;
  const none = report.candidates.every((row) => row.runs.length === 0);
  return section("study",
    h("h3", {}, t("candidates")), scroller(t("candidates"), candidatesTable()),
    h("p", { class: "note" }, t("candidates_note"), none ? ` ${t("none_measured")}` : "", source ? ` (${source})` : ""),
    h("h3", {}, t("kobest")), scroller(t("kobest"), kobestTable()),
    h("p", { class: "note" }, t("kobest_note")));
}
