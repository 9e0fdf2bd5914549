"""FRR: zebra, bfdd and bgpd in a namespace, each with the router's directory as its /etc/frr.

The daemons give up root for the user `frr`, who need not be able to reach that directory by its
own path: so it is bound over one that the package has, in a mount namespace of theirs.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from lab.errors import LabError
from lab.host import Host
from lab.routers.router import (
    ADD_PATH,
    AS4,
    BOTH,
    ENHANCED,
    EXTENDED,
    INTERNAL,
    LONG_LIVED,
    NEXT_HOP,
    REFRESH,
    RESTART,
    BfdSession,
    Family,
    Neighbor,
    Plan,
    Router,
    Routes,
    Session,
    Unsupported,
    Way,
)
from lab.routers.vty import Vty
from lab.waiting import until

_CAPABILITIES = {
    "4byteAs": AS4,
    "extendedMessage": EXTENDED,
    "routeRefresh": REFRESH,
    "enhancedRouteRefresh": ENHANCED,
    "gracefulRestart": RESTART,
    "longLivedGracefulRestart": LONG_LIVED,
    "extendedNexthop": NEXT_HOP,
}
_WELL_KNOWN = {
    "graceful-shutdown": "65535:0",
    "accept-own": "65535:1",
    "llgr-stale": "65535:6",
    "no-llgr": "65535:7",
    "blackhole": "65535:666",
    "no-export": "65535:65281",
    "no-advertise": "65535:65282",
    "local-AS": "65535:65283",
    "no-peer": "65535:65284",
}
_NOTIFICATION = re.compile(r"%NOTIFICATION(?:\(.*?\))?: received from neighbor (\S+) (.*)")
_BIND = 'mount --bind "$0" /etc/frr && exec "$@"'
_LOG = ["log file /etc/frr/{} debugging", "log timestamp precision 6"]


class FRR(Router):
    """FRR 8.4 of Debian: three daemons, no watchfrr, no mgmtd."""

    name = "FRR"

    def __init__(self, host: Host, plan: Plan, name: str = "") -> None:
        super().__init__(host, plan, name)
        self._bgpd: Vty | None = None
        self._bfdd: Vty | None = None

    # --- its life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """zebra, bfdd and bgpd, one after the other; then bgpd is told its neighbors."""
        self.dir.mkdir(parents=True, exist_ok=True)
        shutil.chown(self.dir, "frr", "frr")
        for name, lines in self._files().items():
            for old in (f"{name}.vty", f"{name}.pid", *(["zserv.api"] if name == "zebra" else [])):
                (self.dir / old).unlink(missing_ok=True)
            (self.dir / f"{name}.conf").write_text("\n".join(lines) + "\n")
            self._spawn(name)
        self._bfdd, self._bgpd = Vty(self.dir / "bfdd.vty"), Vty(self.dir / "bgpd.vty")
        if against := self._bgpd.configure(router_lines(self.plan)):
            self.kill()
            raise Unsupported("; ".join(against))

    def _files(self) -> Mapping[str, list[str]]:
        logs = {name: [line.format(f"{name}.log") for line in _LOG] for name in _PROGRAMS}
        logs["zebra"] += ["ip nht resolve-via-default", "ipv6 nht resolve-via-default"]
        logs["bfdd"] += _profiles(self.plan)
        logs["bgpd"] += ["debug bgp neighbor-events"]
        return logs

    def _spawn(self, name: str) -> None:
        flags = [
            "--vty_socket",
            "/etc/frr",
            "-A",
            "127.0.0.1",
            "-P",
            "0",
            "-z",
            "/etc/frr/zserv.api",
        ]
        flags += ["-i", f"/etc/frr/{name}.pid", "-f", f"/etc/frr/{name}.conf"]
        if name == "bfdd":
            flags += ["--bfdctl", "/etc/frr/bfdd.sock"]
        if name == "bgpd":
            flags += ["-p", str(self.plan.port), *([] if self.plan.kernel else ["-n"])]
        program = f"/usr/lib/frr/{name}"
        command = ["sh", "-c", _BIND, self.dir, program, *flags]
        process = self.host.spawn(command, log=f"{self.dir.name}-{name}")
        self.processes.append(process)

        def ready() -> bool:
            if not process.alive:
                raise LabError(f"{name} has ended: {process.log()}")
            wanted = [f"{name}.vty", *(["zserv.api"] if name == "zebra" else [])]
            return all((self.dir / file).exists() for file in wanted)

        until(ready, f"{name} on {self.host.name}", 10, every=0.005)

    def stop(self) -> None:
        """bgpd first, with a NOTIFICATION to everybody."""
        self._close()
        super().stop()

    def kill(self) -> None:
        """All three at once."""
        self._close()
        super().kill()

    def _close(self) -> None:
        for vty in (self._bgpd, self._bfdd):
            if vty is not None:
                vty.close()
        self._bgpd = self._bfdd = None

    def log(self) -> str:
        """The daemons' log files, and what they wrote to standard output."""
        files = [self.dir / f"{name}.log" for name in _PROGRAMS]
        return "\n".join([super().log(), *(f.read_text() for f in files if f.exists())])

    @property
    def bgpd(self) -> Vty:
        """bgpd's terminal, for what has no name here."""
        if self._bgpd is None:
            raise LabError(f"FRR on {self.host.name} does not run")
        return self._bgpd

    @property
    def bfdd(self) -> Vty:
        """bfdd's terminal, likewise."""
        if self._bfdd is None:
            raise LabError(f"FRR on {self.host.name} does not run")
        return self._bfdd

    # --- what it tells ----------------------------------------------------------------------------

    def sessions(self) -> Mapping[str, Session]:
        """`show bgp neighbors`."""
        found = self.bgpd.json("show bgp neighbors")
        words = self._notifications()
        return {
            peer: _session(
                peer, told, words.get(told.get("hostForeign", peer), words.get(peer, ""))
            )
            for peer, told in found.items()
        }

    def _notifications(self) -> Mapping[str, str]:
        """The last one that came from each address, in the words of bgpd's log."""
        log = self.dir / "bgpd.log"
        return dict(_NOTIFICATION.findall(log.read_text() if log.exists() else ""))

    def routes(self, family: Family) -> Routes:
        """`show bgp … detail`, without what it announces itself."""
        told = self.bgpd.ask(f"show bgp {family.value} unicast json detail")
        rows = json.loads(told or "{}").get("routes", {})
        links = self._links()
        found = {}
        for prefix, items in rows.items():
            ways = tuple(
                _way(item, links) for item in items if "aspath" in item and "local" not in item
            )
            if ways:
                found[prefix] = ways
        return found

    def _links(self) -> Mapping[str, str]:
        """Link-local addresses of the neighbors that are known by an interface."""
        if not any(one.interface for one in self.plan.neighbors):
            return {}
        told = self.bgpd.json("show bgp neighbors")
        names = [one.interface for one in self.plan.neighbors if one.interface in told]
        return {told[name].get("hostForeign", ""): name for name in names}

    def bfd(self) -> Mapping[str, BfdSession]:
        """`show bfd peers`."""
        rows = self.bfdd.json("show bfd peers")
        return {row["peer"]: _bfd(row) for row in rows}

    # --- what is done to it -----------------------------------------------------------------------

    def apply(self, plan: Plan) -> None:
        """Neighbors that are gone or changed are taken away, then all is said again."""
        lines = [f"router bgp {self.plan.asn}"]
        for old in self.plan.neighbors:
            if old not in plan.neighbors:
                lines.append(f"no neighbor {old.peer}" + " interface" * bool(old.interface))
        same = set(self.plan.neighbors) & set(plan.neighbors)
        self._configure(*lines, *router_lines(plan, same))
        self.plan = plan

    def set_password(self, peer: str, password: str) -> None:
        """It resets the session."""
        line = (
            f"neighbor {peer} password {password}" if password else f"no neighbor {peer} password"
        )
        self._configure(f"router bgp {self.plan.asn}", line)

    def shut(self, peer: str, message: str = "") -> None:
        """`neighbor … shutdown`."""
        said = f" message {message}" if message else ""
        self._configure(f"router bgp {self.plan.asn}", f"neighbor {peer} shutdown{said}")

    def open(self, peer: str) -> None:
        """`no neighbor … shutdown`."""
        self._configure(f"router bgp {self.plan.asn}", f"no neighbor {peer} shutdown")

    def reset(self, peer: str) -> None:
        """`clear bgp …`."""
        self.bgpd.ask(f"clear bgp {peer}")

    def refresh(self, peer: str) -> None:
        """`clear bgp … soft in`, family by family."""
        for family in self.neighbor(peer).families:
            self.bgpd.ask(f"clear bgp {family.value} unicast {peer} soft in")

    def _configure(self, *lines: str) -> None:
        if against := self.bgpd.configure(lines):
            raise Unsupported("; ".join(against))


