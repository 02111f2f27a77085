// Elements and formatting. User text only becomes text nodes, so it cannot turn into markup.
const dom = (() => {
  function h(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : String(value));
    }
    node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
    return node;
  }

  let language = 0;
  const t = (name, ...values) => LABELS[name][language].replace(/\{(\d)\}/g, (_, i) => values[i]);
  const useKorean = (korean) => { language = korean ? 1 : 0; };

  // User text with its own direction. Cut by code points; very long names are cut first.
  const cut = (text, length) => {
    const letters = Array.from(String(text).slice(0, 4 * length));
    return letters.length > length ? `${letters.slice(0, length - 1).join("")}…` : letters.join("");
  };
  const user = (text, tag = "bdi", attributes = {}) =>
    h(tag, { dir: "auto", ...attributes, class: `user ${attributes.class ?? ""}`.trim() }, text);
  const shortName = (name, length = 26) => cut(String(name).slice(-400).split("/").pop(), length);

  const fixed = (value, digits = 4) => (value === undefined || value === null ? "" : value.toFixed(digits));
  const points = (value) => `${value < 0 ? "−" : "+"}${Math.abs(100 * value).toFixed(1)}`;
  const pValue = (value) => (value < 0.001 ? "< 0.001" : value.toFixed(3));
  function short(value) {
    if (value === undefined || value === null) return "";
    const [size, unit] = [[1e9, "B"], [1e6, "M"], [1e3, "k"]].find(([least]) => value >= least) ?? [1, ""];
    const number = value / size;
    return `${number >= 100 || (Number.isInteger(number) && !unit) ? number.toFixed(0) : Number(number.toPrecision(2))}${unit}`;
  }

  // Tables: a cell is a value or a finished td/th; the first cell of a row is its header.
  const isCell = (value) => value instanceof HTMLTableCellElement;
  const row = (cells, attributes) => h("tr", attributes, cells.map((value, i) =>
    isCell(value) ? value : h(i ? "td" : "th", i ? {} : { scope: "row" }, value)));
  const table = (head, rows, attributes = {}) => h("table", { ...attributes, class: `numbers ${attributes.class ?? ""}` },
    h("thead", {}, h("tr", {}, head.map((value) =>
      isCell(value) ? value : value === "" ? h("td") : h("th", { scope: "col" }, value)))),
    h("tbody", {}, rows.map((cells) => (Array.isArray(cells) ? row(cells) : cells))));
  const scroller = (label, ...children) =>
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, ...children);
  const details = (title, content) => h("details", {}, h("summary", {}, title), scroller(title, content));
  const note = (...text) => h("p", { class: "note" }, ...text);
  const section = (name, ...children) => h("section", { id: name, "aria-labelledby": `${name}-title` },
    h("h2", { id: `${name}-title` }, t(name)), ...children);
  const select = (name, options, chosen, change) => h("label", { class: "field" }, h("span", {}, t(name)),
    h("select", { name, onchange: (event) => change(event.target.value) }, options.map(([value, text]) =>
      h("option", { value, selected: value === chosen }, cut(text, 60)))));

  // An interval as a bar in a table cell; positions are set by CSSOM, which the policy allows.
  function interval(low, value, high, [from, to], attributes = {}) {
    const at = (v) => `${(100 * (v - from)) / (to - from || 1)}%`;
    const range = h("i", { class: "range" }), dot = h("i", { class: "dot" }), zero = h("i", { class: "zero" });
    range.style.left = at(low);
    range.style.right = `calc(100% - ${at(high)})`;
    dot.style.left = at(value);
    zero.style.left = at(0);
    return h("span", { "aria-hidden": "true", ...attributes, class: `micro ${attributes.class ?? ""}` },
      from < 0 ? zero : null, range, dot);
  }

  return { h, t, useKorean, cut, user, shortName, fixed, points, pValue, short, row, table, scroller,
    details, note, section, select, interval };
})();
