"""What ``bellmetal move`` and ``bellmetal drain`` take on the command line.

May live here: their flags, their help. May not: what they do (`cli`).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from bellmetal.commands import add_command


@dataclass(frozen=True, slots=True)
class MoveSettings:
    """What ``bellmetal move`` takes. ``what``: an address or ``namespace/service``, as typed;
    ``timeout`` in seconds."""

    namespace: str
    what: str
    node: str
    timeout: float
    wait: bool
    output: str


@dataclass(frozen=True, slots=True)
class DrainSettings:
    """What ``bellmetal drain`` takes; ``timeout`` in seconds."""

    namespace: str
    node: str
    undo: bool
    timeout: float
    wait: bool
    output: str


MOVE = """\
Moves the addresses of a Service to another node, on layer 2: sets the annotation
bellmetal.io/move-to on the Service and waits until the new node says that it
answers. No connection attempt is lost; connections that stand break (the new node
does not know them). The order is for one time. Where an address should always be
is said by preferredNodeSelectors of an L2Advertisement.

Uses the cluster and the rights that KUBECONFIG (or ~/.kube/config) gives: patch
of services, and reading of services, nodes, announcementslices, servicel2statuses
(addressledgers and events too, if it may)."""

MOVE_STATUS = """\
exit status:
  0  it is there (or was already; with --no-wait: it is ordered)
  1  it could not be done or found out (no cluster, no right, …)
  2  wrong usage: no such Service, address or node
  3  refused: the node does not qualify; the order is withdrawn
  4  not done in time; the order is withdrawn"""

DRAIN = """\
Moves all addresses away from a node, on layer 2, and keeps them away: sets the
annotation bellmetal.io/drain on the Node and waits until it answers for none. An
address that no other node may own stays, and is named. Pods are not touched: that
is `kubectl drain`.

Uses the cluster and the rights that KUBECONFIG (or ~/.kube/config) gives: patch
of nodes, and reading of nodes, announcementslices, servicel2statuses."""

DRAIN_STATUS = """\
exit status:
  0  the node answers for no address (with --undo: it takes part again; with
     --no-wait: it is ordered)
  1  it could not be done or found out (no cluster, no right, …)
  2  wrong usage: no such node
  3  some addresses stay, because no other node may own them
  4  some have not moved in time; the order stands"""


def add_errands(programs: Any) -> None:
    """Their command lines."""
    move = add_command(programs, "move", "moves a Service's addresses to a node", MOVE, MOVE_STATUS)
    move.add_argument("what", metavar="ADDRESS|NAMESPACE/SERVICE", help="what to move")
    move.add_argument("node", metavar="NODE", help="where to")
    _waiting(move, "15")
    drain = add_command(
        programs, "drain", "moves all addresses away from a node", DRAIN, DRAIN_STATUS
    )
    drain.add_argument("node", metavar="NODE", help="the node that should own nothing")
    drain.add_argument(
        "--undo",
        action="store_true",
        help="it takes part again: no address moves back, its routes return at once",
    )
    _waiting(drain, "60")


def _waiting(program: argparse.ArgumentParser, default: str) -> None:
    add = program.add_argument
    add(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        default=default,
        help="how long to wait; default: %(default)s",
    )
    add("--no-wait", action="store_true", help="order it and go")
    add("--output", choices=("text", "json"), default="text", help="default: %(default)s")
    add("--namespace", metavar="NAME", help="Bellmetal's own; env METALLB_NAMESPACE")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 86_400:
        raise ValueError(text)
    return seconds


def read_errand(args: argparse.Namespace, namespace: str) -> MoveSettings | DrainSettings:
    """Settings out of what `add_errands` has parsed."""
    wait = not args.no_wait
    if args.program == "move":
        return MoveSettings(namespace, args.what, args.node, args.timeout, wait, args.output)
    return DrainSettings(namespace, args.node, args.undo, args.timeout, wait, args.output)
