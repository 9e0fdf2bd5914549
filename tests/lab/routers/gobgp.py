"""GoBGP: one daemon, asked by its own `gobgp` on a UNIX socket; without BFD and kernel routes."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lab.errors import LabError
from lab.host import Host
from lab.routers.bird import advertising
from lab.routers.router import (
    ADD_PATH,
    AS4,
    BOTH,
    ENHANCED,
    EXTERNAL,
    INTERNAL,
    LONG_LIVED,
    NEXT_HOP,
    REFRESH,
    RESTART,
    BfdSession,
    Exported,
    Family,
    Neighbor,
    Plan,
    Router,
    Routes,
    Session,
    Unsupported,
    Way,
)
from lab.waiting import until

_STATES = ("", "Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established")
_CAPABILITIES = {
    "FourOctetASNCapability": AS4,
    "RouteRefreshCapability": REFRESH,
    "EnhancedRouteRefreshCapability": ENHANCED,
    "GracefulRestartCapability": RESTART,
    "LongLivedGracefulRestartCapability": LONG_LIVED,
    "ExtendedNexthopCapability": NEXT_HOP,
    "AddPathCapability": ADD_PATH,
}
_RELOADED = "Reload the config file"
# attributes by their type (RFC 4271, 1997, 4760, 8092)
_AS_PATH, _NEXT_HOP, _MED, _LOCAL_PREF, _COMMUNITIES, _MP_REACH, _LARGE = 2, 3, 4, 5, 8, 14, 32
ASKED_AGAIN, BUSY = 10, "context deadline exceeded"


class GoBGP(Router):
    """GoBGP 3.10 of Debian."""

    name = "GoBGP"

    def __init__(self, host: Host, plan: Plan, name: str = "") -> None:
        super().__init__(host, plan, name)
        self._found: dict[str, str] = {}  # address → the name in the description

    # --- its life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts it with its configuration, then adds the routes that it tells of."""
        self.dir.mkdir(parents=True, exist_ok=True)
        if self.plan.kernel:
            raise Unsupported("GoBGP has no kernel routes of its own: only by way of FRR's zebra")
        config, path = self.dir / "gobgpd.json", self.dir / "api.sock"
        config.write_text(json.dumps(configuration(self.plan), indent=1))
        path.unlink(missing_ok=True)
        if links := [one.interface for one in self.plan.neighbors if one.interface]:
            self._introduce(links)
        command = ["gobgpd", "-t", "json", "-f", config, "--pprof-disable", "--cpus", "1"]
        process = self.host.spawn([*command, f"--api-hosts=unix://{path}"], log=self.dir.name)
        self.processes.append(process)

        def ready() -> bool:
            if not process.alive:
                self.kill()
                raise Unsupported(_last_error(process.log()))
            return '"Finished reading the config file"' in process.log() and path.exists()

        until(ready, f"GoBGP on {self.host.name}", 10, every=0.005)
        for route in self.plan.routes:
            self._add(route)

    def _introduce(self, links: Sequence[str]) -> None:
        """GoBGP takes whom the kernel knows on a link, and needs another one to introduce it."""
        for link in links:
            self.host.run(["ping", "-6", "-c", "1", "-W", "1", f"ff02::1%{link}"], check=False)
        config = self.dir / "radv.conf"
        config.write_text(advertising(links))
        command = ["bird", "-f", "-c", config, "-s", self.dir / "radv.ctl"]
        self.processes.append(self.host.spawn(command, log=f"{self.dir.name}-radv"))

    def _add(self, route: Exported) -> None:
        v6 = ":" in route.prefix
        said = ["-a", "ipv6" if v6 else "ipv4", route.prefix, "nexthop", "::" if v6 else "0.0.0.0"]
        said += ["origin", "igp"]
        said += [] if route.med is None else ["med", str(route.med)]
        said += ["community", ",".join(route.communities)] if route.communities else []
        said += ["large-community", ",".join(route.large)] if route.large else []
        self.ask("global", "rib", "add", *said)

    def ask(self, *words: str) -> str:
        """What `gobgp` says to that."""
        target = f"--target=unix://{self.dir / 'api.sock'}"
        for _ in range(ASKED_AGAIN):
            done = self.host.run(["gobgp", target, *words], check=False)
            said = (done.stderr + done.stdout).strip()
            if BUSY not in said:  # it gives itself a second, which a busy machine may not
                break
        if done.returncode:
            raise LabError(f"gobgp {' '.join(words)}: {said}")
        return done.stdout

    # --- what it tells ----------------------------------------------------------------------------

    def sessions(self) -> Mapping[str, Session]:
        """`gobgp neighbor`; why a session ended, it tells in its log alone."""
        rows = json.loads(self.ask("neighbor", "-j"))
        resets = self._resets()
        self._found = {}
        names = {one.interface for one in self.plan.neighbors if one.interface}
        found = {}
        for row in rows:
            address = row["state"].get("neighbor_address", "")
            interface = row["conf"].get("neighbor_interface", "")
            peer = interface if interface in names else address
            self._found[address.partition("%")[0]] = peer
            found[peer] = _session(peer, row, resets.get(address, ""))
        return found

    def _resets(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        messages: dict[str, str] = {}
        for told in _lines(self.log()):
            key, what = str(told.get("Key")), str(told.get("msg"))
            if what in ("received notification", "sent notification"):
                messages[key] = str(told.get("Communicated-Reason") or "")
            if what == "Peer Down":
                words = [str(told.get("Reason", "")), messages.pop(key, "")]
                found[key] = ": ".join(word for word in words if word)
        return found

    def routes(self, family: Family) -> Routes:
        """`gobgp global rib`, without what it announces itself."""
        rows = json.loads(self.ask("global", "rib", "-a", family.value, "-j") or "{}")
        if any(one.interface for one in self.plan.neighbors):
            self.sessions()  # who is on which link
        found = {}
        for prefix, items in rows.items():
            ways = tuple(_way(item, self._found) for item in items if item.get("neighbor-ip"))
            if ways:
                found[prefix] = ways
        return found

    def bfd(self) -> Mapping[str, BfdSession]:
        """It has none."""
        raise Unsupported("GoBGP has no BFD")

    # --- what is done to it -----------------------------------------------------------------------

    def apply(self, plan: Plan) -> None:
        """SIGHUP: it reads its configuration again, and makes a neighbor that changed anew."""
        before = self.log().count(_RELOADED)
        (self.dir / "gobgpd.json").write_text(json.dumps(configuration(plan), indent=1))
        self.processes[-1].signal(signal.SIGHUP)
        self.plan = plan
        until(lambda: self.log().count(_RELOADED) > before, "GoBGP to read its configuration", 5)
        wanted = {one.peer for one in plan.neighbors}
        until(lambda: set(self.sessions()) == wanted, "GoBGP to have its new neighbors", 5)

    def set_password(self, peer: str, password: str) -> None:
        """By a new configuration."""
        neighbors = [
            replace(one, password=password) if one.peer == peer else one
            for one in self.plan.neighbors
        ]
        self.apply(replace(self.plan, neighbors=tuple(neighbors)))

    def shut(self, peer: str, message: str = "") -> None:
        """`shutdown`: the newer `disable` takes a message, and does not send it."""
        self.ask("neighbor", peer, "shutdown", *(["--reason", message] if message else []))

    def open(self, peer: str) -> None:
        """By taking it away and adding it again.

        After the end of a session it is idle for 30 s, as 3.10 reads `idle-hold-time-after-reset`
        and forgets it.
        """
        plan = self.plan
        others = tuple(one for one in plan.neighbors if one.peer != peer)
        self.apply(replace(plan, neighbors=others))
        self.apply(plan)

    def reset(self, peer: str) -> None:
        """`reset`, and so that it is not idle for 30 s."""
        self.ask("neighbor", peer, "reset")
        self.open(peer)

    def refresh(self, peer: str) -> None:
        """`softresetin`."""
        self.ask("neighbor", peer, "softresetin")


# --- the configuration ----------------------------------------------------------------------------

Json = Mapping[str, Any]


def configuration(plan: Plan) -> Json:
    """gobgpd's configuration of a description."""
    told = [one.address for one in plan.neighbors if one.exports and one.address]
    return {
        "global": {
            "config": {"as": plan.asn, "router-id": plan.router_id, "port": plan.port},
            "apply-policy": {
                "config": {
                    "default-import-policy": "accept-route",
                    "default-export-policy": "reject-route",
                    "export-policy-list": ["own"],
                }
            },
            "use-multiple-paths": {"config": {"enabled": plan.maximum_paths > 1}},
        },
        "neighbors": [_neighbor(plan, one) for one in plan.neighbors],
        "defined-sets": {
            "prefix-sets": [_prefixes(plan.routes, family) for family in BOTH],
            "neighbor-sets": [{"neighbor-set-name": "told", "neighbor-info-list": told}],
        },
        "policy-definitions": [{"name": "own", "statements": [_statement(f) for f in BOTH]}],
    }


def _prefixes(routes: Sequence[Exported], family: Family) -> Json:
    own = [{"ip-prefix": r.prefix} for r in routes if Family.of(r.prefix) is family]
    return {"prefix-set-name": family.value, "prefix-list": own}


def _statement(family: Family) -> Json:
    return {
        "conditions": {
            "match-prefix-set": {"prefix-set": family.value},
            "match-neighbor-set": {"neighbor-set": "told"},
        },
        "actions": {"route-disposition": "accept-route"},
    }


def _neighbor(plan: Plan, one: Neighbor) -> Json:
    config: dict[str, Any] = {"peer-as": plan.asn if one.asn == INTERNAL else one.asn}
    if one.asn == EXTERNAL:
        config = {"peer-type": EXTERNAL}  # it asks for the number itself
    config["neighbor-interface" if one.interface else "neighbor-address"] = one.peer
    if one.password:
        config["auth-password"] = one.password
    transport = {"passive-mode": one.passive, "remote-port": one.port}
    if one.local_address:
        transport["local-address"] = one.local_address
    times = {"hold-time": one.hold_time, "keepalive-interval": one.keepalive_time}
    times |= {"connect-retry": one.connect_time, "idle-hold-time-after-reset": 1}
    told: dict[str, Any] = {
        "config": config,
        "transport": {"config": transport},
        "timers": {"config": times},
        "afi-safis": [_family(one, family) for family in one.families],
    }
    if one.multi_hop and not one.ttl_security and one.asn not in (INTERNAL, plan.asn):
        told["ebgp-multihop"] = {"config": {"enabled": True, "multihop-ttl": one.multi_hop}}
    if one.ttl_security:
        ttl = {"enabled": True, "ttl-min": 256 - one.ttl_security}
        told["ttl-security"] = {"config": ttl}
    if one.bfd:  # it says itself that it knows no such key
        told["bfd"] = {"config": {"enabled": True}}
    if one.restart:
        restart = {"enabled": True, "restart-time": one.restart.restart_time}
        restart |= {"helper-only": one.restart.helper}
        told["graceful-restart"] = {"config": restart}
    return told


def _family(one: Neighbor, family: Family) -> Json:
    told: dict[str, Any] = {"config": {"afi-safi-name": f"{family.value}-unicast"}}
    if one.restart:
        told["mp-graceful-restart"] = {"config": {"enabled": True}}
    if one.add_path:
        told["add-paths"] = {"config": {"receive": True, "send-max": 8}}
    return told


# --- what it says ---------------------------------------------------------------------------------


def _lines(log: str) -> list[Json]:
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


def _last_error(log: str) -> str:
    told = [line for line in _lines(log) if line.get("level") in ("fatal", "error")]
    return " ".join(str(told[-1].get("Error", told[-1]["msg"])).split()) if told else log.strip()


def _session(peer: str, row: Json, reset: str) -> Session:
    state = row.get("state", {})
    kinds = {str(one.get("type_url", "")).rpartition(".")[2] for one in state.get("remote_cap", [])}
    number = state.get("session_state", 1)
    received = {}
    for told in row.get("afi_safis", []):
        family = Family.IPV6 if told["config"]["family"].get("afi") == 2 else Family.IPV4
        received[family] = told.get("state", {}).get("accepted", 0)
    up = row.get("timers", {}).get("state", {}).get("uptime", {}).get("seconds")
    return Session(
        peer,
        _STATES[number],
        up if _STATES[number] == "Established" else None,
        reset,
        frozenset(_CAPABILITIES[kind] for kind in kinds if kind in _CAPABILITIES),
        received,
    )


def _way(told: Json, names: Mapping[str, str]) -> Way:
    said = {one["type"]: one for one in told["attrs"]}
    hop = said.get(_NEXT_HOP) or said.get(_MP_REACH) or {}
    segments = said.get(_AS_PATH, {}).get("as_paths") or []
    numbers = said.get(_COMMUNITIES, {}).get("communities", [])
    large = said.get(_LARGE, {}).get("value", [])
    return Way(
        names.get(told["neighbor-ip"], told["neighbor-ip"]),
        hop.get("nexthop", ""),
        tuple(asn for segment in segments for asn in segment["asns"]),
        said[_MED]["metric"] if _MED in said else None,
        said[_LOCAL_PREF]["value"] if _LOCAL_PREF in said else None,
        frozenset(f"{number >> 16}:{number & 0xFFFF}" for number in numbers),
        frozenset(f"{one['ASN']}:{one['LocalData1']}:{one['LocalData2']}" for one in large),
        bool(told.get("stale")),
        bool(told.get("best")),
    )
