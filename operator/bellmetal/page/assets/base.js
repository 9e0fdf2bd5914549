// What all parts use. Whatever comes out of the cluster becomes text nodes and attributes, never
// markup: there is no innerHTML here, and the page's policy would refuse it.

const byId = (id) => document.getElementById(id);

// An element; children are strings (text) or elements, null is left out.
function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

const fill = (place, ...children) => place.replaceChildren(...children.filter((c) => c !== null));

const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

// Large numbers of IPv6 addresses as powers of two.
function number(count) {
  if (count < 1e9) return count.toLocaleString("en-US");
  const bits = Math.log2(count);
  return `${Number.isInteger(bits) ? "" : "about "}2${superscript(Math.round(bits))}`;
}

const superscript = (value) => [...String(value)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("");

// Times as they are in the cluster's objects (UTC), short; the title has all of it.
function time(text) {
  if (!text) return el("span", { class: "soft" }, "–");
  const short = text.replace("T", " ").replace(/(\.\d+)?Z$/, "");
  return el("time", { datetime: text, title: text }, short);
}

// A link that opens the details of something: what is in the fragment is kept apart by slashes.
const route = (...parts) => `#${parts.map(encodeURIComponent).join("/")}`;
const link = (text, ...parts) => el("a", { href: route(...parts) }, text);

// For a name "namespace/name".
const serviceLink = (key) => link(key, "service", key);

const mark = (kind, text) => el("span", { class: `mark ${kind}` }, text);

// A table; each row is a list of cells, which are strings or elements. numbers: columns to the right.
function table(label, heads, rows, numbers = []) {
  const side = (at) => ({ class: numbers.includes(at) ? "number" : null });
  const head = el("tr", {}, ...heads.map((text, at) => el("th", { scope: "col", ...side(at) }, text)));
  const body = rows.map((row) => el("tr", {}, ...row.map((item, at) => el("td", side(at), item))));
  const whole = el("table", {}, el("thead", {}, head), el("tbody", {}, ...body));
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label }, whole);
}

// Draws a part of the page only when what it shows has changed, so that focus and scroll stay.
const drawn = new Map();
function redraw(key, shown, draw) {
  const text = JSON.stringify(shown);
  if (drawn.get(key) === text) return;
  drawn.set(key, text);
  draw();
}

// The answer to a question, as JSON; throws an Error with the server's sentence.
async function ask(path) {
  const answer = await fetch(path, { cache: "no-store", credentials: "omit" });
  const found = await answer.json().catch(() => ({ error: `HTTP ${answer.status}` }));
  if (!answer.ok) throw new Error(found.error || `HTTP ${answer.status}`);
  return found;
}
