// What is opened: an explanation, an address, a block of a pool. The fragment says which, so that
// a link to it can be kept, and the browser's "back" closes it.

const LINKS = { ok: ["good", "✓"], note: ["note", "⚠"], broken: ["bad", "✗"], unknown: ["note", "?"] };

function opened() {
  const parts = location.hash.slice(1).split("/");
  try {
    const [kind, ...rest] = parts.map(decodeURIComponent);
    return Object.hasOwn(DETAILS, kind) && rest.every(Boolean) && rest.length ? { kind, rest } : null;
  } catch {
    return null; // a fragment that nobody of us has written
  }
}

const path = (...parts) => parts.map(encodeURIComponent).join("/");

const DETAILS = {
  service: ([key]) => explained("Service", key, `service/${path(...key.split("/"))}`),
  pool: ([name]) => explained("IPAddressPool", name, `pool/${path(name)}`),
  node: ([name]) => explained("Node", name, `node/${path(name)}`),
  peer: ([name]) => explained("BGPPeer", name, `peer/${path(name)}`),
  address: ([ip]) => ({ title: ip, from: `api/address/${path(ip)}.json`, draw: addressPart }),
  block: ([pool, first, last]) => ({
    title: `${pool}: ${first} – ${last}`,
    from: `api/map/${path(pool)}.json?first=${path(first)}&last=${path(last)}`,
    draw: (found) => [drawMap(pool, `Map of ${first} to ${last}`, found)],
  }),
};

const explained = (kind, name, where) => ({ title: `${kind} ${name}`, from: `api/explain/${where}.json`, draw: explanationPart });

// --- an explanation ---------------------------------------------------------------------------

function explanationPart(found) {
  const links = found.links.map((item) => {
    const [kind, sign] = LINKS[item.state] || LINKS.unknown;
    return el("li", {}, el("span", { class: `mark ${kind}`, "aria-label": item.state }, sign), el("b", {}, item.link), el("span", {}, item.saw));
  });
  const notes = found.links.filter((item) => item.cause && item.state !== "broken").map((item) => causePart(item.cause, true));
  const hints = found.hints.length ? el("ul", {}, ...found.hints.map((text) => el("li", {}, text))) : null;
  return [
    found.cause ? causePart(found.cause, false) : el("p", {}, mark("good", "✓ Nothing is broken, as far as can be seen.")),
    el("ol", { class: "chain" }, ...links),
    ...notes,
    hints ? el("h3", {}, "Also") : null,
    hints,
  ];
}

function causePart(cause, note) {
  return el("div", { class: `cause${note ? " note" : ""}` },
    el("h3", {}, cause.title ? `${cause.title} (${cause.code})` : cause.code),
    el("p", {}, cause.sentence),
    cause.meaning ? el("p", {}, cause.meaning) : null,
    cause.evidence.length ? el("ul", {}, ...cause.evidence.map((text) => el("li", {}, text))) : null,
    cause.edit ? el("p", {}, el("b", {}, "Change: "), cause.edit) : null,
    cause.command ? el("pre", {}, cause.command) : null,
    cause.router ? el("p", {}, el("b", {}, "On the router: "), el("code", {}, cause.router)) : null);
}

// --- an address -------------------------------------------------------------------------------

function addressPart(found) {
  const facts = [
    ["State", MEANINGS[found.state] || found.state],
    ["Pool", found.pool ? link(found.pool, "pool", found.pool) : "no pool allows it"],
    ["Services", found.services.length ? el("span", {}, ...found.services.flatMap((key, at) => [at ? ", " : "", serviceLink(key)])) : null],
    ["Since (UTC)", found.since ? time(found.since) : null],
    ["Owner", found.owner ? link(found.owner, "node", found.owner) : null],
    ["Reserved for", found.reservedFor === null ? null : found.reservedFor || "whoever asks for it"],
    ["Last held by", found.lastService ? el("span", {}, found.lastService, ", until ", time(found.freedAt)) : null],
    ["Cool-down", found.state === "cooling" ? plural(found.coolDown, "second") : null],
    ["Term", found.term ? String(found.term) : null],
  ];
  const list = facts.filter(([, value]) => value !== null).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
  const doubts = found.doubts.map((item) => el("p", { class: "cause" }, `${item.node}: ${item.said}`));
  const lines = found.timeline.map((item) => el("li", {}, time(item.at), ` ${item.said}`));
  return [el("dl", {}, ...list), ...doubts, lines.length ? el("h3", {}, "What happened to it") : null, lines.length ? el("ul", { class: "plain" }, ...lines) : null];
}

// --- opening, closing, keeping up to date -----------------------------------------------------

async function showDetails() {
  const dialog = byId("details");
  const wanted = opened();
  if (!wanted) {
    if (dialog.open) dialog.close();
    return;
  }
  const hash = location.hash;
  const { title, from, draw } = DETAILS[wanted.kind](wanted.rest);
  byId("details-head").textContent = title;
  if (!dialog.open) {
    drawn.delete("details");
    fill(byId("details-body"), el("p", { class: "soft" }, "looking …"));
    dialog.showModal();
  }
  let found;
  try {
    found = await ask(from);
  } catch (error) {
    found = { failed: error.message };
  }
  if (location.hash !== hash) return; // something else was opened meanwhile
  redraw("details", [hash, found], () => {
    const parts = found.failed ? [el("p", { class: "cause" }, found.failed)] : draw(found);
    fill(byId("details-body"), ...parts);
  });
}

byId("details").addEventListener("close", () => {
  if (opened()) history.replaceState(null, "", location.pathname);
});
window.addEventListener("hashchange", showDetails);
