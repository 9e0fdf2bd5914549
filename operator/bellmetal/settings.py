"""Flags and environment → Settings. MetalLB's names where it has one; a flag beats the environment.

May live here: what can be set from outside. May not: what comes from custom resources.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from bellmetal.commands import add_command
from bellmetal.config import OnOrphan
from bellmetal.errands import DrainSettings, MoveSettings, add_errands, read_errand
from bellmetal.inquiries import (
    ExplainSettings,
    PreflightSettings,
    StatusBGPSettings,
    StatusReadySettings,
    StatusSettings,
    add_inquiries,
    read_inquiry,
)
from bellmetal.moving import MoveInSettings, add_moving, read_moving
from bellmetal.viewing import UiSettings, add_ui, add_ui_port, read_ui

LOG_LEVELS = ("all", "debug", "info", "warn", "error", "none")
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
EXCLUDE_FILE = Path("/etc/metallb/excludel2.yaml")
WEBHOOK_CERT_DIR = Path("/etc/bellmetal/webhook")
DAY = 86400  # seconds


class SettingsError(Exception):
    """What a person can mend before the program can work: a file, an address, a plugin.

    The sentence names it; no traceback is needed to understand it.
    """


@dataclass(frozen=True, slots=True)
class Common:
    """What both programs take. Ports: 0 switches the endpoint off."""

    namespace: str
    pod_name: str
    pod_uid: str
    log_level: str
    port: int
    health_probe_port: int
    lb_class: str


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """What ``bellmetal controller`` takes."""

    common: Common
    ml_secret_name: str
    ignore_exclude_lb: bool
    on_orphan: OnOrphan
    drain_on_cordon: bool = False
    webhook_port: int = 0
    webhook_cert_dir: Path = WEBHOOK_CERT_DIR
    ui_port: int = 0
    takeover: bool = False


@dataclass(frozen=True, slots=True)
class SpeakerSettings:
    """What ``bellmetal speaker`` takes. No ``ml_bind_addr``: no gossip (a single node).

    ``gratuitous_arp_interval``: seconds, 0: announcements are not repeated at rest.
    ``bgp_password_dir``: a file for each BGPPeer that has a password, by its name. ``intents``:
    what to announce stands in this file, and there is no Kubernetes.
    """

    common: Common
    node_name: str
    ml_bind_addr: str
    ml_bind_port: int
    ml_secret_key_path: Path | None
    state_dir: Path | None
    exclude_file: Path
    gratuitous_arp_interval: int = 0
    bgp_password_dir: Path | None = None
    intents: Path | None = None


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """What ``bellmetal plan`` takes; ``delete`` as typed: ``kind/name``; ``lose`` and ``drain``:
    nodes."""

    namespace: str
    lb_class: str
    on_orphan: OnOrphan
    files: tuple[str, ...]
    delete: tuple[str, ...]
    replace: bool
    all: bool
    output: str
    lose: tuple[str, ...] = ()
    drain: tuple[str, ...] = ()


Settings: TypeAlias = (
    ControllerSettings
    | SpeakerSettings
    | PlanSettings
    | MoveSettings
    | DrainSettings
    | StatusBGPSettings
    | StatusReadySettings
    | StatusSettings
    | ExplainSettings
    | PreflightSettings
    | UiSettings
    | MoveInSettings
)

PLAN = """\
Prints which Services would keep, lose or change an address if these files were
applied now, as the controller itself would decide it. Reads the cluster that
KUBECONFIG (or ~/.kube/config) names; writes nothing.

