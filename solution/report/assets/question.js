// One question: passage, choices, and each model's probabilities as bars.

const CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩";

function questionCard(board, i) {
  const [id, text, question, plus, choices, answer, subject, source, half] = board.questions[i];
  const facts = [board.subjects[subject], board.sources[source], t(half ? "private" : "public")].filter(Boolean);
  const passage = board.texts[text], given = board.texts[plus];
  return h("article", { class: "question" },
    h("header", {}, h("h3", {}, said(cut(id, 200))), said(cut(facts.join(" · "), 200), "p", { class: "note" }), steps(board, i)),
    passage ? h("div", {}, h("h4", {}, t("passage")), said(passage, "p", { class: "passage" })) : null,
    given ? h("div", {}, h("h4", {}, t("plus")), said(given, "p", { class: "passage" })) : null,
    said(question, "p", { class: "stem" }),
    h("ol", { class: "choices" }, choices.map((choice, n) =>
      h("li", { class: n + 1 === answer ? "key" : "" }, h("span", { class: "number" }, CIRCLED[n]), said(choice, "span"),
        n + 1 === answer ? h("span", { class: "badge good" }, `✓ ${t("key")}`) : null))),
    probabilityTable(board, i),
    h("p", { class: "note" }, t("bars_note")),
    retrieved(board, i), provenance(board, id), neighbours(board, i));
}

function steps(board, i) {
  const place = board.found?.indexOf(i) ?? -1;
  const step = (name, to) => to === undefined ? h("span", { class: "plain off" }, t(name))
    : h("a", { class: "plain", id: `go-${name}`, href: hashOf(board, board.questions[to][0]) }, t(name));
  return h("nav", { class: "steps", "aria-label": t("questions") },
    step("previous", place > 0 ? board.found[place - 1] : undefined),
    step("next", place >= 0 ? board.found[place + 1] : undefined),
    h("a", { class: "plain", href: hashOf(board, board.questions[i][0]) }, t("link")));
}

function probabilityTable(board, i) {
  const [, , , , choices, answer] = board.questions[i];
  const rows = board.models.map((m) => ({ name: m.name, taken: m.answers[i], chances: chances(board, m, i) }));
  if (rows.length > 1) {
    const means = choices.map((_, n) => rows.reduce((sum, row) => sum + row.chances[n], 0) / rows.length);
    rows.push({ name: t("mean"), taken: means.indexOf(Math.max(...means)) + 1, chances: means, mean: true });
  }
  const cell = (row, n) => {
    const taken = row.taken === n + 1;
    const kind = taken ? (answer ? (n + 1 === answer ? "taken good" : "taken bad") : "taken") : "";
    return h("td", { class: `chance-cell ${kind}` }, h("span", {}, (row.chances[n] / 10).toFixed(1)), bar(row.chances[n]));
  };
  return scroller(t("bars_note"), h("table", { class: "numbers chances" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "text" }, t("model")),
      choices.map((_, n) => h("th", { scope: "col", class: n + 1 === answer ? "key" : "" },
        CIRCLED[n], n + 1 === answer ? h("span", { class: "unseen" }, ` ${t("key")}`) : null)))),
    h("tbody", {}, rows.map((row) => h("tr", { class: row.mean ? "mean" : "" },
      h("th", { scope: "row", title: cut(row.name, 200) }, said(shortName(row.name, 30))), choices.map((_, n) => cell(row, n)))))));
}

const bar = (mille) => s("svg", { class: "chance-bar", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
  s("rect", { class: "track", width: 100, height: 4 }), s("rect", { class: "full", width: mille / 10, height: 4 }));

function retrieved(board, i) {
  return board.models.filter((m) => m.retrieved?.[i]?.length).map((m) =>
    h("details", { open: true }, h("summary", {}, said(t("retrieved", cut(m.name, 60)), "span")),
      m.retrieved[i].map(([title, text, score]) => h("div", { class: "found" },
        h("h4", {}, said(cut(title, 120)), score === null ? null : h("span", { class: "note" }, ` ${score.toFixed(2)}`)),
        said(text, "p", { class: "passage" })))));
}

function provenance(board, id) {
  const facts = board.provenance?.[id];
  if (!facts) return null;
  return h("details", {}, h("summary", {}, t("provenance")),
    h("dl", {}, Object.entries(facts).map(([name, value]) => [h("dt", {}, said(name)), h("dd", {}, said(String(value)))])));
}

function neighbours(board, i) {
  const text = board.questions[i][1];
  if (!board.texts[text]) return null;
  const others = board.questions.filter((q, j) => j !== i && q[1] === text).slice(0, 20);
  if (others.length === 0) return null;
  return h("div", {}, h("h4", {}, t("same_passage")),
    h("ul", {}, others.map((q) => h("li", {}, h("a", { href: hashOf(board, q[0]) }, said(cut(q[2], 90)))))));
}
