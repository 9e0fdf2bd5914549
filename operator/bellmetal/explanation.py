"""Why it is so, and what to do about it: what was observed becomes a cause, in words. Pure.

May live here: causes of sessions that are not established, and of routes that reach nobody.
May not: reading what was observed, printing.
"""

from __future__ import annotations

from dataclasses import dataclass

from bellmetal.facts import BFDState, SessionFacts, SessionState, SessionTrouble

NOTHING_SENT = "NothingSent"
SENT = "RoutesSent"
PENDING = "RoutesPending"
NO_REASON = "NotEstablished"
NO_SESSION = "NoSession"
SILENT = "SpeakerSilent"
DRAINING = "draining"  # of a node: a word of the warning that says so


@dataclass(frozen=True, slots=True)
class Cause:
    """What a session's state comes from.

    ``code`` is a word that stays the same; ``sentence`` says what it usually means; ``evidence``
    is what was seen; ``edit`` the object to change, ``command`` what to type on the node, and
    ``router`` what to look at on the router; each may be empty.
    """

    code: str
    sentence: str
    evidence: tuple[str, ...] = ()
    edit: str = ""
    command: str = ""
    router: str = ""


@dataclass(frozen=True, slots=True)
class _Advice:
    """A cause's words; ``{peer}``, ``{remote}``, ``{port}`` and ``{vrf}`` are filled in."""

    sentence: str
    edit: str = ""
    command: str = ""
    router: str = ""


_LOOK_AT_TCP = "ss -tnpo dst {remote}"
_LISTEN = "ss -tlnp sport = :{port}"
_WATCH = "tcpdump -ni any -c 20 host {remote} and tcp port {port}"
_IN_VRF = ("nc", "ping", "ss", "traceroute")
_SHOW = "show bgp neighbors (FRR), show protocols all (BIRD), gobgp neighbor (GoBGP)"

