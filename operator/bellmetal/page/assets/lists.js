// Services, time-line, nodes, sessions, and the figures on top.

const STATES = {
  announced: ["good", "✓ announced"],
  withheld: ["bad", "✗ withheld"],
  unreached: ["bad", "✗ not reached"],
  refused: ["bad", "✗ refused"],
  waiting: ["note", "… waiting"],
};

function tile(to, figure, text, bad = false) {
  return el("a", { class: `tile${bad ? " bad" : ""}`, href: `#${to}` }, el("b", {}, figure), el("span", {}, text));
}

function drawTiles(state) {
  const families = state.pools.flatMap((pool) => pool.families);
  const sum = (key) => families.reduce((total, item) => total + (item[key] || 0), 0);
  const held = sum("held") + sum("orphaned") + state.outsideTotal;
  const orphans = sum("orphaned") + state.outsideTotal;
  const notReady = state.nodesUnwell;
  const { total, unwell } = state.services;
  const tiles = [
    tile("pools-head", number(held), orphans ? `addresses in use, ${number(orphans)} orphaned` : "addresses in use", orphans > 0),
    tile("services-head", unwell ? number(unwell) : number(total), unwell ? `of ${plural(total, "Service")} not well` : "Services, all announced", unwell > 0),
    tile("nodes-head", notReady ? number(notReady) : number(state.nodesTotal), notReady ? `of ${plural(state.nodesTotal, "node")} not at work` : "nodes at work", notReady > 0),
  ];
  if (state.sessionsTotal || state.peers.length) {
    const down = state.sessionsDown;
    tiles.push(tile("sessions-head", down ? number(down) : number(state.sessionsTotal), down ? `of ${plural(state.sessionsTotal, "BGP session")} not established` : "BGP sessions established", down > 0));
  }
  fill(byId("tiles"), ...tiles);
}

function addressItem(row, service) {
  const owner = row.owner ? [" on ", link(row.owner, "node", row.owner)] : [];
  const routed = !row.owner && service.routedBy ? [` by BGP from ${plural(service.routedBy, "node")}`] : [];
  const orphan = row.state === "orphaned" ? [" ", mark("bad", "! orphaned")] : [];
  return el("div", {}, link(row.address, "address", row.address), ...owner, ...routed, ...orphan);
}

function serviceRow(service) {
  const [kind, text] = STATES[service.state] || ["note", service.state];
  const addresses = service.addresses.map((row) => addressItem(row, service));
  if (service.more) addresses.push(el("div", {}, `and ${service.more} more`));
  const since = service.addresses.length ? time(service.addresses[0].since) : "";
  const state = kind === "good" && service.said ? mark("note", "⚠ announced, but") : mark(kind, text);
  const said = el("div", {}, state, service.said ? ` ${service.said}` : "");
  return [serviceLink(service.name), el("div", {}, ...addresses), since, said];
}

function drawServices(found) {
  const few = found.matching > found.rows.length ? `, the first ${found.rows.length} are listed` : "";
  byId("matching").textContent = `${plural(found.matching, "Service")}${few}`;
  const rows = found.rows.map(serviceRow);
  const none = found.total ? "No Service matches." : "There is no Service of type LoadBalancer.";
  fill(byId("services"), rows.length ? table("Services", ["Service", "Addresses", "Since (UTC)", "What the controller says"], rows) : el("p", {}, none));
}

let told = null; // what the time-line said last: what is new is shown as new
function drawTimeline(entries) {
  const items = entries.map((entry) => {
    const key = JSON.stringify(entry);
    const classes = [entry.kind, entry.bad ? "bad" : "", told && !told.has(key) ? "fresh" : ""];
    return el("li", { class: classes.filter(Boolean).join(" ") },
      time(entry.at), link(entry.subject, entry.about, entry.subject), ` ${entry.said}`);
  });
  told = new Set(entries.map((entry) => JSON.stringify(entry)));
  fill(byId("timeline"), ...(items.length ? items : [el("li", {}, "Nothing has happened yet.")]));
}

function nodeState(node) {
  const words = [];
  if (!node.ready) words.push(mark("bad", "✗ not ready"));
  if (node.speaker) words.push(mark("bad", `✗ ${node.speaker}`));
  if (node.unsteady) words.push(mark("note", "comes and goes"));
  if (!words.length) words.push(mark("good", "✓ at work"));
  const findings = node.notes.map((text) => el("div", { class: "soft" }, text));
  return el("div", {}, ...words.flatMap((word) => [word, " "]), ...findings);
}

function drawNodes(state) {
  const rows = state.nodes.map((node) => [link(node.name, "node", node.name), number(node.owns), node.sessions ? `${node.established} of ${node.sessions}` : "–", node.interfaces.join(", "), nodeState(node)]);
  const more = state.nodesTotal > rows.length ? el("p", { class: "hint" }, `${plural(state.nodesTotal - rows.length, "node")} more not listed`) : null;
  fill(byId("nodes"), table("Nodes", ["Node", "Owns", "Sessions", "Interfaces", "State"], rows, [1, 2]), more);
}

function sessionRow(item) {
  const state = item.up ? mark("good", `✓ ${item.state}`) : mark("bad", `✗ ${item.state}`);
  const prefixes = `${number(item.sent)}${item.pending ? ` (${number(item.pending)} pending)` : ""}`;
  const remote = item.vrf ? `${item.remote} (VRF ${item.vrf})` : item.remote;
  return [link(item.node, "node", item.node), link(item.peer, "peer", item.peer), remote, el("div", {}, state, item.said ? ` ${item.said}` : ""), time(item.since), prefixes, number(item.flaps), item.bfd || "–"];
}

function drawSessions(state) {
  const rows = state.sessions.map(sessionRow);
  const heads = ["Node", "Peer", "Address", "State", "Since (UTC)", "Prefixes sent", "Times lost", "BFD"];
  const silent = state.peers.length ? el("p", {}, "No speaker has reported a session yet. Peers: ", ...state.peers.flatMap((name) => [link(name, "peer", name), " "])) : el("p", {}, "There is no BGPPeer.");
  const more = state.sessionsTotal > rows.length ? el("p", { class: "hint" }, `${plural(state.sessionsTotal - rows.length, "session")} more not listed`) : null;
  fill(byId("sessions"), rows.length ? table("BGP sessions", heads, rows, [5, 6]) : silent, more);
}
