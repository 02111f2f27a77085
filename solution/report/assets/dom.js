// Elements by plain calls. Text becomes text nodes and nothing else, so no text of a user's can
// turn into markup; inline styles are never set, so the page's policy can forbid them.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

const add = (node, ...children) => fill(node, {}, children);

const h = (tag, attributes, ...children) =>
  fill(document.createElement(tag), attributes, children);

const s = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

// Text of a user's: its own direction, kept apart from what stands beside it.
const said = (text, tag = "bdi", attributes = {}) =>
  h(tag, { dir: "auto", ...attributes, class: `said ${attributes.class ?? ""}`.trim() }, text);

const cut = (text, length) => {
  const letters = Array.from(text.slice(0, 4 * length));
  return letters.length > length ? `${letters.slice(0, length - 1).join("")}…` : text;
};

// The end of an owner/name is what tells models apart.
const shortName = (name, length = 26) => cut(String(name).slice(-400).split("/").pop(), length);

const fixed = (value, digits = 4) =>
  value === undefined || value === null ? "" : value.toFixed(digits);

const percent = (value, digits = 1) => `${(100 * value).toFixed(digits)} %`;

const points = (value) => `${value < 0 ? "−" : "+"}${Math.abs(100 * value).toFixed(1)}`;

const pValue = (value) => (value < 0.001 ? "< 0.001" : value.toFixed(3));

function short(value) {
  if (value === undefined || value === null) return "";
  const units = [[1e9, "B"], [1e6, "M"], [1e3, "k"]];
  const [size, unit] = units.find(([least]) => value >= least) ?? [1, ""];
  const number = value / size;
  return `${number >= 100 || (Number.isInteger(number) && !unit) ? number.toFixed(0) : number.toPrecision(2)}${unit}`;
}

function option(value, label, chosen) {
  return h("option", { value, selected: value === chosen }, cut(label, 60));
}

function select(name, options, chosen, onchange) {
  const box = h("select", { name, onchange: (event) => onchange(event.target.value) },
    options.map(([value, text]) => option(value, text, chosen)));
  return h("label", { class: "field" }, h("span", {}, t(name)), box);
}

// A box that scrolls sideways within the page, reachable by keyboard.
const scroller = (label, ...children) =>
  h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, ...children);
