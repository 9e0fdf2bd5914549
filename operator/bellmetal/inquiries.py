"""What ``bellmetal preflight``, ``bellmetal status`` takes on the command line.

May live here: its flags, its help. May not: what it finds out (`cli`).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from typing import Any

from bellmetal.commands import add_command


@dataclass(frozen=True, slots=True)
class StatusBGPSettings:
    """What ``bellmetal status bgp`` takes; no ``nodes`` or ``peers``: all."""

    namespace: str
    nodes: tuple[str, ...]
    peers: tuple[str, ...]
    watch: bool
    output: str


@dataclass(frozen=True, slots=True)
class StatusSettings:
    """What ``bellmetal status`` takes. ``subject`` empty: all at a glance; ``pool`` empty: all."""

    namespace: str
    subject: str
    pool: str
    lb_class: str | None
    watch: bool
    output: str


STATUS = """\
Prints how things are: who leads, pools and what is left of them, nodes and what they
announce, addresses that are not reached, Services without an address.
Only reads, with the rights that KUBECONFIG (or ~/.kube/config) gives."""

STATUS_STATUS = """\
exit status:
  0  nothing is wrong
  1  it could not be found out (no cluster, no right, …)
  2  wrong usage
  3  something is wrong: a node, an address, a Service or the configuration"""

STATUS_SUBJECTS = {
    "pools": "pools, and what is left of them",
    "addresses": "addresses: Service, pool, owner or peers, since when",
    "members": "nodes: speakers, what they own, their sessions",
}


@dataclass(frozen=True, slots=True)
class ExplainSettings:
    """What ``bellmetal explain`` takes; ``lb_class`` None: as the controller's pods say.

    ``look``: nodes are asked to look for themselves; ``client``: at the way back to this address.
    """

    namespace: str
    subject: str
    name: str
    lb_class: str | None
    look: bool
    client: str
    output: str


EXPLAIN = """\
Says why a Service is not reached: walks from what it asks for to its endpoints, its
owner or BGP sessions, the LAN and the node's data path, stops at the first link that
is broken, and says what was seen, which object to change and what to type.
Likewise for a pool, a node, a BGP peer and an address.

Uses the cluster and the rights that KUBECONFIG (or ~/.kube/config) gives. Only reads,
unless --look asks the speakers of the nodes to look for themselves."""

EXPLAIN_STATUS = """\
exit status:
  0  nothing is wrong, as far as can be seen
  1  it could not be found out (no cluster, no right, …)
  2  wrong usage: there is no such Service, pool, node, peer or address
  3  something is broken; what, and what to do, is printed"""

SUBJECTS = {
    "service": ("NAMESPACE/NAME", "a Service (without a namespace: of default)"),
    "pool": ("NAME", "an IPAddressPool: what is left, who has it, who waits"),
    "node": ("NAME", "a node: whether it may announce, and what it does"),
    "peer": ("NAME", "a BGPPeer: its sessions, node by node"),
    "address": ("IP", "the Services that have an address"),
}


@dataclass(frozen=True, slots=True)
class PreflightSettings:
    """What ``bellmetal preflight`` takes."""

    namespace: str
    output: str


PREFLIGHT = """\
Looks whether a cluster is fit for Bellmetal, before it is installed, and whether an
installation is whole, after that: CRDs, rights, controllers and speakers, others
who do the same, kube-proxy, pools against the networks around them, nodes, the
configuration. Says of everything that is not well what to do. Only reads.

Uses the cluster and the rights that KUBECONFIG (or ~/.kube/config) gives, best an
administrator's; what may not be read is said so."""

PREFLIGHT_STATUS = """\
exit status:
  0  nothing but notes
  1  it could not be found out (no cluster, no right, …)
  2  wrong usage
  3  warnings
  4  failures"""


@dataclass(frozen=True, slots=True)
class StatusReadySettings:
    """What ``bellmetal status ready`` takes; ``timeout``: seconds to wait for it."""

    namespace: str
    lb_class: str
    timeout: int
    output: str


BGP = """\
Prints the BGP sessions of all nodes, as their speakers report them, and for each
that is not well why, what it usually comes from, and the next step. Only reads.
A session that a node should have and nobody reports has a row too.

Uses the cluster and the rights that KUBECONFIG (or ~/.kube/config) gives: reading
of bgpsessionstatuses and bgppeers, and of announcementslices, nodes and pods,
without which it believes what speakers have said last."""

BGP_STATUS = """\
exit status:
  0  every session is established (or there is no BGPPeer)
  1  it could not be found out (no cluster, no right, …)
  2  wrong usage: no such node or peer
  3  a session is not established, or nobody can say so, or a BGPPeer has none"""


READY = """\
Says in three sentences whether an installation is at work: whether its controllers
and speakers are ready and who leads, and which address a new Service of the
namespace default would get, as the controller itself would decide it. Only reads.

Uses the cluster and the rights that KUBECONFIG (or ~/.kube/config) or a pod's
ServiceAccount gives."""

READY_STATUS = """\
exit status:
  0  all is ready, and a Service would get an address (or there is no pool yet)
  1  it could not be found out (no cluster, no right, …)
  2  wrong usage
  3  something is not ready, or a Service would get no address"""


