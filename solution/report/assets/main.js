// The whole page: unpack the data, draw, and follow the address, theme and language.

let report, current = 0;
const HASH = /^#q=([^&]*)(?:&e=(\d+))?$/;

const hashOf = (board, id) => {
  const index = report.boards.indexOf(board);
  return `#q=${encodeURIComponent(id.toWellFormed?.() ?? id)}${index ? `&e=${index}` : ""}`;
};

// Settings are kept where the browser allows it; from disk some don't.
function kept(name, value) {
  try {
    if (value !== undefined) localStorage.setItem(`examqa-${name}`, value);
    return localStorage.getItem(`examqa-${name}`);
  } catch {
    return value ?? null;
  }
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  const button = document.getElementById("theme");
  if (button) button.textContent = t(theme === "dark" ? "theme_light" : "theme");
}

function setLanguage(chosen) {
  language = chosen;
  document.documentElement.lang = chosen;
  document.title = `${t("project")}: ${t("title")}`;
  document.querySelector(".skip").textContent = t("skip");
}

function header(board) {
  const halves = [0, 1].map((half) => board.questions.filter((q) => q[8] === half).length);
  const other = language === "ko" ? "en" : "ko";
  const exams = report.boards.map((b, i) => [String(i), `${b.name} (${b.models.length})`]);
  return [
    h("div", { class: "bar" },
      h("span", { class: "project" }, t("project")),
      h("nav", { "aria-label": t("title") }, SECTIONS.filter(([name, make]) => make(board)).map(([name]) => h("a", { href: `#${name}` }, t(name)))),
      h("div", { class: "switches" },
        h("button", { type: "button", id: "language", lang: other, onclick: () => { setLanguage(other); kept("language", other); draw(); document.getElementById("language").focus(); } }, t("language")),
        h("button", { type: "button", id: "theme", onclick: () => {
          const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
          setTheme(next); kept("theme", next);
        } }, t("theme")))),
    h("div", { class: "title" }, h("h1", {}, t("title")),
      said(`${cut(board.name, 80)}: ${t("summary", board)}; ${t("halves", ...halves)}`, "p", { class: "lead" }),
      exams.length > 1 ? select("exam", exams, String(current), (value) => { current = Number(value); wanted = nothing(); history.replaceState(null, "", "#leaderboard"); draw(); }) : null),
  ];
}

const SECTIONS = [
  ["leaderboard", () => true],
  ["plots", (board) => board.known],
  ["effects", (board) => board.effects.length > 0],
  ["tuning", () => report.tunings.length > 0],
  ["questions", () => true],
  ["study", () => true],
];
const MAKE = {
  leaderboard: leaderboardSection, plots: plotsSection, effects: effectsSection,
  tuning: tuningSection, questions: (board) => questionsSection(board, chosenIn(board)), study: studySection,
};

function chosenIn(board) {
  const [, id, exam] = HASH.exec(location.hash) ?? [];
  if (id === undefined || report.boards[Number(exam ?? 0)] !== board) return undefined;
  prepare(board);
  try {
    return board.byId.get(decodeURIComponent(id));
  } catch {
    return undefined;
  }
}

function draw() {
  const board = report.boards[current];
  document.getElementById("head").replaceChildren(...header(board).filter(Boolean));
  const sections = SECTIONS.map(([name]) => MAKE[name](board)).filter(Boolean);
  document.getElementById("main").replaceChildren(...sections);
  document.getElementById("foot").replaceChildren(h("p", { class: "note" }, t("foot", report.version)));
  setTheme(document.documentElement.dataset.theme);
}

function redraw(name) {
  document.getElementById(name).replaceWith(MAKE[name](report.boards[current]));
}

function follow() {
  const [, id, exam] = HASH.exec(location.hash) ?? [];
  if (id === undefined) return;
  const wantedBoard = Number(exam ?? 0);
  if (wantedBoard !== current && report.boards[wantedBoard]) {
    current = wantedBoard;
    wanted = nothing();
    draw();
  }
  const board = report.boards[current], chosen = chosenIn(board);
  const box = document.getElementById("chosen");
  box.replaceChildren(chosen === undefined ? h("p", { class: "note" }, t("not_found")) : questionCard(board, chosen));
  for (const link of document.querySelectorAll(".list a")) {
    if (chosen !== undefined && link.hash === hashOf(board, board.questions[chosen][0])) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  box.focus({ preventScroll: true });
  const place = box.getBoundingClientRect();
  if (place.top > innerHeight * 0.6 || place.top < 0) box.scrollIntoView({ block: "start" });
}

async function unpack() {
  const packed = Uint8Array.from(atob(document.getElementById("data").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

async function begin() {
  setLanguage(kept("language") ?? (navigator.language.startsWith("ko") ? "ko" : "en"));
  setTheme(kept("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
  try {
    report = await unpack();
  } catch (error) {
    document.getElementById("main").replaceChildren(h("p", {}, t("unreadable")));
    throw error;
  }
  addEventListener("hashchange", follow);
  draw();
  follow();
  document.documentElement.dataset.ready = "true";
}

begin();
