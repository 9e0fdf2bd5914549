"""The story of one address: a chart, three Services, a client, and a node that dies.

It plays walkthroughs A, B1 and B2 in a real cluster on this machine: real command lines and what
they print. Every step is checked; the first that does not show what it must ends the story.

    python -m lab.demo [--keep] [--no-story] [--name demo]
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from lab import make_image, paths
from lab.cluster import Cluster
from lab.errors import LabError
from lab.failover import Failover
from lab.paths import REPOSITORY
from lab.screen import Screen
from lab.steps import CLI, StepFailed

Act = tuple[str, Callable[[Failover], None]]

SETUP: tuple[Act, ...] = (
    ("A1 to A3: a chart and a pool", Failover.install),
    ("A4 to A6: Services get addresses", Failover.services),
)
STORY: tuple[Act, ...] = (
    *SETUP,
    ("A7 and A8: a client on the LAN", Failover.client),
    ("B1: the node that answers dies", Failover.dies),
    ("B2: it comes back", Failover.returns),
)


def cluster(screen: Screen, name: str | None = None) -> Cluster:
    """The cluster that the story is played in, not up yet; its image is built."""
    out = REPOSITORY / "build" / f"bellmetal-{make_image.version()}.tar"
    with screen.waiting(f"image {out.name} (a minute if the sources have changed)"):
        make_image.build_image(out)
    return Cluster(nodes=3, clients=1, name=name, images=[out])


def _bring_up(screen: Screen, name: str) -> Cluster:
    with screen.act("A cluster"):
        screen.say("Three machines with kubelet, containerd and kube-proxy, a control plane, and a")
        screen.say("client, on one LAN: network namespaces of this machine, real programs.")
        lab = cluster(screen, name)
        with screen.waiting("cluster up, nodes Ready"):
            lab.up()
        screen.say(f"A line after $ can be typed after `make lab` in: {CLI} shell")
        screen.say(f"One after client$ in: {CLI} shell client")
    return lab


def play(lab: Cluster, screen: Screen, acts: Sequence[Act]) -> Failover:
    """Play these acts."""
    story = Failover(lab, screen)
    for title, act in acts:
        with screen.act(title):
            act(story)
    return story


def _end(screen: Screen, story: Failover, name: str, kept: bool) -> None:
    if story.outage:
        screen.act_times()
        screen.line(f"\nOutage when {story.dead} died: {story.outage * 1000:.0f} ms.", "bold")
    screen.line(f"{'up' if kept else 'done'} after {screen.seconds:.1f} s", "dim")
    if kept:
        _look_around(screen, story, name)
    else:
        screen.line("\nTo look around yourself: make lab")


def _look_around(screen: Screen, story: Failover, name: str) -> None:
    lab, owner = story.lab, story.owner()
    screen.line(
        f"\nThe lab {name!r} is left running. A shell with kubectl and helm, or a client's:"
    )
    screen.line(f"  {CLI} shell --name {name}")
    screen.line(f"  {CLI} shell --name {name} client   # curl http://{lab.address(255, 200)}")
    screen.line("kubectl in your own shell:")
    screen.line(f"  export KUBECONFIG={lab.kubeconfig()} PATH={lab.binaries}:$PATH")
    screen.line("Kill the node that answers for svc1, and boot it again:")
    screen.line(f"  {CLI} kill-node --name {name} {owner}")
    screen.line(f"  {CLI} boot-node --name {name} {owner}")
    screen.line("Take it down:")
    screen.line("  make lab-down")


def _failed(screen: Screen, problem: LabError, kept: bool) -> int:
    screen.line(f"\n{problem}", "red")
    if isinstance(problem, StepFailed) and kept:
        screen.line(f"The lab is left running: {CLI} shell; make lab-down ends it.")
    elif isinstance(problem, StepFailed):
        screen.line(f"The lab is taken down; its logs are in {paths.cache() / 'last-failure'}.")
        screen.line("With --keep it is left as it is.")
    return 1


def tell(screen: Screen, name: str, keep: bool, acts: Sequence[Act]) -> int:
    """The whole story; the exit status."""
    lab: Cluster | None = None
    try:
        lab = _bring_up(screen, name)
        story = play(lab, screen, acts)
        _end(screen, story, name, keep)
    except LabError as problem:
        kept = keep and lab is not None
        if lab is not None:
            _leave(lab, kept, failed=True)
        return _failed(screen, problem, kept)
    except BaseException:  # Ctrl-C too
        if lab is not None:
            lab.down(failed=True)
        raise
    _leave(lab, keep, failed=False)
    return 0


def _leave(lab: Cluster, keep: bool, failed: bool) -> None:
    if keep:
        lab.detach()
    else:
        lab.down(failed)


def main(argv: Sequence[str] | None = None) -> int:
    """Play it; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the cluster running")
    parser.add_argument("--no-story", action="store_true", help="the cluster and Services alone")
    parser.add_argument("--name", default="demo", help="what the lab is called")
    arguments = parser.parse_args(argv)
    if os.geteuid() != 0:
        print("the demo needs root: network namespaces, mounts, cgroups", file=sys.stderr)
        return 1
    screen = Screen(brief=arguments.no_story)
    acts = SETUP if arguments.no_story else STORY
    try:
        return tell(screen, arguments.name, arguments.keep, acts)
    except KeyboardInterrupt:
        screen.line("\nstopped; the lab is taken down")
        return 130


if __name__ == "__main__":
    sys.exit(main())
