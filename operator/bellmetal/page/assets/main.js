// Asks for the state every two seconds while somebody looks, and draws what has changed.

const EVERY = 2000; // milliseconds
const SLOWER = 10000; // after a failure
let etag = "";
let state = null;

async function look() {
  const headers = etag ? { "If-None-Match": etag } : {};
  const answer = await fetch("api/state.json", { headers, cache: "no-store", credentials: "omit" });
  if (answer.status === 304) return false;
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(found.error || `HTTP ${answer.status}`);
  etag = answer.headers.get("ETag") || "";
  state = found;
  return true;
}

async function turn() {
  let pause = EVERY;
  if (!document.hidden) {
    try {
      if (await look()) draw();
      pulse("live", `live, ${clock()}`);
      await Promise.all([state.standby ? null : showDetails(), byId("wanted").value && !state.standby ? search() : null]);
    } catch (error) {
      pause = SLOWER;
      pulse("stale", state ? `stale since ${stamp}: ${error.message}` : error.message);
    }
  }
  setTimeout(turn, pause);
}

let stamp = "";
const clock = () => (stamp = new Date().toISOString().slice(11, 19) + " UTC");

function pulse(kind, text) {
  byId("pulse").className = kind;
  byId("pulse-text").textContent = text;
}

function banner(kind, ...parts) {
  return el("p", { class: `banner ${kind}` }, ...parts);
}

function drawHead() {
  const leader = state.leader ? (state.leader.leads ? `led by ${state.leader.name}` : "nobody leads") : "";
  const words = [`namespace ${state.namespace}`, leader, `seen by ${state.servedBy}`];
  byId("whereabouts").textContent = words.filter(Boolean).join(" · ");
  const banners = [];
  if (state.leader && !state.leader.leads) banners.push(banner("bad", "No controller leads: nothing new is decided."));
  if (state.standby) banners.push(standby());
  const unread = (state.unread || []).map((text) => banner("note", `Not everything could be read: ${text}`));
  banners.push(...folded("note", unread), ...folded("bad", problems()));
  fill(byId("banners"), ...banners);
}

function problems() {
  const found = (state.problems || []).map((text) => banner("bad", text));
  const more = (state.problemsTotal || 0) - found.length;
  return more > 0 ? [...found, banner("bad", `… and ${plural(more, "problem")} more in the configuration`)] : found;
}

// A few of them; the others are there to be opened.
function folded(kind, banners, few = 3) {
  if (banners.length <= few) return banners;
  const summary = el("summary", {}, `${banners.length - few} more`);
  return [...banners.slice(0, few), el("details", { class: `banner ${kind}` }, summary, ...banners.slice(few))];
}

function standby() {
  const name = state.leader && state.leader.leads ? state.leader.name : "";
  const said = "This controller is a warm standby: it keeps up to date and decides nothing.";
  if (!name) return banner("note", said);
  const command = `kubectl -n ${state.namespace} port-forward pod/${name} …`;
  return banner("note", `${said} ${name} leads; look there: `, el("code", {}, command));
}

function draw() {
  const { leader, standby: waits, unread, problems, problemsTotal, namespace, servedBy } = state;
  redraw("head", [leader, waits, unread, problems, problemsTotal, namespace, servedBy], drawHead);
  byId("main").hidden = state.standby;
  if (state.standby) return;
  redraw("tiles", [state.pools, state.services, state.nodesTotal, state.nodesUnwell, state.sessionsTotal, state.sessionsDown, state.outsideTotal, state.peers], () => drawTiles(state));
  redraw("pools", [state.pools, state.poolsLeftOff, state.outside], () => drawPools(state));
  if (!byId("wanted").value) redraw("services", state.services, () => drawServices(state.services));
  redraw("timeline", state.timeline, () => drawTimeline(state.timeline));
  redraw("nodes", [state.nodes, state.nodesTotal], () => drawNodes(state));
  redraw("sessions", [state.sessions, state.sessionsTotal, state.peers], () => drawSessions(state));
}

async function search() {
  const wanted = byId("wanted").value;
  const found = wanted ? await ask(`api/services.json?q=${encodeURIComponent(wanted)}`) : state.services;
  if (byId("wanted").value === wanted) redraw("services", found, () => drawServices(found));
}

let typing = 0;
byId("search").addEventListener("submit", (event) => event.preventDefault());
byId("wanted").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => search().catch((error) => pulse("stale", error.message)), 200);
});
fill(byId("legend"), ...legend());
turn();