def add_inquiries(programs: Any) -> None:
    """Their command lines."""
    _add_explain(programs)
    _add_preflight(programs)
    status = add_command(programs, "status", "says how things are", STATUS, STATUS_STATUS)
    _add_status_flags(status)
    status.set_defaults(pool="", watch=False, output="text", namespace=None, lb_class=None)
    subjects = status.add_subparsers(dest="subject", metavar="SUBJECT")
    for subject, text in STATUS_SUBJECTS.items():
        parser = subjects.add_parser(subject, help=text, description=f"Prints {text}.")
        _add_status_flags(parser)
        if subject == "addresses":
            parser.add_argument("--pool", metavar="NAME", default="", help="of this pool alone")
    _add_ready(subjects)
    _add_bgp(subjects)


def _add_bgp(subjects: Any) -> None:
    bgp = add_command(
        subjects, "bgp", "BGP sessions, and why one is not established", BGP, BGP_STATUS
    )
    add = bgp.add_argument
    add("--node", metavar="NAME", action="append", default=[], help="of this node; may be repeated")
    add("--peer", metavar="NAME", action="append", default=[], help="of this BGPPeer; likewise")
    add("--watch", action="store_true", help="print again when something changes, until Ctrl-C")
    add("--output", choices=("text", "json"), default="text", help="default: %(default)s")
    add("--namespace", metavar="NAME", help="Bellmetal's own; env METALLB_NAMESPACE")


def _add_ready(subjects: Any) -> None:
    ready = add_command(
        subjects,
        "ready",
        "whether all is at work, and what a new Service would get",
        READY,
        READY_STATUS,
    )
    add = ready.add_argument
    add("--timeout", metavar="SECONDS", type=_seconds, default=0, help="wait so long for it")
    add("--lb-class", metavar="CLASS", default="", help="as the controller's")
    add("--output", choices=("text", "json"), default="text", help="default: %(default)s")
    add("--namespace", metavar="NAME", help="Bellmetal's own; env METALLB_NAMESPACE")


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number of seconds')
    return int(text)


def _add_status_flags(parser: argparse.ArgumentParser) -> None:
    # without a default of its own: what stands before the subject counts too
    add = partial(parser.add_argument, default=argparse.SUPPRESS)
    add("--watch", action="store_true", help="print again when something changes, until Ctrl-C")
    add("--output", choices=("text", "json"), help="default: text")
    add("--namespace", metavar="NAME", help="Bellmetal's own; env METALLB_NAMESPACE")
    add("--lb-class", metavar="CLASS", help="the controller's, if its pods do not say it")


def _add_explain(programs: Any) -> None:
    explain = add_command(
        programs,
        "explain",
        "says why a Service, pool, node or peer does not work",
        EXPLAIN,
        EXPLAIN_STATUS,
    )
    subjects = explain.add_subparsers(dest="subject", required=True, metavar="SUBJECT")
    for subject, (metavar, text) in SUBJECTS.items():
        parser = subjects.add_parser(subject, help=text, description=f"Explains {text}.")
        add = parser.add_argument
        add("name", metavar=metavar)
        if subject == "service":
            add("-n", dest="of", metavar="NAMESPACE", help="the Service's, if NAME says none")
        add("--look", action="store_true", help="ask the speakers of the nodes to look")
        add("--client", metavar="IP", default="", help="who is not served: look at the way back")
        add("--output", choices=("text", "json"), default="text", help="default: %(default)s")
        add("--namespace", metavar="NAME", help="Bellmetal's own; env METALLB_NAMESPACE")
        add("--lb-class", metavar="CLASS", help="the controller's, if its pods do not say it")


def _add_preflight(programs: Any) -> None:
    preflight = add_command(
        programs,
        "preflight",
        "looks whether cluster and installation are fit",
        PREFLIGHT,
        PREFLIGHT_STATUS,
    )
    add = preflight.add_argument
    add("--output", choices=("text", "json"), default="text", help="default: %(default)s")
    add("--namespace", metavar="NAME", help="Bellmetal's own; env METALLB_NAMESPACE")


def read_inquiry(
    args: argparse.Namespace, namespace: str
) -> StatusBGPSettings | StatusReadySettings | StatusSettings | ExplainSettings | PreflightSettings:
    """Settings out of what `add_inquiries` has parsed."""
    if args.program == "preflight":
        return PreflightSettings(namespace, args.output)
    if args.program == "explain":
        of, plain = getattr(args, "of", None), "/" not in args.name
        return ExplainSettings(
            namespace,
            args.subject,
            f"{of}/{args.name}" if of and plain else args.name,
            args.lb_class,
            args.look,
            args.client,
            args.output,
        )
    if args.subject == "ready":
        return StatusReadySettings(namespace, args.lb_class, args.timeout, args.output)
    if args.subject != "bgp":
        return StatusSettings(
            namespace, args.subject or "", args.pool, args.lb_class, args.watch, args.output
        )
    return StatusBGPSettings(namespace, tuple(args.node), tuple(args.peer), args.watch, args.output)