_ADVICE: dict[SessionTrouble, _Advice] = {
    SessionTrouble.CONNECTING: _Advice(
        "the connection is being opened; nothing is wrong yet",
        command=_LOOK_AT_TCP,
    ),
    SessionTrouble.REFUSED: _Advice(
        "the router is there, but nothing listens on TCP port {port} of {remote}: BGP does not run"
        " on it, it listens on another address or port, or its firewall rejects this node",
        edit="BGPPeer/{peer} spec.peerAddress and spec.peerPort",
        command="nc -vz {remote} {port}",
        router=_LISTEN + "; is this node's address among its neighbors?",
    ),
    SessionTrouble.NO_ANSWER: _Advice(
        "packets to {remote} port {port} are answered by nobody: a firewall drops them, the router"
        " does not know the way back to this node, or one side has a password and the other has"
        " none or another one (a router then drops what it gets without a word); likewise TTL"
        " security of one side alone",
        edit="BGPPeer/{peer} spec.passwordSecret, spec.peerAddress and the annotation"
        " bellmetal.io/ttl-security",
        command=_WATCH,
        router="its log for MD5 failures; ttl-security hops of the neighbor; show ip route to this"
        " node's address",
    ),
    SessionTrouble.NO_ROUTE: _Advice(
        "this node has no route to {remote}, or a router on the way says that it cannot be reached",
        edit="BGPPeer/{peer} spec.peerAddress, spec.sourceAddress and spec.vrf",
        command="ip route get {remote}",
    ),
    SessionTrouble.RESET: _Advice(
        "the router has closed the connection without a word. Before the session was established:"
        " it has no neighbor of this node's address, expects it from another source address, or is"
        " shut down for it. One that was established: the router's BGP process ended or restarted",
        edit="BGPPeer/{peer} spec.sourceAddress",
        command=_WATCH,
        router="does it have a neighbor with exactly the address that this node calls from? Since"
        " when does its BGP process run?",
    ),
    SessionTrouble.WRONG_ASN: _Advice(
        "the AS numbers do not fit: one side does not expect the number that the other one shows",
        edit="BGPPeer/{peer} spec.peerASN and spec.myASN",
        router="remote-as of this node and the router's own AS number: " + _SHOW,
    ),
    SessionTrouble.WRONG_ROUTER_ID: _Advice(
        "the router IDs do not fit: both sides have the same one, or one is 0.0.0.0; two nodes must"
        " not share one either",
        edit="BGPPeer/{peer} spec.routerID",
        router="its router ID: " + _SHOW,
    ),
    SessionTrouble.WRONG_PASSWORD: _Advice(
        "the passwords differ, or one side has none; where the message says most likely, it is not"
        " proved, and something on the way may drop the packets instead",
        edit="BGPPeer/{peer} spec.passwordSecret, or the Secret that it names",
        command="nstat -az TcpExtTCPMD5NotFound TcpExtTCPMD5Unexpected TcpExtTCPMD5Failure",
        router="the neighbor's password, and its log for MD5 failures",
    ),
    SessionTrouble.WRONG_TTL: _Advice(
        "the router is further away than the session allows: without multi-hop an eBGP neighbor"
        " must be on the same link; or TTL security is on at one side alone, or admits fewer hops",
        edit="BGPPeer/{peer} spec.ebgpMultiHop, and its annotation bellmetal.io/ttl-security",
        command="traceroute -n {remote}",
        router="ebgp-multihop, or ttl-security hops, of this node's neighbor entry",
    ),
    SessionTrouble.NO_PASSWORD: _Advice(
        "the peer has a password that has not reached this node: the Secret is missing, or it has"
        " no entry named password",
        edit="BGPPeer/{peer} spec.passwordSecret, or the Secret that it names",
        command="kubectl describe bgppeer {peer} -n metallb-system",
    ),
    SessionTrouble.NO_SOURCE: _Advice(
        "no interface of this node has the address that the session should come from",
        edit="BGPPeer/{peer} spec.sourceAddress, or spec.nodeSelectors: one BGPPeer for each node",
        command="ip -brief address",
    ),
    SessionTrouble.NO_INTERFACE: _Advice(
        "this node has no interface {remote}, or it is down",
        edit="BGPPeer/{peer} spec.interface, or spec.nodeSelectors",
        command="ip -brief link",
    ),
    SessionTrouble.NO_NEIGHBOR: _Advice(
        "nobody has introduced itself on {remote}: the router sends no Router Advertisements there,"
        " or IPv6 is off on the interface",
        edit="BGPPeer/{peer} spec.interface",
        command="ip -6 neigh show dev {remote}; tcpdump -ni {remote} -c 5 icmp6",
        router="neighbor … interface on the link to this node; no ipv6 nd suppress-ra",
    ),
    SessionTrouble.NO_GATEWAY: _Advice(
        "this node has no default gateway of the family that the peer is to be found by",
        edit="the annotation of BGPPeer/{peer} that asks for the gateway, or spec.nodeSelectors",
        command="ip route show default; ip -6 route show default",
    ),
    SessionTrouble.NO_VRF: _Advice(
        'this node has no VRF "{vrf}", so there is no table to reach the router by',
        edit="BGPPeer/{peer} spec.vrf, or spec.nodeSelectors",
        command="ip -brief link show type vrf",
    ),
    SessionTrouble.UNSUPPORTED: _Advice(
        "this node's kernel cannot do what the peer asks for",
        edit="BGPPeer/{peer}: what the message names",
        command="uname -r",
    ),
    SessionTrouble.CANNOT_LISTEN: _Advice(
        "a passive session has to listen on TCP port {port}, and cannot: another program has it"
        " (Calico's BIRD listens on 179), or the speaker lacks NET_BIND_SERVICE",
        edit="BGPPeer/{peer}: let the speaker call; or the chart's values for passive sessions",
        command=_LISTEN,
    ),
    SessionTrouble.WAITING: _Advice(
        "the session is passive: the router has to call this node, and has not",
        command=_LISTEN,
        router="has it this node as a neighbor that it connects to (not passive itself)?",
    ),
    SessionTrouble.DUPLICATE: _Advice(
        "another BGPPeer of this node has the same address and VRF; only the first by name is in"
        " force",
        edit="BGPPeer/{peer} or the other one: delete it, or give them other nodes",
        command="kubectl get bgppeers -n metallb-system",
    ),
    SessionTrouble.HOLD_TIMER: _Advice(
        "nothing was heard of the router for the hold time: the link is cut or full, the router"
        " hangs or restarts, or the path drops large packets (MTU)",
        edit="BGPPeer/{peer} spec.holdTime, if the times are too short for the path",
        command="ping -M do -s 1472 {remote}",
        router="its log at that time",
    ),
    SessionTrouble.BFD_DOWN: _Advice(
        "BFD hears nothing of the router: it does not speak BFD with this node, UDP port 3784 (4784"
        " for multi-hop) is filtered, its times are shorter than the path allows, or the link is"
        " cut",
        edit="BGPPeer/{peer} spec.bfdProfile, and the BFDProfile's intervals",
        command="tcpdump -ni any -c 20 host {remote} and udp portrange 3784-4784",
        router="show bfd peers (FRR), show bfd sessions (BIRD)",
    ),
    SessionTrouble.SHUTDOWN_BY_PEER: _Advice(
        "somebody has shut the session down on the router, or the router is stopping; its own words"
        " are in the NOTIFICATION, if it gave any",
        router="no neighbor … shutdown (FRR), enable the protocol (BIRD)",
    ),
    SessionTrouble.REJECTED: _Advice(
        "the router has ended the session; why is in its NOTIFICATION",
        router="its log, and " + _SHOW,
    ),
    SessionTrouble.PROTOCOL_ERROR: _Advice(
        "the router sent what BGP does not allow, so this node has ended the session; what it was"
        " is in the NOTIFICATION",
        command=_WATCH + " -w bgp.pcap",
        router="its release and its log",
    ),
    SessionTrouble.STOPPED: _Advice(
        "the speaker has ended the session: it is stopping, or the peer is not this node's any more"
    ),
}


