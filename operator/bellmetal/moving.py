"""What ``bellmetal migrate`` takes on the command line.

May live here: its flags, its help. May not: what it does (`cli.migrate`).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from bellmetal.commands import add_command


@dataclass(frozen=True, slots=True)
class MigrateConfigSettings:
    """What ``bellmetal migrate config`` takes; ``live``: from the cluster's ``config_map``."""

    namespace: str
    file: str
    live: bool
    config_map: str
    output: str


@dataclass(frozen=True, slots=True)
class MigrateCheckSettings:
    """What ``bellmetal migrate check`` takes."""

    namespace: str
    lb_class: str
    output: str


@dataclass(frozen=True, slots=True)
class MigrateProtectSettings:
    """What ``bellmetal migrate protect`` takes; ``chart``: how helm's commands name MetalLB's."""

    namespace: str
    chart: str
    output: str


@dataclass(frozen=True, slots=True)
class TakeoverSettings:
    """What ``bellmetal migrate takeover`` takes. ``node`` of the step ``node``: empty is all;
    ``timeout`` in seconds."""

    namespace: str
    lb_class: str
    step: str
    node: str
    timeout: float
    chart: str
    output: str


MoveInSettings: TypeAlias = (
    MigrateConfigSettings | MigrateCheckSettings | MigrateProtectSettings | TakeoverSettings
)
SETTINGS = (MigrateConfigSettings, MigrateCheckSettings, MigrateProtectSettings, TakeoverSettings)

CONFIG = """\
Prints MetalLB's configuration of before 0.13 (the ConfigMap "config") as objects
of today: IPAddressPool, L2Advertisement, BGPAdvertisement, BGPPeer, BFDProfile,
Community, and a Secret for each password. Reads the ConfigMap, a List that has it
in it, or what stands under its key "config". Writes nothing.

What has no exact counterpart is said as a comment, and on stderr. The objects are
put to the test as the controller would; problems are named by their path in the
input, and then nothing is printed to apply."""

CONFIG_STATUS = """\
exit status:
  0  converted
  1  the cluster could not be read
  2  wrong usage, or an input that cannot be read
  4  the input has problems"""

CHECK = """\
Compares the MetalLB that is installed with what Bellmetal would do in its place:
objects that it would not accept, features that it does not have, CRDs that an
uninstall would delete, ports and names that both use, and every Service that would
keep, lose or change an address. Only reads.

Uses the cluster and the rights that KUBECONFIG (or ~/.kube/config) gives. It reads
Helm's release Secrets too, if it may, to know which release owns the CRDs."""

CHECK_STATUS = """\
exit status:
  0  READY: nothing is in the way
  1  it could not be found out (no cluster, no right, …)
  2  wrong usage: no such namespace, or no MetalLB in it
  3  something has to be done first; each is said with its command"""

PROTECT = """\
Makes sure that `helm uninstall metallb` takes no pool and no peer with it: puts
helm.sh/resource-policy: keep on the CRDs of metallb.io, in the cluster, and looks
whether the release still has the CRDs in its manifest. As long as it has, Helm
deletes what stands there, whatever the cluster says; then the commands that
take them out of the release are printed. May be repeated."""

PROTECT_STATUS = """\
exit status:
  0  protected: an uninstall deletes no CRD
  1  it could not be done or found out (no cluster, no right, …)
  2  wrong usage: no such namespace, or no CRD of metallb.io
  3  a Helm release would still delete them; the commands are printed"""

TAKEOVER = """\
Replaces a MetalLB that runs, in steps that can each be repeated, and undone by
`rollback`. No address changes, and no object of yours is written to. The state is
in the cluster (ConfigMap bellmetal-takeover), not in a file.

  prepare     prints chart values with which Bellmetal runs beside MetalLB; reads only
  start       MetalLB's controller stops, Bellmetal's decides from now on
  node NAME   MetalLB's speaker leaves this node, Bellmetal's announces routes there;
              the last node takes layer 2 with it, announced before MetalLB leaves
  node --all  all nodes at once: for layer 2 this is the way that moves no address
  status      where it stands, and the next step; reads only
  finish      looks that all is done and says how to remove MetalLB
  rollback    MetalLB runs as before `start`

docs/migration.md says what each step changes, and what clients see of it."""