_PROGRAMS = ("zebra", "bfdd", "bgpd")


# --- the configuration ----------------------------------------------------------------------------


def router_lines(plan: Plan, but: Iterable[Neighbor] = ()) -> list[str]:
    """The lines that make a bgpd of a description; neighbors in ``but`` stay as they are."""
    neighbors = [one for one in plan.neighbors if one not in but]
    lines = [*_filters(plan), f"router bgp {plan.asn}", f" bgp router-id {plan.router_id}"]
    lines += [" no bgp ebgp-requires-policy", " no bgp network import-check"]
    lines += [" no bgp default ipv4-unicast", " bgp bestpath as-path multipath-relax"]
    for neighbor in neighbors:
        lines += _neighbor(plan, neighbor)
    for family in BOTH:
        lines.append(f" address-family {family.value} unicast")
        lines += [f"  network {r.prefix}" for r in plan.routes if Family.of(r.prefix) is family]
        lines += [f"  maximum-paths {plan.maximum_paths}"]
        lines += [f"  maximum-paths ibgp {plan.maximum_paths}"]
        for neighbor in neighbors:
            if family in neighbor.families:
                lines += _activation(neighbor)
        lines.append(" exit-address-family")
    lines += [f" no neighbor {one.peer} shutdown" for one in neighbors]
    return lines


