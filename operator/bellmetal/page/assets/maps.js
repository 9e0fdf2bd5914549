// Pools as maps of cells. A cell is an address, or a block of them that opens a map of its own.

const SIGNS = { held: "", cooling: "~", reserved: "R", orphaned: "!", never: "×", free: "" };
const MEANINGS = {
  free: "free",
  held: "held by a Service",
  reserved: "reserved",
  cooling: "cooling down",
  orphaned: "held, and no longer allowed",
  never: "never given (avoidBuggyIPs)",
};

function legend() {
  const items = Object.entries(MEANINGS).map(([state, text]) =>
    el("li", {}, el("span", { class: `cell ${state}`, "aria-hidden": "true" }, SIGNS[state]), text));
  const block = el("span", { class: "cell block", "aria-hidden": "true" });
  block.style.setProperty("--share", "45%");
  return [...items, el("li", {}, block, "a block, filled as far as it is in use")];
}

const used = (cell) => (cell.held || 0) + (cell.orphaned || 0);

// What a cell is, in words: its label for who does not see it, and its title.
function described(cell) {
  if (!("size" in cell)) {
    const state = cell.state || "free";
    const whose = cell.services ? ` by ${cell.services.join(", ")}` : "";
    const more = cell.more ? ` and ${cell.more} more` : "";
    const owner = cell.owner ? `, on ${cell.owner}` : "";
    const word = state === "held" ? "held" : MEANINGS[state];
    return `${cell.first}: ${word}${whose}${more}${owner}`;
  }
  const parts = ["held", "orphaned", "reserved", "cooling"].filter((state) => cell[state]);
  const counts = [...parts.map((state) => `${number(cell[state])} ${state}`), `${number(cell.free)} free`];
  return `${cell.first} – ${cell.last}: ${counts.join(", ")}`;
}

function drawCell(pool, cell, at) {
  const text = described(cell);
  const attributes = { type: "button", title: text, "aria-label": text, "data-first": cell.first, tabindex: at ? "-1" : "0" };
  if (!("size" in cell)) {
    const state = cell.state || "free";
    const made = el("button", { ...attributes, class: `cell ${state}` }, SIGNS[state]);
    made.dataset.to = route("address", cell.first);
    return made;
  }
  const wide = cell.free === cell.size ? " wide" : "";
  const sign = cell.orphaned ? "!" : wide && `${number(cell.free)} free`;
  const made = el("button", { ...attributes, class: `cell block${wide}${cell.orphaned ? " some-orphaned" : ""}` }, sign);
  const share = used(cell) ? Math.max(12, Math.round((100 * used(cell)) / cell.size)) : 0;
  made.style.setProperty("--share", `${share}%`);
  made.dataset.to = route("block", pool, cell.first, cell.last);
  return made;
}

function drawMap(pool, label, found) {
  const cells = found.cells.map((cell, at) => drawCell(pool, cell, at));
  const map = el("div", { class: "map", role: "group", "aria-label": label }, ...cells);
  map.addEventListener("click", (event) => {
    const cell = event.target.closest("[data-to]");
    if (cell) location.hash = cell.dataset.to;
  });
  map.addEventListener("keydown", (event) => wander(map, event));
  return map;
}

// Arrow keys, Home and End move the focus; one cell of a map is in the order of Tab.
function wander(map, event) {
  const cells = [...map.children];
  const at = cells.indexOf(event.target);
  if (at < 0) return;
  const across = Math.max(1, cells.filter((cell) => cell.offsetTop === cells[0].offsetTop).length);
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across, Home: -at, End: cells.length - 1 - at };
  if (!(event.key in steps)) return;
  event.preventDefault();
  focusCell(cells, cells[Math.min(cells.length - 1, Math.max(0, at + steps[event.key]))]);
}

function focusCell(cells, wanted) {
  for (const cell of cells) cell.tabIndex = cell === wanted ? 0 : -1;
  wanted.focus();
}

function familyPart(pool, item) {
  const words = ["held", "orphaned", "reserved", "cooling"].filter((state) => item[state]);
  const counts = words.map((state) => `${number(item[state])} ${state}`);
  const said = `${item.family}: ${plural(item.total, "address", "addresses")}; ${[...counts, `${number(item.free)} free`].join(", ")}`;
  const left = item.map.leftOff ? el("p", { class: "hint" }, `${plural(item.map.leftOff, "range")} more not drawn`) : null;
  return [el("p", { class: "counts" }, said), drawMap(pool.name, `Map of ${pool.name}, ${item.family}`, item.map), left];
}

function poolPart(pool) {
  const ranges = pool.ranges.join(", ") + (pool.rangesTotal > pool.ranges.length ? `, and ${pool.rangesTotal - pool.ranges.length} more` : "");
  const head = el("div", { class: "pool-head" },
    el("h3", {}, link(pool.name, "pool", pool.name)),
    el("span", { class: "soft" }, ranges),
    pool.valid ? null : mark("bad", "✗ invalid"),
    pool.draining ? mark("note", "draining") : null,
    pool.autoAssign ? null : mark("note", "only if asked for"));
  const families = pool.families.flatMap((item) => familyPart(pool, item)).filter((part) => part);
  return el("div", { class: "pool" }, head, ...families);
}

function drawPools(state) {
  const focused = document.activeElement?.dataset?.first;
  const parts = state.pools.map(poolPart);
  if (state.poolsLeftOff) parts.push(el("p", { class: "hint" }, `${plural(state.poolsLeftOff, "pool")} more not drawn`));
  if (state.outsideTotal) parts.push(outside(state));
  if (!parts.length) parts.push(el("p", {}, "There is no IPAddressPool."));
  fill(byId("pools"), ...parts);
  const again = focused && [...byId("pools").querySelectorAll(".cell")].find((cell) => cell.dataset.first === focused);
  if (again) focusCell([...again.parentElement.children], again);
}

// Addresses in use that no pool allows: they stay, and somebody should know.
function outside(state) {
  const cells = state.outside.map((item) => ({ first: item.address, state: "orphaned", owner: item.owner }));
  return el("div", { class: "pool" },
    el("h3", {}, "No pool allows"),
    el("p", { class: "counts" }, `${plural(state.outsideTotal, "address", "addresses")} in use`),
    drawMap("", "Addresses that no pool allows", { cells }));
}