TAKEOVER_STATUS = """\
exit status:
  0  done (or done already)
  1  it could not be done or found out (no cluster, no right, …)
  2  wrong usage: no such node, a step before its time
  3  something is in the way; it is said, with what to do
  4  not done in time; may be repeated, or undone by `rollback`"""

STEPS = ("prepare", "start", "node", "status", "finish", "rollback")


def add_moving(programs: Any) -> None:
    """Their command lines."""
    migrate = programs.add_parser(
        "migrate", help="moves in from MetalLB, and back", description="Replaces MetalLB."
    )
    steps = migrate.add_subparsers(dest="subject", required=True, metavar="WHAT")
    _add_config(steps)
    check = add_command(
        steps, "check", "what would change, and what is in the way", CHECK, CHECK_STATUS
    )
    check.add_argument("--lb-class", metavar="CLASS", default="", help="as the controller's")
    _shared(check)
    protect = add_command(
        steps, "protect", "an uninstall of MetalLB deletes no CRD", PROTECT, PROTECT_STATUS
    )
    _chart(protect)
    _shared(protect)
    _add_takeover(steps)


def _add_config(steps: Any) -> None:
    config = add_command(
        steps, "config", "MetalLB's old ConfigMap as objects of today", CONFIG, CONFIG_STATUS
    )
    add = config.add_argument
    add("file", metavar="FILE", nargs="?", default="", help="YAML or JSON; -: standard input")
    add("--from-cluster", action="store_true", help="read the ConfigMap of the cluster")
    add("--config-map", metavar="NAME", default="config", help="its name; default: %(default)s")
    _shared(config, ("yaml", "json"))


def _add_takeover(steps: Any) -> None:
    takeover = add_command(
        steps, "takeover", "replaces it, step by step", TAKEOVER, TAKEOVER_STATUS
    )
    add = takeover.add_argument
    add("step", choices=STEPS, metavar="STEP", help="one of the above")
    add("node", metavar="NAME", nargs="?", default="", help="of the step node: which")
    add("--all", action="store_true", help="of the step node: all that are left, at once")
    add("--timeout", metavar="SECONDS", type=float, default=60.0, help="default: %(default)s")
    add("--lb-class", metavar="CLASS", default="", help="as the controllers'")
    _chart(takeover)
    _shared(takeover)


def _chart(program: argparse.ArgumentParser) -> None:
    program.add_argument(
        "--metallb-chart",
        metavar="CHART",
        default="metallb/metallb",
        help="MetalLB's chart, as helm's commands should name it; default: %(default)s",
    )


def _shared(program: argparse.ArgumentParser, outputs: Sequence[str] = ("text", "json")) -> None:
    add = program.add_argument
    add("--output", choices=outputs, default=outputs[0], help="default: %(default)s")
    add("--namespace", metavar="NAME", help="MetalLB's, and Bellmetal's own; env METALLB_NAMESPACE")


def read_moving(
    root: argparse.ArgumentParser, args: argparse.Namespace, namespace: str
) -> MoveInSettings:
    """Settings out of what `add_moving` has parsed."""
    if args.subject == "config":
        if bool(args.file) == args.from_cluster:
            root.error("migrate config: give a FILE (or -), or --from-cluster")
        live, name = args.from_cluster, args.config_map
        return MigrateConfigSettings(namespace, args.file, live, name, args.output)
    if args.subject == "check":
        return MigrateCheckSettings(namespace, args.lb_class, args.output)
    if args.subject == "protect":
        return MigrateProtectSettings(namespace, args.metallb_chart, args.output)
    return _takeover(root, args, namespace)


def _takeover(
    root: argparse.ArgumentParser, args: argparse.Namespace, namespace: str
) -> TakeoverSettings:
    if args.step == "node" and bool(args.node) == args.all:
        root.error("migrate takeover node: give the NAME of a node, or --all")
    if args.step != "node" and (args.node or args.all):
        root.error(f"migrate takeover {args.step}: takes no node")
    if not 0 < args.timeout <= 3600:
        root.error("migrate takeover: --timeout is above 0 and at most 3600 seconds")
    return TakeoverSettings(
        namespace,
        args.lb_class,
        args.step,
        args.node,
        args.timeout,
        args.metallb_chart,
        args.output,
    )
