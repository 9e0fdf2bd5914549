"""``bellmetal migrate takeover``: the steps that replace a running MetalLB, and that undo it.

The order, and why, is in docs/migration.md. Each step may be repeated: it looks what is done.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping

from bellmetal.api import ApiError, Client, find_access
from bellmetal.beside import Stage
from bellmetal.cli.migrate.check import check
from bellmetal.cli.migrate.closing import closing
from bellmetal.cli.migrate.metallb import HOSTNAME
from bellmetal.cli.migrate.outlook import look_ahead
from bellmetal.cli.migrate.protect import protect
from bellmetal.cli.migrate.record import Record
from bellmetal.cli.migrate.releases import ReleaseError
from bellmetal.cli.migrate.rollback import rollback
from bellmetal.cli.migrate.scene import NotYetError, Scene, look, unanswered
from bellmetal.cli.migrate.standing import standing
from bellmetal.cli.migrate.takeover_values import as_yaml
from bellmetal.cli.owners import NotFoundError, Say
from bellmetal.cli.voice import failed, voice
from bellmetal.events import timestamp
from bellmetal.moving import TakeoverSettings
from bellmetal.settings import SettingsError

LONGEST_WAIT = 10.0  # seconds, for the LAN to be told again
INSTALL = """\
bellmetal migrate takeover: write this to a file, then
  helm install bellmetal helm/bellmetal --namespace {namespace} --values FILE
  bellmetal migrate takeover start --namespace {namespace}"""


def main(settings: TakeoverSettings) -> int:
    """Takes one step; the exit status is in the help."""
    name = f"migrate takeover {settings.step}"
    try:
        return asyncio.run(_run(settings, voice(settings.output)))
    except BrokenPipeError:  # of our own output: nobody reads it any more
        raise
    except NotFoundError as error:
        return failed(name, error, 2)
    except NotYetError as error:
        status = failed(name, error, error.status)
        for line in error.commands:
            print(f"  {line}", file=sys.stderr)
        return status
    except (SettingsError, ApiError, ReleaseError, OSError) as error:
        return failed(name, error, 1)
    except KeyboardInterrupt:
        print(f"bellmetal {name}: not waiting; it may be repeated, or undone", file=sys.stderr)
        return 130


async def _run(settings: TakeoverSettings, say: Say) -> int:
    async with Client(find_access()) as client:
        scene = await look(client, settings.namespace, settings.timeout)
        return await STEPS[settings.step](scene, settings, say)


# --- before --------------------------------------------------------------------------------------


async def _prepare(scene: Scene, settings: TakeoverSettings, _: Say) -> int:
    if scene.found.controller is None or scene.found.speaker is None:
        raise NotFoundError(f"there is no MetalLB in the namespace {settings.namespace}")
    outlook = await look_ahead(scene.client, scene.namespace, _class(scene, settings), timestamp())
    addresses = {address for row in outlook.rows for address in row.now.addresses}
    print(as_yaml(scene.found, len(addresses)), end="")
    print(INSTALL.format(namespace=settings.namespace), file=sys.stderr)
    return 0


async def _start(scene: Scene, settings: TakeoverSettings, say: Say) -> int:
    if scene.record is None or scene.record.stage is Stage.OBSERVE:
        await _check(scene, settings)
        scene.record = scene.record or await scene.records.create(_before(scene))
        await _stop_controller(scene, settings, say)
        scene.record = await scene.records.write(scene.known, stage=Stage.DECIDE)
    say("Bellmetal decides; MetalLB's speakers go on announcing")
    say("next: bellmetal migrate takeover node --all (layer 2), or node NAME (BGP alone)")
    return 0


async def _check(scene: Scene, settings: TakeoverSettings) -> None:
    """Nothing is changed yet when it is found that something is in the way."""
    await protect(scene.client, scene.namespace)
    found = await check(scene.client, scene.namespace, settings.lb_class, timestamp())
    if found.stops:
        first = found.stops[0]
        message = f"{len(found.stops)} things to do first, see `bellmetal migrate check`; one is"
        raise NotYetError(f"{message}: {first.subject}: {first.message} → {first.remedy}")
    if not scene.beside:
        hint = "`bellmetal migrate takeover prepare` says with which values"
        raise NotYetError(f"Bellmetal is not installed beside MetalLB: {hint}")
    for program in (scene.found.our_controller, scene.found.our_speaker):
        if not await scene.ready(program):
            name = program.name if program else "bellmetal-speaker"
            raise NotYetError(f"{name} is not ready: kubectl -n {scene.namespace} get pods")


def _before(scene: Scene) -> Record:
    """How MetalLB is now, so that it can become so again."""
    controller, speaker = scene.found.controller, scene.found.speaker
    replicas = controller.workload.spec.replicas if controller else 1
    spec = speaker.workload.spec if speaker else None
    return Record(
        replicas=1 if replicas is None else replicas,
        affinity=spec.template.spec.affinity if spec else None,
        strategy=spec.update_strategy if spec else None,
    )


async def _stop_controller(scene: Scene, settings: TakeoverSettings, say: Say) -> None:
    """It ends before ours begins, and what it has shown last is in the ledger by then."""
    await _adopted(scene, settings)
    say("stopping MetalLB's controller")
    await scene.metallb.scale(0)

    async def gone() -> bool:
        return not await scene.metallb.pods(scene.found.controller)

    await scene.until(gone, "MetalLB's controller ends")
    await _adopted(scene, settings)


def _class(scene: Scene, settings: TakeoverSettings) -> str:
    theirs = scene.found.controller
    return settings.lb_class or (theirs.flag("lb-class") if theirs is not None else "")


async def _adopted(scene: Scene, settings: TakeoverSettings) -> None:
    lb_class = _class(scene, settings)

    async def adopted() -> bool:
        outlook = await look_ahead(scene.client, scene.namespace, lb_class, timestamp())
        return not outlook.unknown

    await scene.until(adopted, "Bellmetal's controller has written down what Services show")


# --- node by node --------------------------------------------------------------------------------


async def _node(scene: Scene, settings: TakeoverSettings, say: Say) -> int:
    if scene.known.stage is Stage.OBSERVE:
        raise NotYetError("MetalLB's controller decides still: `takeover start` is before", 2)
    nodes = await scene.nodes()
    if settings.node and settings.node not in nodes:
        raise NotFoundError(f'the cluster has no node "{settings.node}"')
    theirs = await scene.metallb.speakers()
    chosen = {settings.node} if settings.node else set(nodes)
    if not set(theirs) - chosen:
        await _leave_all(scene, set(nodes), say)
        return 0
    if scene.known.layer2:
        raise NotYetError(
            "both announce on layer 2 by now: `takeover node --all`, or `rollback`", 2
        )
    left = (scene.known.nodes | chosen) & nodes.keys()
    hosts = {_hostname(nodes[name].metadata.labels, name) for name in left}
    await _leave(scene, chosen, hosts, say)
    return 0


def _hostname(labels: Mapping[str, str] | None, node: str) -> str:
    found = (labels or {}).get(HOSTNAME)
    if not found:
        raise NotYetError(f"node {node} has no label {HOSTNAME}, by which MetalLB is kept off it")
    return found


async def _leave(scene: Scene, chosen: set[str], hosts: set[str], say: Say) -> None:
    """Routers hear one program a node: MetalLB's session ends before ours begins."""
    name = ", ".join(sorted(chosen))
    say(f"MetalLB's speaker leaves {name}; its other ones take over its layer-2 addresses")
    await scene.metallb.keep_off(scene.known, hosts)
    await _gone(scene, chosen)
    await scene.metallb.forget_frr(chosen)
    scene.record = await scene.records.write(scene.known, nodes=scene.known.nodes | chosen)
    await _established(scene, chosen, say)