An object of the files takes the place of the cluster's of that kind and name, as
`kubectl apply` would do it. Read are the kinds of metallb.io, and Namespaces and
Services; others are listed as ignored."""

PLAN_STATUS = """\
exit status:
  0  no Service loses or changes an address
  1  it could not be found out (no cluster, no right to read it, …)
  2  wrong usage, or a file that cannot be read
  3  a Service would lose or change an address, or be refused one that it is not
     refused now; or nobody would announce an address that is announced now
  4  the new configuration has problems (whatever becomes of the Services)"""


def parser(version: str, name: str = "bellmetal") -> argparse.ArgumentParser:
    """The command line of ``bellmetal``; ``name``: what was typed to start it."""
    root = argparse.ArgumentParser(
        prog=name, description="A load balancer for bare-metal Kubernetes."
    )
    root.add_argument("--version", action="version", version=f"bellmetal {version}")
    programs = root.add_subparsers(dest="program", required=True, metavar="PROGRAM")
    controller = programs.add_parser("controller", help="decides: addresses, owners")
    speaker = programs.add_parser("speaker", help="announces, on every node")
    _plan_flags(programs)
    add_errands(programs)
    add_inquiries(programs)
    add_ui(programs)
    add_moving(programs)
    for program in (controller, speaker):
        _common_flags(program)
    controller.add_argument("--ml-secret-name", metavar="NAME", help="env METALLB_ML_SECRET_NAME")
    controller.add_argument(
        "--ignore-exclude-lb",
        action="store_true",
        help="let nodes own addresses although a label excludes them from load balancers",
    )
    controller.add_argument(
        "--drain-on-cordon",
        action="store_true",
        help="a node that is cordoned owns no addresses as long as others can",
    )
    controller.add_argument(
        "--takeover",
        action="store_true",
        help="only observe, beside MetalLB, until the ConfigMap bellmetal-takeover says more",
    )
    _on_orphan_flag(controller)
    _webhook_flags(controller)
    add_ui_port(controller)
    speaker.add_argument("--node-name", metavar="NAME", help="env METALLB_NODE_NAME")
    speaker.add_argument("--ml-bindaddr", metavar="IP", help="env METALLB_ML_BIND_ADDR")
    speaker.add_argument("--ml-bindport", metavar="PORT", help="env METALLB_ML_BIND_PORT")
    speaker.add_argument(
        "--ml-secret-key-path", metavar="DIR", help="env METALLB_ML_SECRET_KEY_PATH"
    )
    speaker.add_argument(
        "--state-dir", metavar="DIR", help="slices and claims are kept here over a restart"
    )
    speaker.add_argument(
        "--exclude-file", metavar="FILE", default=str(EXCLUDE_FILE), help="default: %(default)s"
    )
    speaker.add_argument(
        "--gratuitous-arp-interval",
        metavar="SECONDS",
        help="tell the LAN again, so often, where addresses are (ARP and NDP); 0: only when they"
        " move; default: 0; env METALLB_GRATUITOUS_ARP_INTERVAL",
    )
    speaker.add_argument(
        "--bgp-password-dir",
        metavar="DIR",
        help="passwords of BGP peers: a file for each, by the peer's name;"
        " env METALLB_BGP_PASSWORD_DIR",
    )
    speaker.add_argument(
        "--intents",
        metavar="FILE",
        help="announce what this file says, without Kubernetes; read again when it changes;"
        " the node is then called as the host, unless --node-name says otherwise",
    )
    return root


def _on_orphan_flag(program: argparse.ArgumentParser) -> None:
    program.add_argument(
        "--on-orphan",
        choices=[item.value for item in OnOrphan],
        default=OnOrphan.KEEP.value,
        help="what becomes of an address in use that no pool allows any more; default: %(default)s",
    )


def _webhook_flags(controller: argparse.ArgumentParser) -> None:
    controller.add_argument(
        "--webhook-port",
        metavar="PORT",
        default="0",
        help="says at once what is wrong with configuration that is applied; 0: none;"
        " default: %(default)s",
    )
    controller.add_argument(
        "--webhook-cert-dir",
        metavar="DIR",
        default=str(WEBHOOK_CERT_DIR),
        help="its tls.crt and tls.key; default: %(default)s",
    )


def _plan_flags(programs: Any) -> None:
    plan = add_command(
        programs, "plan", "says beforehand which addresses would change", PLAN, PLAN_STATUS
    )
    add = plan.add_argument
    files = "YAML or JSON; may be given again; a folder: its *.yaml, *.yml and *.json; -: standard"
    add("-f", "--file", metavar="FILE", action="append", default=[], help=f"{files} input")
    add(
        "--delete",
        metavar="KIND/NAME",
        action="append",
        default=[],
        help="as if it were deleted after that; service/NAMESPACE/NAME; may be given again",
    )
    add(
        "--replace",
        action="store_true",
        help="what the files do not have is deleted, of the kinds of metallb.io that they have",
    )
    add(
        "--lose",
        metavar="NODE",
        action="append",
        default=[],
        help="instead: who would announce what if this node died; may be given again",
    )
    add(
        "--drain",
        metavar="NODE",
        action="append",
        default=[],
        help="instead: who would announce what if this node were drained; may be given again",
    )
    add("--all", action="store_true", help="also the Services for which nothing changes")
    add("--output", choices=("table", "json"), default="table", help="default: %(default)s")
    add("--namespace", metavar="NAME", help="Bellmetal's own; env METALLB_NAMESPACE")
    add("--lb-class", metavar="CLASS", default="", help="as the controller's")
    _on_orphan_flag(plan)


def _common_flags(program: argparse.ArgumentParser) -> None:
    program.add_argument("--namespace", metavar="NAME", help="env METALLB_NAMESPACE")
    program.add_argument("--pod-name", metavar="NAME", help="env METALLB_POD_NAME")
    program.add_argument("--pod-uid", metavar="UID", help="env METALLB_POD_UID")
    program.add_argument("--log-level", choices=LOG_LEVELS, default="info")
    program.add_argument("--port", metavar="PORT", default="9120", help="metrics; 0: none")
    program.add_argument(
        "--health-probe-port", metavar="PORT", default="17472", help="/healthz, /readyz; 0: none"
    )
    program.add_argument(
        "--lb-class", metavar="CLASS", default="", help="serve this loadBalancerClass only"
    )


def parse(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    version: str,
    name: str = "bellmetal",
) -> Settings:
    """Settings out of a command line; what is wrong ends the program with status 2."""
    root = parser(version, name)
    args = root.parse_args(arguments)
    read = _Reader(root, args, environment)
    if args.program == "plan":
        return _plan(read)
    if args.program in ("move", "drain"):
        return read_errand(args, _namespace(read))
    if args.program == "ui":
        return read_ui(args, _namespace(read))
    if args.program in ("status", "explain", "preflight"):
        return read_inquiry(args, _namespace(read))
    if args.program == "migrate":
        return read_moving(root, args, _namespace(read))
    common = Common(
        namespace=_namespace(read),
        pod_name=read.text("pod_name", "METALLB_POD_NAME"),
        pod_uid=read.text("pod_uid", "METALLB_POD_UID"),
        log_level=args.log_level,
        port=read.port("port"),
        health_probe_port=read.port("health_probe_port"),
        lb_class=args.lb_class,
    )
    if args.program == "controller":
        secret = read.text("ml_secret_name", "METALLB_ML_SECRET_NAME")
        on_orphan = OnOrphan(args.on_orphan)
        return ControllerSettings(
            common=common,
            ml_secret_name=secret,
            ignore_exclude_lb=args.ignore_exclude_lb,
            on_orphan=on_orphan,
            drain_on_cordon=args.drain_on_cordon,
            webhook_port=read.port("webhook_port"),
            webhook_cert_dir=Path(args.webhook_cert_dir),
            ui_port=args.ui_port,
            takeover=args.takeover,
        )
    return _speaker(read, common)


def _speaker(read: _Reader, common: Common) -> SpeakerSettings:
    args = read.args
    key_path = read.text("ml_secret_key_path", "METALLB_ML_SECRET_KEY_PATH")
    passwords = read.text("bgp_password_dir", "METALLB_BGP_PASSWORD_DIR")
    name = read.text("node_name", "METALLB_NODE_NAME")
    if not name and args.intents:
        name = platform.node()
    return SpeakerSettings(
        common=common,
        node_name=name or read.required("node_name", "METALLB_NODE_NAME"),
        ml_bind_addr=read.text("ml_bindaddr", "METALLB_ML_BIND_ADDR"),
        ml_bind_port=read.port("ml_bindport", "METALLB_ML_BIND_PORT", default="7946"),
        ml_secret_key_path=Path(key_path) if key_path else None,
        state_dir=Path(args.state_dir) if args.state_dir else None,
        exclude_file=Path(args.exclude_file),
        gratuitous_arp_interval=read.seconds(
            "gratuitous_arp_interval", "METALLB_GRATUITOUS_ARP_INTERVAL", most=DAY
        ),
        bgp_password_dir=Path(passwords) if passwords else None,
        intents=Path(args.intents) if args.intents else None,
    )


def _plan(read: _Reader) -> PlanSettings:
    args = read.args
    nodes, changes = args.lose or args.drain, args.file or args.delete
    if nodes and changes:
        read.root.error("plan: --lose and --drain are about the cluster as it is: no -f, --delete")
    if not nodes and not changes:
        read.root.error(
            "plan: nothing to plan: -f FILE, --delete KIND/NAME, --lose NODE or --drain NODE"
        )
    if args.replace and not args.file:
        read.root.error("plan: --replace needs -f FILE")
    return PlanSettings(
        namespace=_namespace(read),
        lb_class=args.lb_class,
        on_orphan=OnOrphan(args.on_orphan),
        files=tuple(args.file),
        delete=tuple(args.delete),
        replace=args.replace,
        all=args.all,
        output=args.output,
        lose=tuple(args.lose),
        drain=tuple(args.drain),
    )


def _namespace(read: _Reader) -> str:
    return read.text("namespace", "METALLB_NAMESPACE") or _own_namespace()


def _own_namespace() -> str:
    try:
        return NAMESPACE_FILE.read_text().strip()
    except OSError:
        return "metallb-system"


class _Reader:
    """Reads one setting from a flag, else from the environment."""

    def __init__(
        self,
        root: argparse.ArgumentParser,
        args: argparse.Namespace,
        environment: Mapping[str, str],
    ) -> None:
        self.root, self.args, self.environment = root, args, environment

    def text(self, flag: str, variable: str = "") -> str:
        value = getattr(self.args, flag)
        return str(value) if value is not None else self.environment.get(variable, "")

    def required(self, flag: str, variable: str) -> str:
        value = self.text(flag, variable)
        if not value:
            self.root.error(f"--{flag.replace('_', '-')} (or {variable}) is required")
        return value

    def port(self, flag: str, variable: str = "", default: str = "") -> int:
        text = self.text(flag, variable) or default
        if not _is_number(text) or int(text) > 65535:
            self.root.error(f'{self._name(flag, variable)}: "{text}" is not a port')
        return int(text)

    def seconds(self, flag: str, variable: str, most: int) -> int:
        text = self.text(flag, variable) or "0"
        if not _is_number(text) or int(text) > most:
            wanted = f"is not a whole number of seconds from 0 to {most}"
            self.root.error(f'{self._name(flag, variable)}: "{text}" {wanted}')
        return int(text)

    def _name(self, flag: str, variable: str) -> str:
        return f"--{flag.replace('_', '-')}" + (f" ({variable})" if variable else "")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