def _neighbor(plan: Plan, one: Neighbor) -> list[str]:
    name = f" neighbor {one.peer}"
    internal = one.asn in (INTERNAL, plan.asn)
    wanted = {
        f"{name} interface remote-as {one.asn}": one.interface,
        f"{name} remote-as {one.asn}": one.address,
        f"{name} shutdown": True,  # until all is said
        f"{name} timers {one.keepalive_time} {one.hold_time}": True,
        f"{name} timers connect {one.connect_time}": True,
        f"{name} update-source {one.local_address}": one.local_address,
        f"{name} port {one.port}": one.port != 179,
        f"{name} passive": one.passive,
        f"{name} ebgp-multihop {one.multi_hop}": one.multi_hop
        and not internal
        and not one.ttl_security,
        # without it 8.4 calls the next hops of a far peer that connects to it inaccessible
        f"{name} disable-connected-check": one.multi_hop and not internal,
        f"{name} ttl-security hops {one.ttl_security}": one.ttl_security,
        f"{name} password {one.password}": one.password,
        f"{name} capability extended-nexthop": one.extended_next_hop,
        f"{name} bfd": one.bfd,
        f"{name} bfd profile {_profile(one)}": one.bfd,
    }
    return [line for line, so in wanted.items() if so] + _restart(one)


def _restart(one: Neighbor) -> list[str]:
    name = f" neighbor {one.peer}"
    if one.restart is None:
        return [f"{name} graceful-restart-disable"]
    times = one.restart
    return [
        f" bgp graceful-restart restart-time {times.restart_time}",
        f" bgp graceful-restart stalepath-time {times.stale_time}",
        f"{name} graceful-restart{'-helper' * times.helper}",
    ]


