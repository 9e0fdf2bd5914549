"""``takeover rollback``: MetalLB runs as before `start`, from wherever the takeover stands."""

from __future__ import annotations

import asyncio

from bellmetal.beside import Stage
from bellmetal.cli.migrate.metallb import HOSTNAME
from bellmetal.cli.migrate.scene import NotYetError, Scene
from bellmetal.cli.owners import Say
from bellmetal.moving import TakeoverSettings

TOGETHER = 10.0  # seconds that both announce: MetalLB's pods are ready before they answer
SETTLED = 3.0  # seconds after which Bellmetal's controller has read a change of the record


async def rollback(scene: Scene, _: TakeoverSettings, say: Say) -> int:
    """Speakers first, then who decides."""
    if scene.record is None:
        say("no takeover is under way: MetalLB runs as it did")
        return 0
    if scene.found.controller is None or scene.found.speaker is None:
        raise NotYetError(
            "MetalLB is not installed any more: install it as it was, with crds.enabled=false,"
            " and repeat this"
        )
    if await scene.peers():
        await _one_by_one(scene, say)
    await _speakers(scene, say)
    await _controller(scene, say)
    await scene.records.delete()
    say("rolled back: MetalLB decides and announces; Bellmetal observes")
    say(f"to remove Bellmetal: helm uninstall bellmetal --namespace {scene.namespace}")
    return 0


async def _one_by_one(scene: Scene, say: Say) -> None:
    """Our BGP session of a node ends before MetalLB's begins; other nodes announce meanwhile."""
    nodes = await scene.nodes()
    for name in sorted(scene.known.nodes & nodes.keys()):
        left = scene.known.nodes - {name}
        stage = Stage.ANNOUNCE if scene.known.stage is Stage.COMPLETE else scene.known.stage
        say(f"MetalLB's speaker returns to {name}")
        scene.record = await scene.records.write(scene.known, nodes=left, stage=stage)
        await asyncio.sleep(SETTLED)
        hosts = [(nodes[n].metadata.labels or {}).get(HOSTNAME, n) for n in left if n in nodes]
        if hosts:  # the last one returns with the affinity as it was
            await scene.metallb.keep_off(scene.known, hosts)
            await _returned(scene, {name})
            await _together(scene, say)
        if scene.known.stage is not Stage.DECIDE and hosts:
            # MetalLB answers for all addresses from this node: ours must not, any more
            scene.record = await scene.records.write(scene.known, stage=Stage.DECIDE)


async def _speakers(scene: Scene, say: Say) -> None:
    say("MetalLB's speakers return to all nodes")
    await scene.metallb.restore(scene.known)

    async def ready() -> bool:
        return await scene.ready(scene.found.speaker)

    await scene.until(ready, "MetalLB's speakers are ready")
    await _together(scene, say)
    scene.record = await scene.records.write(
        scene.known, stage=Stage.OBSERVE, nodes=frozenset[str]()
    )
    await asyncio.sleep(SETTLED)


async def _together(scene: Scene, say: Say) -> None:
    """No object tells that MetalLB answers: its status looks the same as ours."""
    if scene.known.layer2:
        say(f"both announce on layer 2 for {TOGETHER:g} s")
        await asyncio.sleep(TOGETHER)


async def _controller(scene: Scene, say: Say) -> None:
    """Ours decides no more by then: it has read the record."""
    say("MetalLB's controller starts")
    await scene.metallb.scale(scene.known.replicas)

    async def ready() -> bool:
        return await scene.ready(scene.found.controller)

    if scene.known.replicas:
        await scene.until(ready, "MetalLB's controller is ready")


async def _returned(scene: Scene, nodes: set[str]) -> None:
    async def returned() -> bool:
        speakers = await scene.metallb.speakers()
        return all(speakers.get(name) for name in nodes)

    await scene.until(returned, f"MetalLB's speaker is ready on {', '.join(sorted(nodes))}")
