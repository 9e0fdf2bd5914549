"""The lab for people: `python -m lab.cli up`, a shell in it, its kubectl, faults, `down`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from lab import build, images, run
from lab.bare import Bare
from lab.cluster import Cluster
from lab.errors import LabError
from lab.floor import Floor

FLOORS: dict[str, type[Bare] | type[Cluster]] = {"bare": Bare, "cluster": Cluster}


def attach(name: str | None) -> Floor:
    """The lab of that name, or the only one."""
    found = run.attach(name)
    return FLOORS[found.state["floor"]].attach(found.name)


def _build(arguments: argparse.Namespace) -> int:
    folder = build.everything()
    images.standard()
    print(folder)
    return 0


def _up(arguments: argparse.Namespace) -> int:
    floor = FLOORS[arguments.floor]
    lab = floor(arguments.nodes, arguments.clients, arguments.routers, name=arguments.name)
    lab.up()
    lab.detach()
    print(f"{lab.run.name} is up after {lab.times['up']:.1f} s: {', '.join(lab.hosts)}")
    print(f"export KUBECONFIG={lab.kubeconfig()}")
    print(f"export PATH={lab.binaries}:$PATH")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    if arguments.all:
        names = [found.name for found in run.all_runs()]
    else:
        names = [run.attach(arguments.name).name]
    for name in names:
        found = run.attach(name)
        if not found.detached and not found.lock():
            print(f"{name}: belongs to process {found.state.get('owner')}, which lives")
            continue
        found.destroy()
        print(f"{name} is gone")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    for found in run.all_runs():
        if arguments.name not in (None, found.name):
            continue
        lab = attach(found.name)
        print(f"{found.name}: {found.state['floor']}, API {lab.control_plane.server}")
        for host in lab.hosts.values():
            programs = [p.name.partition("/")[2] for p in host.started if p.alive]
            print(f"  {host.name:<4} {host.address:<14} {' '.join(programs)}")
    return 0


def _shell(arguments: argparse.Namespace) -> int:
    lab = attach(arguments.name)
    host = lab.host({"client": "c1"}.get(arguments.host, arguments.host))
    command = host.command(arguments.command or [os.environ.get("SHELL", "/bin/sh")])
    return _become(lab, command, host.name)


def _kubeconfig(arguments: argparse.Namespace) -> int:
    print(attach(arguments.name).kubeconfig())
    return 0


def _kubectl(arguments: argparse.Namespace) -> int:
    lab = attach(arguments.name)
    return _become(lab, [str(lab.binaries / arguments.action), *arguments.command])


def _become(lab: Floor, command: list[str], where: str = "") -> int:
    """Be that program, with the lab's kubectl at hand."""
    own = {"KUBECONFIG": str(lab.kubeconfig()), "PATH": f"{lab.binaries}:{os.environ['PATH']}"}
    own |= {"PS1": rf"{lab.run.name}:{where} \w\$ "} if where else {}
    sys.stdout.flush()
    os.execvpe(command[0], command, {**os.environ, **own})


def _fault(arguments: argparse.Namespace) -> int:
    lab = attach(arguments.name)
    actions: dict[str, Callable[[], object]] = {
        "kill-node": lambda: lab.kill_node(arguments.host),
        "boot-node": lambda: lab.boot_node(arguments.host),
        "cut": lambda: lab.cut(arguments.host),
        "join": lambda: lab.join(arguments.host),
        "loss": lambda: lab.loss(arguments.host, arguments.fraction, arguments.direction),
        "partition": lambda: lab.partition(arguments.these, arguments.those, arguments.oneway),
        "heal": lab.heal,
        "api-down": lambda: lab.api_down(arguments.hang),
        "api-up": lab.api_up,
    }
    actions[arguments.action]()
    lab.run.save()
    return 0


def _load_image(arguments: argparse.Namespace) -> int:
    lab = attach(arguments.name)
    if not isinstance(lab, Cluster):
        raise LabError("only the cluster floor has images")
    lab.load_image(arguments.tar)
    return 0


def parser() -> argparse.ArgumentParser:
    """All commands."""
    top = argparse.ArgumentParser(prog="python -m lab.cli", description=__doc__)
    top.add_argument("--name", help="which lab, where several are up")
    commands = top.add_subparsers(dest="action", required=True)

    def command(
        name: str, act: Callable[[argparse.Namespace], int], help: str
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help)
        made.set_defaults(act=act)
        return made

    command("build", _build, "build all programs and images, with progress")
    up = command("up", _up, "bring a lab up and leave it running")
    up.add_argument("--floor", choices=FLOORS, default="cluster")
    for kind, number in (("nodes", 3), ("clients", 1), ("routers", 0)):
        up.add_argument(f"--{kind}", type=int, default=number)
    down = command("down", _down, "remove every trace of a lab")
    down.add_argument("--all", action="store_true", help="of all labs")
    command("status", _status, "what is up")
    shell = command("shell", _shell, "a shell, or a command, on a host of the lab")
    shell.add_argument("host", nargs="?", default="cp", help="cp, n1, client (c1), r1 …")
    shell.add_argument("command", nargs=argparse.REMAINDER)
    command("kubeconfig", _kubeconfig, "the path of the admin's kubeconfig")
    for name in ("kubectl", "helm"):
        command(name, _kubectl, f"the lab's {name}")
    image = command("load-image", _load_image, "import an image archive on every node")
    image.add_argument("tar", type=Path)
    _faults(command)
    for made in commands.choices.values():  # `--name` after the command too
        if not any(action.dest == "name" for action in made._actions):
            made.add_argument("--name", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return top


def _faults(command: Callable[..., argparse.ArgumentParser]) -> None:
    for name, help in (
        ("kill-node", "cut a node's power"),
        ("boot-node", "switch it on again"),
        ("cut", "pull a host's cable"),
        ("join", "put it back"),
    ):
        command(name, _fault, help).add_argument("host")
    loss = command("loss", _fault, "lose a fraction of a host's frames")
    loss.add_argument("host")
    loss.add_argument("fraction", type=float)
    loss.add_argument("direction", choices=("in", "out", "both"), nargs="?", default="both")
    partition = command("partition", _fault, "let no frame pass: `partition n1 n2,n3`")
    for side in ("these", "those"):
        partition.add_argument(side, type=lambda text: text.split(","))
    partition.add_argument("--oneway", action="store_true")
    command("heal", _fault, "end partitions and losses")
    command("api-down", _fault, "take the API away").add_argument("--hang", action="store_true")
    command("api-up", _fault, "bring it back")


def _split(argv: list[str]) -> tuple[list[str], list[str] | None]:
    """Our arguments, and those of kubectl or helm: all that come after that word are theirs."""
    for number, word in enumerate(argv):
        if word in ("kubectl", "helm"):
            end = number + (3 if argv[number + 1 : number + 2] == ["--name"] else 1)
            return argv[:end], argv[end:]
        if word in ("shell", "up", "down"):  # the word may be theirs
            break
    return argv, None


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    given, theirs = _split(sys.argv[1:] if argv is None else list(argv))
    arguments = parser().parse_args(given)
    if theirs is not None:
        arguments.command = theirs
    try:
        act: Callable[[argparse.Namespace], int] = arguments.act
        return act(arguments)
    except LabError as problem:
        print(f"lab: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