def explain_session(facts: SessionFacts, node: str = "") -> Cause:
    """Why a session of a ``node`` is as it is, and the next step (total: every state has an
    answer)."""
    if facts.state is SessionState.ESTABLISHED:
        return _established(facts, node)
    if facts.trouble is None:
        sentence = f"the session is not established ({facts.state.value}), and nothing says why"
        return Cause(NO_REASON, sentence, _evidence(facts), command=_fill(_LOOK_AT_TCP, facts))
    advice = _ADVICE[facts.trouble]
    return Cause(
        facts.trouble.value,
        _fill(advice.sentence, facts),
        _evidence(facts),
        _fill(advice.edit, facts),
        _command(advice.command, facts),
        _fill(advice.router, facts),
    )


def explain_absent(peer: str, planned: bool = True) -> Cause:
    """Why no node has a session with a BGPPeer. ``planned``: no slice says that one should; else
    slices could not be read."""
    why = "its object is invalid, its nodeSelectors select no node, or the controller does not run"
    sentence = f"the controller has no plan for it: {why}"
    if not planned:
        sentence = f"no node reports a session with it: {why}, or no speaker runs where it selects"
    return Cause(
        NO_SESSION,
        sentence,
        edit=f"BGPPeer/{peer}: its events say what is invalid; spec.nodeSelectors",
        command=f"kubectl describe bgppeer {peer} -n metallb-system",
    )


def explain_missing(node: str, why: str = "") -> Cause:
    """Why a session that a node should have is reported by nobody."""
    sentence = f"the speaker of {node} has not reported it"
    likely = "it does not run, has just started, or may not write to the API server"
    pods = "kubectl get pods -n metallb-system -l component=speaker -o wide"
    return Cause(
        NO_SESSION,
        f"{why}: {sentence}" if why else f"{sentence}: {likely}",
        command=f"{pods} --field-selector spec.nodeName={node}",
    )


def explain_silence(node: str, why: str) -> Cause:
    """Why what a speaker reported last may not be true any more."""
    return Cause(
        SILENT,
        f"{why}: what the speaker of {node} said last may not be true any more",
        command=f"kubectl get node {node}; kubectl get pods -n metallb-system -o wide",
    )