async def _leave_all(scene: Scene, nodes: set[str], say: Say) -> None:
    """Layer 2 changes over: announced before it is left, so that somebody answers all the time."""
    if scene.known.stage is not Stage.COMPLETE:
        scene.record = await scene.records.write(scene.known, stage=Stage.ANNOUNCE)
        say("announcing on layer 2, from the nodes that MetalLB announces from")
        await _answered(scene)
    say("MetalLB's speakers leave all nodes")
    await scene.metallb.keep_off(scene.known, None)
    await _gone(scene, nodes)
    await _told_again(scene)
    await scene.metallb.forget_frr(nodes)
    scene.record = await scene.records.write(
        scene.known, stage=Stage.COMPLETE, nodes=frozenset(nodes)
    )
    await _established(scene, nodes, say)
    say("next: bellmetal migrate takeover finish")


async def _answered(scene: Scene) -> None:
    seen: set[str] = set()  # MetalLB takes rows of ours away as long as it announces too
    loop = asyncio.get_running_loop()
    begun = loop.time()

    async def answered() -> bool:
        seen.update(await scene.answering())
        announced = await scene.announced()
        # without any announcement: the controller has had the time to make one
        return not unanswered(announced, seen) and bool(announced or loop.time() - begun > 5)

    await scene.until(answered, "Bellmetal's speakers answer for every address")


async def _gone(scene: Scene, nodes: set[str]) -> None:
    async def gone() -> bool:
        return nodes.isdisjoint(await scene.metallb.speakers())

    await scene.until(gone, "MetalLB's speakers leave")


async def _told_again(scene: Scene) -> None:
    """Whom a MetalLB speaker has told otherwise, in its last moment, is told again by ours."""
    ours = scene.found.our_speaker
    every = ours.flag("gratuitous-arp-interval", "0") if ours is not None else "0"
    await asyncio.sleep(min(float(every), LONGEST_WAIT) + 0.5 if await scene.announced() else 0)


async def _established(scene: Scene, nodes: set[str], say: Say) -> None:
    """Sessions of ours, where there are any to be."""
    if not await scene.peers():
        return

    async def established() -> bool:
        for name in nodes:
            sessions = await scene.sessions(name)
            if any(item.state != "Established" for item in sessions):
                return False
        return True

    await asyncio.sleep(1.0)  # until speakers have told of sessions that begin
    await scene.until(established, "BGP sessions are established; `bellmetal status bgp` says why")
    say(f"BGP sessions are established on {', '.join(sorted(nodes))}")


Step = Callable[[Scene, TakeoverSettings, Say], Awaitable[int]]
STEPS: dict[str, Step] = {
    "prepare": _prepare,
    "start": _start,
    "node": _node,
    "status": standing,
    "finish": closing,
    "rollback": rollback,
}
