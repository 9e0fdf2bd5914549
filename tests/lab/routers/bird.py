"""BIRD 2: one program, one configuration, a control socket that is asked in words."""

from __future__ import annotations

import datetime
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from lab.errors import LabError
from lab.host import Host
from lab.routers.router import (
    ADD_PATH,
    AS4,
    BOTH,
    ENHANCED,
    EXTENDED,
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
from lab.routers.vty import connect
from lab.waiting import until

_CAPABILITIES = {
    "4-octet AS numbers": AS4,
    "Extended message": EXTENDED,
    "Route refresh": REFRESH,
    "Enhanced refresh": ENHANCED,
    "Graceful restart": RESTART,
    "Long-lived graceful restart": LONG_LIVED,
    "Extended next hop": NEXT_HOP,
    "ADD-PATH": ADD_PATH,
}
_NOT_FOUND = "8003"
# a protocol's name: of a neighbor, or of the session with one that was found on a link
_NAME = r"(?:p(?P<waiting>\d+)|d(?P<found>\d+)_\d+)"


class BIRD(Router):
    """BIRD 2.0.12 of Debian."""

    name = "BIRD"

    def __init__(self, host: Host, plan: Plan, name: str = "") -> None:
        super().__init__(host, plan, name)
        self._control: socket.socket | None = None

    # --- its life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts it with its configuration, once it has nothing against it."""
        self.dir.mkdir(parents=True, exist_ok=True)
        config, path = self.dir / "bird.conf", self.dir / "bird.ctl"
        config.write_text(configuration(self.plan))
        tried = self.host.run(["bird", "-p", "-c", config], check=False)
        if tried.returncode:
            raise Unsupported(
                (tried.stderr + tried.stdout).strip().removeprefix(f"bird: {config}:")
            )
        path.unlink(missing_ok=True)
        command = ["bird", "-f", "-c", config, "-s", path, "-P", self.dir / "bird.pid"]
        process = self.host.spawn(command, log=self.dir.name)
        self.processes.append(process)

        def connected() -> socket.socket | None:
            if not process.alive:
                raise LabError(f"bird has ended: {process.log()}")
            return connect(path)

        self._control = until(connected, f"BIRD on {self.host.name}", 10, every=0.005)
        self._answer()

    def stop(self) -> None:
        """SIGTERM: it says farewell to all."""
        self._close()
        super().stop()

    def kill(self) -> None:
        """At once."""
        self._close()
        super().kill()

    def _close(self) -> None:
        if self._control is not None:
            self._control.close()
        self._control = None

    def ask(self, command: str) -> str:
        """The answer to one command of `birdc`, without its numbers; raises Unsupported."""
        if self._control is None:
            raise LabError(f"BIRD on {self.host.name} does not run")
        self._control.sendall(command.encode() + b"\n")
        return self._answer()

    def _answer(self) -> str:
        assert self._control is not None
        data = b""
        while not (last := _last_line(data)):
            piece = self._control.recv(1 << 18)
            if not piece:
                raise LabError(f"BIRD on {self.host.name} has closed its control socket")
            data += piece
        lines = [re.sub(r"^( |\d{4}[- ])", "", line) for line in data.decode().splitlines()]
        if last[0] in "89" and last[:4] != _NOT_FOUND:
            raise Unsupported("\n".join(lines))
        return "\n".join(lines)

    # --- what it tells ----------------------------------------------------------------------------

    def sessions(self) -> Mapping[str, Session]:
        """`show protocols all` of those that speak BGP."""
        told = self.ask("show protocols all")
        ends = self._ends()
        return {peer: _session(peer, block, ends) for peer, block in self._blocks(told)}

    def _ends(self) -> Mapping[str, str]:
        """Why sessions ended, from the log: what is shown is soon the next attempt's error."""
        found = re.findall(r"<RMT> (\w+): (.*)", self.log())
        return {name: words.replace('"', "") for name, words in found}

    def _restarting(self) -> set[str]:
        """Neighbors whose routes are kept while they restart, until they have told all anew."""
        blocks = self._blocks(self.ask("show protocols all"))
        return {peer for peer, block in blocks if "Neighbor graceful restart active" in block}

    def _blocks(self, told: str) -> Iterator[tuple[str, str]]:
        """What is told of each neighbor; of one on a link the latest session, not who waits."""
        for block in re.split(r"\n(?=\S+ +[A-Z]\w+ +)", told):
            if match := re.match(rf"{_NAME} +BGP", block):
                neighbor = self.plan.neighbors[_index(match)]
                if match["waiting"] is None or not neighbor.interface:
                    yield neighbor.peer, block

    def routes(self, family: Family) -> Routes:
        """`show route all` of one table, BGP's alone.

        It does not show which routes are stale, but for which neighbors it keeps any.
        """
        restarting = self._restarting()
        told = self.ask(f"show route all where source = RTS_BGP table master{family.value[-1]}")
        found: dict[str, tuple[Way, ...]] = {}
        prefix = ""
        for head, body in _entries(told):
            prefix = head["prefix"] or prefix
            peer = self.plan.neighbors[_index(head)].peer
            way = _way(peer, head["rest"], body)
            found[prefix] = (*found.get(prefix, ()), replace(way, stale=peer in restarting))
        return found

    def bfd(self) -> Mapping[str, BfdSession]:
        """`show bfd sessions`."""
        pattern = r"^(\S+) +(\S+) +(Up|Down|Init|AdminDown) +(\S+ ?\S*) +([\d.]+) +([\d.]+)$"
        rows = re.findall(pattern, self.ask("show bfd sessions"), re.MULTILINE)
        return {row[0]: BfdSession(row[0], row[2].lower(), float(row[5])) for row in rows}

    # --- what is done to it -----------------------------------------------------------------------

    def apply(self, plan: Plan) -> None:
        """`configure`: it restarts what cannot change on the fly."""
        (self.dir / "bird.conf").write_text(configuration(plan))
        self.ask("configure")
        self.plan = plan

    def set_password(self, peer: str, password: str) -> None:
        """It restarts the session."""
        neighbors = [
            replace(one, password=password) if one.peer == peer else one
            for one in self.plan.neighbors
        ]
        self.apply(replace(self.plan, neighbors=tuple(neighbors)))

    def _protocol(self, peer: str) -> str:
        return f"p{[one.peer for one in self.plan.neighbors].index(peer)}"

    def shut(self, peer: str, message: str = "") -> None:
        """`disable`."""
        self.ask(f"disable {self._protocol(peer)}" + (f' "{message}"' if message else ""))

    def open(self, peer: str) -> None:
        """`enable`."""
        self.ask(f"enable {self._protocol(peer)}")

    def reset(self, peer: str) -> None:
        """`restart`."""
        self.ask(f"restart {self._protocol(peer)}")

    def refresh(self, peer: str) -> None:
        """`reload in`."""
        self.ask(f"reload in {self._protocol(peer)}")


def _index(match: re.Match[str]) -> int:
    return int(match["waiting"] or match["found"])


def _last_line(data: bytes) -> str:
    """The line that ends an answer: a number and a space; empty while it is not there."""
    if not data.endswith(b"\n"):
        return ""
    line = data[data.rfind(b"\n", 0, -1) + 1 :].decode(errors="replace")
    return line if re.match(r"\d{4} ", line) else ""


# --- the configuration ----------------------------------------------------------------------------


def configuration(plan: Plan) -> str:
    """bird.conf of a description."""
    lines = [
        "log stderr all;",
        "timeformat protocol iso long us;",
        "timeformat route iso long us;",
        "timeformat log iso long us;",
        f"router id {plan.router_id};",
        "debug protocols { states, events };",
        "protocol device { }",
        "protocol direct { ipv4; ipv6; }",
        'protocol bfd { interface "*" { interval 50 ms; }; multihop { interval 50 ms; }; }',
    ]
    for family in BOTH:
        export = "export where source = RTS_BGP; import all;" if plan.kernel else "export none;"
        merge = f"merge paths on limit {plan.maximum_paths};" if plan.kernel else ""
        lines.append(f"protocol kernel {{ learn; {merge} {family.value} {{ {export} }}; }}")
        lines.append(f"protocol static {{ {family.value};")
        own = [route.prefix for route in plan.routes if Family.of(route.prefix) is family]
        lines += [*(f"  route {prefix} blackhole;" for prefix in own), "}"]
    lines += ["filter own {", "  if source != RTS_STATIC then reject;"]
    lines += [*map(_attributes, plan.routes), "  accept;", "}"]
    links = [one.interface for one in plan.neighbors if one.interface]
    lines += [_introduction(link) for link in links]
    for index, neighbor in enumerate(plan.neighbors):
        lines += [f"protocol bgp p{index} {{", *_options(plan, index, neighbor), "}"]
    return "\n".join(lines) + "\n"


def advertising(links: Sequence[str]) -> str:
    """bird.conf of one that does no more than introduce its host on links."""
    lines = ["log stderr all;", "router id 192.0.2.254;", "protocol device { }"]
    return "\n".join([*lines, *map(_introduction, links)]) + "\n"


def _introduction(link: str) -> str:
    """Router Advertisements that make nobody send anything here."""
    times = "max ra interval 4; default lifetime 0;"
    return f'protocol radv {{ interface "{link}" {{ {times} }}; }}'


def _attributes(route: Exported) -> str:
    """What is said of a route when it is told: BIRD drops a MED that it had before."""
    said = [] if route.med is None else [f"bgp_med = {route.med};"]
    for text in route.communities:
        said.append(f"bgp_community.add(({text.replace(':', ',')}));")
    for text in route.large:
        said.append(f"bgp_large_community.add(({text.replace(':', ',')}));")
    return f"  if net = {route.prefix} then {{ {' '.join(said)} }}" if said else ""


def _options(plan: Plan, index: int, one: Neighbor) -> Iterator[str]:
    yield f"  local {one.local_address} port {plan.port} as {plan.asn};"
    number = f"{'as ' * str(one.asn).isdigit()}{one.asn}"
    if one.interface:  # whoever calls from there
        yield f'  neighbor range fe80::/10 {number}; interface "{one.interface}";'
        yield f'  dynamic name "d{index}_";'
    else:
        yield f"  neighbor {one.address} port {one.port} {number};"
    yield f"  {f'multihop {one.multi_hop}' if one.multi_hop else 'direct'};"
    yield f"  hold time {one.hold_time}; keepalive time {one.keepalive_time};"
    yield f"  connect retry time {one.connect_time}; connect delay time {one.connect_time};"
    yield "  error wait time 1, 1; error forget time 1;"
    if one.ttl_security:
        yield "  ttl security on;"
    if one.passive:
        yield "  passive on;"
    if one.password:
        yield f'  password "{one.password}";'
    if one.bfd:
        passive = "passive on;" if one.bfd.passive else ""
        timing = f"interval {one.bfd.interval} ms; multiplier {one.bfd.multiplier};"
        yield f"  bfd {{ {timing} {passive} }};"
        if one.restart:
            yield "  bfd graceful;"  # its end is no more than a restart's
    yield from _restart(one)
    for family in one.families:
        told = "filter own" if one.exports else "none"
        more = "extended next hop on;" * (one.extended_next_hop or bool(one.interface))
        more += "add paths on;" * one.add_path
        yield f"  {family.value} {{ import all; export {told}; {more} }};"


def _restart(one: Neighbor) -> Iterator[str]:
    yield "  long lived graceful restart off;"
    if one.restart is None:
        yield "  graceful restart off;"
    elif one.restart.helper:
        yield "  graceful restart aware;"
    else:
        yield f"  graceful restart on; graceful restart time {one.restart.restart_time};"


# --- what it says ---------------------------------------------------------------------------------


def _session(peer: str, block: str, ends: Mapping[str, str]) -> Session:
    state = re.search(r"BGP state: +(\S+)", block)
    head = block.splitlines()[0]
    since = re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+", head)
    up = state is not None and state[1] == "Established"
    error = re.search(r"Last error: +(.*)", block)
    return Session(
        peer,
        state[1] if state else "Idle",
        _seconds(since[0]) if since and up else None,
        ends.get(head.split(" ")[0], error[1] if error else ""),
        frozenset(_capabilities(block)),
        {family: _received(block, family) for family in BOTH},
    )


def _capabilities(block: str) -> Iterator[str]:
    _, _, told = block.partition("Neighbor capabilities\n")
    for line in takewhile(lambda text: text.startswith("      "), told.splitlines()):
        if name := _CAPABILITIES.get(line.strip()):
            yield name


def _received(block: str, family: Family) -> int:
    _, _, told = block.partition(f"Channel {family.value}\n")
    found = re.search(r"Routes: +(\d+) imported", told.partition("Channel")[0])
    return int(found[1]) if found else 0


def _seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


_ENTRY = re.compile(rf"^(?P<prefix>\S+)? +(?:unicast|unreachable) +\[{_NAME} [^\]]*\](?P<rest>.*)$")


def _entries(told: str) -> Iterator[tuple[re.Match[str], str]]:
    """Each way: its first line, and the lines below."""
    head: re.Match[str] | None = None
    body: list[str] = []
    for line in told.splitlines():
        if match := _ENTRY.match(line):
            if head:
                yield head, "\n".join(body)
            head, body = match, []
        else:
            body.append(line)
    if head:
        yield head, "\n".join(body)


def _way(peer: str, rest: str, body: str) -> Way:
    said = dict(re.findall(r"BGP\.(\w+): (.*)", body))
    return Way(
        peer,
        next((hop for hop in said.get("next_hop", "").split(" ") if hop != "::"), ""),
        tuple(int(asn) for asn in re.findall(r"\d+", said.get("as_path", ""))),
        int(said["med"]) if "med" in said else None,
        int(said["local_pref"]) if "local_pref" in said else None,
        _pairs(said.get("community", "")),
        _pairs(said.get("large_community", "")),
        best="*" in rest,
    )


def _pairs(text: str) -> frozenset[str]:
    found = re.findall(r"\(([^)]*)\)", text)
    return frozenset(":".join(part.strip() for part in one.split(",")) for one in found)
