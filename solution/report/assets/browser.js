// The question browser: filters on the left or above, the list, and the question chosen.

const PAGE = 60;
const nothing = () => ({ text: "", subject: "", source: "", half: "", model: "0", outcome: "", other: "", margin: 1000 });
let wanted = nothing(), shown = PAGE;

// Per exam, once: where each question's probabilities begin, its margins, the text to search in.
function prepare(board) {
  if (board.starts) return;
  let start = 0;
  board.starts = board.questions.map((q) => (start += q[4].length) - q[4].length);
  board.byId = new Map(board.questions.map((q, i) => [q[0], i]));
}

// Made when somebody first searches.
function haystacks(board) {
  return (board.haystacks ??= board.questions.map(([id, text, question, plus, choices]) =>
    [id, question, ...choices, board.texts[text], board.texts[plus]].join("\n").normalize("NFC").toLowerCase()));
}

const chances = (board, model, i) =>
  model.probabilities.slice(board.starts[i], board.starts[i] + board.questions[i][4].length);

function marginOf(board, model, i) {
  const [first, second] = [...chances(board, model, i)].sort((a, b) => b - a);
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
  const words = wanted.text.normalize("NFC").toLowerCase().split(/\s+/).filter(Boolean);
  const model = board.models[wanted.model], other = board.models[wanted.other];
  const fits = (i) => {
    const q = board.questions[i];
    return (wanted.subject === "" || q[6] === Number(wanted.subject)) &&
      (wanted.source === "" || q[7] === Number(wanted.source)) &&
      (wanted.half === "" || q[8] === Number(wanted.half)) &&
      (wanted.outcome === "" || OUTCOMES[wanted.outcome](board, i, model)) &&
      (!other || wanted.other === "" || other.answers[i] !== model.answers[i]) &&
      (wanted.margin >= 1000 || marginOf(board, model, i) <= wanted.margin) &&
      words.every((word) => haystacks(board)[i].includes(word));
  };
  return [...board.questions.keys()].filter(fits);
}

function filters(board, update) {
  const set = (name) => (value) => { wanted[name] = value; shown = PAGE; update(); };
  const any = ["", t("any")];
  const list = (labels) => [any, ...labels.map((label, i) => [String(i), label])];
  const models = board.models.map((m, i) => [String(i), m.name]);
  const outcomes = Object.keys(OUTCOMES).filter((name) => board.known || name === "disagree");
  const margin = h("input", { type: "range", min: 0, max: 1000, step: 10, value: wanted.margin,
    oninput: (event) => { name.textContent = t("margin", event.target.value); set("margin")(Number(event.target.value)); } });
  const name = h("span", {}, t("margin", wanted.margin));
  return h("form", { class: "filters", role: "search", "aria-label": t("questions"), onsubmit: (event) => event.preventDefault() },
    h("label", { class: "field grow" }, h("span", {}, t("search")),
      h("input", { type: "search", id: "search", value: wanted.text, autocomplete: "off", oninput: (event) => set("text")(event.target.value) })),
    board.subjects.length ? select("subject", list(board.subjects), wanted.subject, set("subject")) : null,
    board.sources.length > 1 ? select("source", list(board.sources), wanted.source, set("source")) : null,
    select("half", list([t("public"), t("private")]), wanted.half, set("half")),
    select("of_model", models, wanted.model, set("model")),
    select("outcome", [any, ...outcomes.map((o) => [o, t(o)])], wanted.outcome, set("outcome")),
    select("differs", [["", t("nobody")], ...models], wanted.other, set("other")),
    h("label", { class: "field" }, name, margin),
    h("button", { type: "reset", class: "plain", onclick: () => { wanted = nothing(); redraw("questions"); } }, t("reset")));
}

function listItem(board, i, chosen) {
  const [id, , question, , , answer] = board.questions[i];
  const dots = board.known ? h("span", { class: "dots", "aria-hidden": "true" },
    board.models.slice(0, 12).map((m) => h("i", { class: m.answers[i] === answer ? "yes" : "no" }))) : null;
  const right = board.models.filter((m) => m.answers[i] === answer).length;
  return h("li", {}, h("a", { href: hashOf(board, id), "aria-current": i === chosen ? "true" : null },
    h("span", { class: "row" }, said(cut(id, 40), "span", { class: "id" }), dots),
    said(cut(question, 90), "span", { class: "asked" }),
    board.known ? h("span", { class: "unseen" }, `${right}/${board.models.length} ${t("right")}`) : null));
}

function questionsSection(board, chosen) {
  prepare(board);
  const count = h("p", { class: "count", role: "status" });
  const list = h("ul", { class: "list" });
  const more = h("button", { type: "button", class: "plain more", onclick: () => { shown += PAGE; update(); } });
  const update = () => {
    const found = matches(board);
    board.found = found;
    count.textContent = t("found", found.length, board.questions.length);
    list.replaceChildren(...found.slice(0, shown).map((i) => listItem(board, i, chosen)));
    more.hidden = found.length <= shown;
    more.textContent = t("more", Math.min(PAGE, found.length - shown));
  };
  const page = section("questions", filters(board, update),
    h("div", { class: "browser" },
      h("div", { class: "results" }, count, list, more),
      h("div", { class: "chosen", id: "chosen", tabindex: "-1" },
        chosen === undefined ? h("p", { class: "note" }, t("choose")) : questionCard(board, chosen))));
  update();
  return page;
}