def _activation(one: Neighbor) -> list[str]:
    name = f"  neighbor {one.peer}"
    lines = [f"{name} activate", f"{name} route-map {'own' if one.exports else 'none'} out"]
    if one.add_path:
        lines.append(f"{name} addpath-tx-all-paths")
    return lines


def _filters(plan: Plan) -> list[str]:
    lines = ["route-map none deny 10"]
    for index, route in enumerate(plan.routes, 1):
        word = "ipv6" if ":" in route.prefix else "ip"
        lines.append(f"{word} prefix-list own{index} seq 5 permit {route.prefix}")
        lines += [f"route-map own permit {index}", f" match {word} address prefix-list own{index}"]
        if route.med is not None:
            lines.append(f" set metric {route.med}")
        if route.communities:
            lines.append(f" set community {' '.join(route.communities)}")
        if route.large:
            lines.append(f" set large-community {' '.join(route.large)}")
        lines.append("exit")
    return [*lines, "route-map own deny 65000", "exit"]


def _profile(one: Neighbor) -> str:
    return "p" + "".join(letter if letter.isalnum() else "_" for letter in one.peer)


def _profiles(plan: Plan) -> list[str]:
    lines = ["bfd"]
    for one in plan.neighbors:
        if one.bfd:
            lines += [f" profile {_profile(one)}", f"  detect-multiplier {one.bfd.multiplier}"]
            lines += [f"  receive-interval {one.bfd.interval}"]
            lines += [f"  transmit-interval {one.bfd.interval}"]
            lines += ["  passive-mode"] * one.bfd.passive + [" exit"]
    return [*lines, "exit"]


# --- what it says ---------------------------------------------------------------------------------


def _session(peer: str, told: Mapping[str, Any], notification: str) -> Session:
    families = told.get("addressFamilyInfo", {})
    words = [told.get("lastResetDueTo", ""), told.get("lastNotificationReason", "")]
    if "Notification" not in words[0] and notification:
        # BFD's end or the next attempt, a moment later, hides what the peer has said
        words.append(f"the last word of the peer was {notification}")
    said = told.get("neighborCapabilities", {})
    capabilities = {name for key, name in _CAPABILITIES.items() if "eceived" in str(said.get(key))}
    if "eceived" in str(said.get("addPath")):
        capabilities.add(ADD_PATH)
    return Session(
        peer,
        told["bgpState"],
        told.get("bgpTimerUpEstablishedEpoch"),
        ": ".join(word for word in [*words, told.get("lastShutdownDescription", "")] if word),
        frozenset(capabilities),
        {f: families.get(f"{f.value}Unicast", {}).get("acceptedPrefixCounter", 0) for f in BOTH},
    )


def _way(told: Mapping[str, Any], links: Mapping[str, str]) -> Way:
    hops = told.get("nexthops", [])
    globals_ = [hop["ip"] for hop in hops if hop.get("scope") != "link-local"]
    segments = told["aspath"].get("segments", [])
    texts = told.get("community", {}).get("string", "").split()
    return Way(
        links.get(told["peer"]["peerId"], told["peer"]["peerId"]),
        (globals_ or [hop["ip"] for hop in hops] or [""])[0],
        tuple(asn for segment in segments for asn in segment["list"]),
        told.get("metric", told.get("med")),
        told.get("locPrf", told.get("localPref")),
        frozenset(_WELL_KNOWN.get(text, text) for text in texts),
        frozenset(told.get("largeCommunity", {}).get("string", "").split()),
        bool(told.get("stale")),
        bool(told.get("bestpath", {}).get("overall")),
    )


def _bfd(row: Mapping[str, Any]) -> BfdSession:
    interval = max(row.get("receive-interval", 0), row.get("remote-transmit-interval", 0))
    return BfdSession(
        row["peer"], row["status"], interval * row.get("remote-detect-multiplier", 0) / 1000
    )
