// The page: unpack the data, draw, and follow the address, theme and language.
const { h, t, cut, user, note } = dom;
const HASH = /^#q=([^&]*)(?:&e=(\d+))?$/;
let report, current = 0;

// Settings are stored where the browser allows it; some do not for files.
function stored(name, value) {
  try {
    if (value !== undefined) localStorage.setItem(`examqa-${name}`, value);
    return localStorage.getItem(`examqa-${name}`);
  } catch {
    return value ?? null;
  }
}

function plots(board) {
  return dom.section("plots", h("div", { class: "figures" }, charts.accuracyAgainst(board, "parameters"), charts.accuracyAgainst(board, "speed"),
    charts.accuracyAgainst(board, "memory", report.memory_limit), charts.publicPrivate(board)), note(t("plot_note", report.memory_limit)),
  h("h3", {}, t("calibration")), h("div", { class: "multiples" }, board.models.map(charts.calibration)), note(t("calibration_note")),
  h("h3", {}, t("positions")), h("div", { class: "multiples" }, board.models.map((m) => charts.positions(m, board.positions))), note(t("positions_note")));
}

const sections = (board) => [
  ["leaderboard", () => tables.leaderboard(board)],
  board.known ? ["plots", () => plots(board)] : null,
  board.effects.length ? ["effects", () => tables.effects(board)] : null,
  report.tunings.length ? ["tuning", () => tables.tuning(report)] : null,
  ["questions", () => browser.section(board, chosenIn(board))],
  ["study", () => tables.study(report)],
].filter(Boolean);

function header(board, names) {
  const halves = [0, 1].map((half) => board.questions.filter((q) => q[8] === half).length);
  const korean = document.documentElement.lang === "ko", dark = document.documentElement.dataset.theme === "dark";
  const exams = report.boards.map((b) => [String(b.index), `${b.name} (${b.models.length})`]);
  const lead = t("summary", board.questions.length, board.groups, board.models.length, ...halves);
  const button = (name, label, change) => h("button", { type: "button", class: "plain", id: name,
    onclick: () => { change(); draw(); document.getElementById(name).focus(); } }, label);
  return [h("div", { class: "bar" }, h("strong", {}, t("project")),
    h("nav", { "aria-label": t("title") }, names.map((name) => h("a", { href: `#${name}` }, t(name)))),
    button("language", t("language"), () => setLanguage(stored("language", korean ? "en" : "ko") ?? (korean ? "en" : "ko"))),
    button("theme", t(dark ? "light" : "dark"), () => { document.documentElement.dataset.theme = dark ? "light" : "dark"; stored("theme", dark ? "light" : "dark"); })),
  h("div", { class: "title" }, h("h1", {}, t("title")), user(`${cut(board.name, 80)}: ${lead}`, "p", { class: "quiet" }),
    exams.length > 1 ? dom.select("exam", exams, String(current), (value) => { current = Number(value); browser.reset(); history.replaceState(null, "", "#leaderboard"); draw(); }) : null)];
}

function setLanguage(chosen) {
  dom.useKorean(chosen === "ko");
  document.documentElement.lang = chosen;
  document.title = `${t("project")}: ${t("title")}`;
  document.querySelector(".skip").textContent = t("skip");
}

function chosenIn(board) {
  const [, id, exam] = HASH.exec(location.hash) ?? [];
  if (id === undefined || Number(exam ?? 0) !== board.index) return undefined;
  browser.prepare(board);
  try {
    return board.byId.get(decodeURIComponent(id));
  } catch {
    return undefined;
  }
}

function draw() {
  const board = report.boards[current], shown = sections(board);
  document.getElementById("head").replaceChildren(...header(board, shown.map(([name]) => name)));
  document.getElementById("main").replaceChildren(...shown.map(([, make]) => make()));
  document.getElementById("foot").replaceChildren(note(t("foot", report.version)));
  charts.mount();
}

function follow() {
  const [, id, exam] = HASH.exec(location.hash) ?? [];
  if (id === undefined) return;
  if (Number(exam ?? 0) !== current && report.boards[Number(exam ?? 0)]) {
    current = Number(exam ?? 0);
    browser.reset();
    draw();
  }
  const board = report.boards[current], chosen = chosenIn(board), box = document.getElementById("chosen");
  box.replaceChildren(chosen === undefined ? note(t("not_found")) : browser.card(board, chosen));
  for (const link of document.querySelectorAll(".list a")) {
    if (chosen !== undefined && link.hash === browser.hash(board, board.questions[chosen][0])) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  box.focus({ preventScroll: true });
  const { top } = box.getBoundingClientRect();
  if (top > innerHeight * 0.6 || top < 0) box.scrollIntoView({ block: "start" });
}

async function begin() {
  setLanguage(stored("language") ?? (navigator.language.startsWith("ko") ? "ko" : "en"));
  document.documentElement.dataset.theme = stored("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  try {
    const packed = Uint8Array.from(atob(document.getElementById("data").textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    report = JSON.parse(await new Response(stream).text());
  } catch (error) {
    document.getElementById("main").replaceChildren(h("p", {}, t("unreadable")));
    throw error;
  }
  report.boards.forEach((board, index) => { board.index = index; });
  addEventListener("hashchange", follow);
  draw();
  follow();
  document.documentElement.dataset.ready = "true";
}

begin();
