// The question browser: filters, the list of matching questions, and the chosen question.
const browser = (() => {
  const { h, t, cut, user, shortName, note } = dom;
  const PAGE = 60, CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩";
  const nothing = () => ({ text: "", subject: "", source: "", half: "", model: "0", outcome: "", other: "", margin: 1000 });
  let wanted = nothing(), shown = PAGE;
  const reset = () => { wanted = nothing(); shown = PAGE; };
  const hash = (board, id) => `#q=${encodeURIComponent(id.toWellFormed?.() ?? id)}${board.index ? `&e=${board.index}` : ""}`;

  // Once per exam: where each question's probabilities start, and its row by id.
  function prepare(board) {
    let start = 0;
    board.starts ??= board.questions.map((q) => (start += q[4].length) - q[4].length);
    board.byId ??= new Map(board.questions.map((q, i) => [q[0], i]));
  }
  const normal = (text) => text.normalize("NFC").toLowerCase();
  const searchable = (board) => (board.searchable ??= board.questions.map(([id, text, question, plus, choices]) =>
    normal([id, question, ...choices, board.texts[text], board.texts[plus]].join("\n"))));
  const probabilities = (board, model, i) => model.probabilities.slice(board.starts[i], board.starts[i] + board.questions[i][4].length);
  function margin(board, model, i) {
    const [first, second] = probabilities(board, model, i).sort((a, b) => b - a);
    return first - (second ?? 0);
  }
  const OUTCOMES = {
    right: (b, i, m) => m.answers[i] === b.questions[i][5],
    wrong: (b, i, m) => m.answers[i] !== b.questions[i][5],
    all_right: (b, i) => b.models.every((m) => m.answers[i] === b.questions[i][5]),
    none_right: (b, i) => b.models.every((m) => m.answers[i] !== b.questions[i][5]),
    disagree: (b, i) => b.models.some((m) => m.answers[i] !== b.models[0].answers[i]),
  };

  function matches(board) {
    const words = normal(wanted.text).split(/\s+/).filter(Boolean);
    const model = board.models[wanted.model], other = board.models[wanted.other];
    return [...board.questions.keys()].filter((i) => ["subject", "source", "half"].every((name, n) =>
      wanted[name] === "" || board.questions[i][6 + n] === Number(wanted[name])) &&
      (wanted.outcome === "" || OUTCOMES[wanted.outcome](board, i, model)) &&
      (wanted.other === "" || other.answers[i] !== model.answers[i]) &&
      (wanted.margin >= 1000 || margin(board, model, i) <= wanted.margin) &&
      words.every((word) => searchable(board)[i].includes(word)));
  }

  function filters(board, update) {
    const set = (name) => (value) => { wanted[name] = value; shown = PAGE; update(); };
    const list = (labels) => [["", t("any")], ...labels.map((label, i) => [String(i), label])];
    const models = board.models.map((m, i) => [String(i), m.name]);
    const outcomes = Object.keys(OUTCOMES).filter((name) => board.known || name === "disagree");
    const name = h("span", {}, t("margin", wanted.margin / 10));
    const slide = ({ target }) => { name.textContent = t("margin", target.value / 10); set("margin")(Number(target.value)); };
    const field = (name, options) => dom.select(name, options, wanted[name], set(name));
    return h("form", { class: "filters", role: "search", "aria-label": t("questions"), onsubmit: (event) => event.preventDefault() },
      h("label", { class: "field grow" }, h("span", {}, t("search")), h("input", { type: "search", id: "search", value: wanted.text,
        autocomplete: "off", oninput: (event) => set("text")(event.target.value) })),
      board.subjects.length ? field("subject", list(board.subjects)) : null,
      board.sources.length > 1 ? field("source", list(board.sources)) : null,
      field("half", list([t("public"), t("private")])), field("model", models),
      field("outcome", [["", t("any")], ...outcomes.map((o) => [o, t(o)])]), field("other", [["", t("none")], ...models]),
      h("label", { class: "field" }, name, h("input", { type: "range", min: 0, max: 1000, step: 10, value: wanted.margin, oninput: slide })),
      h("button", { type: "button", class: "plain", onclick: () => { reset(); document.getElementById("questions").replaceWith(section(board)); } }, t("reset")));
  }

  function item(board, i, chosen) {
    const [id, , question, , , answer] = board.questions[i];
    const right = board.models.filter((m) => m.answers[i] === answer).length;
    return h("li", {}, h("a", { href: hash(board, id), "aria-current": i === chosen ? "true" : null }, h("span", { class: "row" }, user(cut(id, 40), "span", { class: "id" }),
      board.known ? h("span", { class: "id" }, `${right}/${board.models.length} ${t("right")}`) : null), user(cut(question, 90), "span", { class: "asked" })));
  }

  function section(board, chosen) {
    prepare(board);
    const count = h("p", { class: "count", role: "status" }), list = h("ul", { class: "list" });
    const more = h("button", { type: "button", class: "plain", onclick: () => { shown += PAGE; update(); } });
    function update() {
      board.found = matches(board);
      count.textContent = t("found", board.found.length, board.questions.length);
      list.replaceChildren(...board.found.slice(0, shown).map((i) => item(board, i, chosen)));
      more.hidden = board.found.length <= shown;
      more.textContent = t("more", Math.min(PAGE, board.found.length - shown));
    }
    update();
    return dom.section("questions", filters(board, update), h("div", { class: "browser" }, h("div", {}, count, list, more),
      h("div", { class: "chosen", id: "chosen", tabindex: "-1" }, chosen === undefined ? note(t("choose")) : card(board, chosen))));
  }

  function card(board, i) {
    const [id, text, question, plus, choices, answer, subject, source, half] = board.questions[i];
    const facts = [board.subjects[subject], board.sources[source], t(half ? "private" : "public")].filter(Boolean).join(" · ");
    const block = (title, content) => content ? [h("h4", {}, title), user(content, "p", { class: "passage" })] : null;
    const at = board.found?.indexOf(i) ?? -1;
    const step = (name, to) => to === undefined ? null : h("a", { class: "plain", id: `go-${name}`, href: hash(board, board.questions[to][0]) }, t(name));
    const same = board.texts[text] ? board.questions.filter((q, j) => j !== i && q[1] === text).slice(0, 20) : [];
    return h("article", { class: "question" },
      h("header", {}, h("h3", {}, user(cut(id, 200))), user(cut(facts, 200), "p", { class: "note" }), h("nav", { "aria-label": t("questions") },
        step("previous", at > 0 ? board.found[at - 1] : undefined), step("next", at >= 0 ? board.found[at + 1] : undefined), step("link", i))),
      block(t("passage"), board.texts[text]), block(t("plus"), board.texts[plus]), user(question, "p", { class: "stem" }),
      h("ol", { class: "choices" }, choices.map((choice, n) => h("li", { class: n + 1 === answer ? "key" : "" }, h("span", {}, CIRCLED[n]), user(choice, "span"),
        n + 1 === answer ? h("span", { class: "badge" }, `✓ ${t("key")}`) : null))),
      bars(board, i), note(t("bars_note")),
      board.models.filter((m) => m.retrieved[i]?.length).map((m) => h("details", { open: true }, h("summary", {}, user(t("retrieved", cut(m.name, 60)), "span")),
        m.retrieved[i].map(([title, found, score]) => block(user(`${cut(title, 120)} ${score === null ? "" : score.toFixed(2)}`), found)))),
      board.provenance[id] ? h("details", {}, h("summary", {}, t("provenance")), h("dl", {}, Object.entries(board.provenance[id]).map(([name, value]) =>
        [h("dt", {}, user(name)), h("dd", {}, user(String(value)))]))) : null,
      same.length ? [h("h4", {}, t("same_passage")), h("ul", {}, same.map((q) => h("li", {}, h("a", { href: hash(board, q[0]) }, user(cut(q[2], 90))))))] : null);
  }

  function bars(board, i) {
    const [, , , , choices, answer] = board.questions[i];
    const rows = board.models.map((m) => ({ name: m.name, taken: m.answers[i], values: probabilities(board, m, i) }));
    if (rows.length > 1) {
      const values = choices.map((_, n) => rows.reduce((sum, one) => sum + one.values[n], 0) / rows.length);
      rows.push({ name: t("mean"), taken: values.indexOf(Math.max(...values)) + 1, values });
    }
    const kind = (one, n) => (one.taken !== n + 1 ? "" : !answer ? "taken" : n + 1 === answer ? "taken good" : "taken bad");
    return dom.scroller(t("bars_note"), dom.table([t("model"), ...choices.map((_, n) => `${CIRCLED[n]}${n + 1 === answer ? " ✓" : ""}`)],
      rows.map((one) => [h("span", { title: cut(one.name, 200) }, user(shortName(one.name, 30))), ...one.values.map((value, n) =>
        h("td", { class: `bar ${kind(one, n)}` }, h("span", {}, (value / 10).toFixed(1)), dom.interval(0, value, value, [0, 1000])))]), { class: "bars" }));
  }

  return { section, card, reset, prepare, hash };
})();
