"""What ``bellmetal ui`` takes on the command line, and the controller's flag for the same page.

May live here: flags, their help. May not: the page (`page`).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from bellmetal.commands import add_command


@dataclass(frozen=True, slots=True)
class UiSettings:
    """What ``bellmetal ui`` takes; ``lb_class`` None: as the controller's pods say."""

    namespace: str
    lb_class: str | None
    port: int
    browser: bool


UI = """\
Serves a page for a browser on this machine: maps of the pools, who owns what on which
node, BGP sessions, what happened lately, and for each Service its explanation. It
follows the cluster while somebody looks, and only reads.

Uses the cluster and the rights that KUBECONFIG (or ~/.kube/config) gives. It is
served to 127.0.0.1 alone, under an address that nobody can guess, until Ctrl-C."""

UI_STATUS = """\
exit status:
  0  ended by Ctrl-C
  1  it cannot work (no cluster, no right, the port is taken, …)
  2  wrong usage"""


def add_ui(programs: Any) -> None:
    """Its command line."""
    parser = add_command(
        programs, "ui", "shows pools, owners, sessions and explanations in a browser", UI, UI_STATUS
    )
    add = parser.add_argument
    text = "0: any that is free; default: %(default)s"
    add("--port", metavar="PORT", type=_port, default=8080, help=text)
    add("--browser", action="store_true", help="open it in the browser")
    add("--namespace", metavar="NAME", help="Bellmetal's own; env METALLB_NAMESPACE")
    add("--lb-class", metavar="CLASS", help="the controller's, if its pods do not say it")


def add_ui_port(controller: argparse.ArgumentParser) -> None:
    """The flag of a controller that serves the page."""
    text = "serves the page to 127.0.0.1 alone; 0: none; default: %(default)s"
    controller.add_argument("--ui-port", metavar="PORT", type=_port, default=0, help=text)


def read_ui(args: argparse.Namespace, namespace: str) -> UiSettings:
    """Settings out of what `add_ui` has parsed."""
    return UiSettings(namespace, args.lb_class, args.port, args.browser)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f'"{text}" is not a port')
    return int(text)