def is_well(facts: SessionFacts) -> bool:
    """Whether nothing is to be done: established, everything sent, BFD up or not wanted."""
    if facts.state is not SessionState.ESTABLISHED or facts.warnings:
        return False
    return not facts.prefixes_pending and (facts.bfd is None or facts.bfd.state is BFDState.UP)


def _established(facts: SessionFacts, node: str) -> Cause:
    evidence = _evidence(facts)
    if facts.prefixes_sent:
        code = PENDING if facts.prefixes_pending else SENT
        one = facts.prefixes_sent == 1
        said = "1 prefix was" if one else f"{facts.prefixes_sent} prefixes were"
        used, them = ("it is", "it") if one else ("they are", "them")
        sentence = (
            f"{said} sent; if {used} not in use, the router has filtered {them}, has a better path,"
            " cannot reach the next hop, or takes one path where several would be equal"
        )
        if facts.prefixes_pending:
            sentence = f"{_waits(facts)}; {sentence}"
        shown = (
            "show bgp ipv4 unicast neighbors … routes and show ip route (FRR), show route (BIRD)"
        )
        return Cause(code, sentence, evidence, router=f"{shown}; maximum-paths for ECMP")
    if facts.prefixes_pending:
        sentence = f"{_waits(facts)}: the router does not read"
        return Cause(PENDING, sentence, evidence, command=_fill(_LOOK_AT_TCP, facts))
    if any(DRAINING in text for text in facts.warnings):
        undo = f"bellmetal drain {node or 'NODE'} --undo"
        sentence = "the node is draining: it has withdrawn its routes, until the drain is undone"
        return Cause(NOTHING_SENT, sentence, evidence, command=undo)
    return Cause(
        NOTHING_SENT,
        "the session is up, but there is nothing to send: no Service has an address of a pool that"
        " a BGPAdvertisement tells this peer from this node, or none has an endpoint that can"
        " serve; IPv4 and IPv6 each need a session that carries them",
        evidence,
        edit="BGPAdvertisement spec.peers, spec.nodeSelectors and spec.ipAddressPools",
        command="kubectl get bgpadvertisements,ipaddresspools -n metallb-system",
    )


def _waits(facts: SessionFacts) -> str:
    number = facts.prefixes_pending
    return f"{number} prefix{' waits' if number == 1 else 'es wait'} to be sent"


def _fill(text: str, facts: SessionFacts) -> str:
    values = {"peer": facts.peer, "remote": facts.remote, "vrf": facts.vrf}
    return text.format(port=facts.port, **values)


def _command(text: str, facts: SessionFacts) -> str:
    """What to type; a VRF's addresses are known only inside of it."""
    found = _fill(text, facts)
    inside = facts.vrf and facts.trouble is not SessionTrouble.NO_VRF
    return f"ip vrf exec {facts.vrf} {found}" if inside and text.startswith(_IN_VRF) else found


def _evidence(facts: SessionFacts) -> tuple[str, ...]:
    """What was seen, the most telling first."""
    found = [facts.message] if facts.message else []
    if facts.notification:
        who = "this node sent" if facts.notification_sent else "the router sent"
        found.append(f"{who} the last NOTIFICATION: {facts.notification}")
    if facts.error and facts.error not in facts.message:
        found.append(f"last error of TCP: {facts.error}")
    found += facts.warnings
    bfd = facts.bfd
    if bfd is not None and bfd.state is not BFDState.UP:
        words = [
            bfd.message or bfd.diagnostic,
            bfd.remote_diagnostic and "router: " + bfd.remote_diagnostic,
        ]
        said = ", ".join(word for word in words if word)
        found.append(f"BFD is {bfd.state.value}" + (f": {said}" if said else ""))
    if facts.flaps:
        times = "once" if facts.flaps == 1 else f"{facts.flaps} times"
        found.append(f"lost {times} since the speaker knows the peer")
    return tuple(dict.fromkeys(found))
