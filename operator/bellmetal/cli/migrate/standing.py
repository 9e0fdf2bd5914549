"""``takeover status``: where it stands, and the next step. Only reads."""

from __future__ import annotations

import json

from bellmetal.beside import Stage
from bellmetal.cli.migrate.scene import Scene, unanswered
from bellmetal.cli.owners import Say
from bellmetal.moving import TakeoverSettings

VERSION = 1  # of the JSON
NEXT = {
    None: "start",
    Stage.OBSERVE: "start",
    Stage.DECIDE: "node --all (layer 2), or node NAME (BGP alone)",
    Stage.ANNOUNCE: "node --all",
    Stage.COMPLETE: "finish",
}
WORDS = {
    None: "has not begun",
    Stage.OBSERVE: "MetalLB decides, Bellmetal observes",
    Stage.DECIDE: "Bellmetal decides",
    Stage.ANNOUNCE: "Bellmetal decides, and announces on layer 2",
    Stage.COMPLETE: "Bellmetal decides and announces everything",
}


async def standing(scene: Scene, settings: TakeoverSettings, say: Say) -> int:
    """Prints it."""
    stage = scene.record.stage if scene.record else None
    controllers = await scene.metallb.pods(scene.found.controller)
    speakers = sorted(await scene.metallb.speakers())
    left = sorted(scene.record.nodes) if scene.record else []
    announced = await _announced(scene)
    step = NEXT[stage] if scene.beside or stage is Stage.COMPLETE else "prepare"
    if settings.output == "json":
        print(
            json.dumps(
                {
                    "version": VERSION,
                    "stage": stage.value if stage else "",
                    "metallbControllers": len(controllers),
                    "metallbSpeakers": speakers,
                    "left": left,
                    "announced": announced[0],
                    "unanswered": announced[1],
                    "next": step,
                },
                indent=2,
            )
        )
        return 0
    say(f"takeover: {WORDS[stage]}")
    say(f"MetalLB's controller: {len(controllers)} pods")
    if stage not in (None, Stage.OBSERVE) and controllers:
        say("  it should be stopped: two controllers decide. Repeat `takeover start`")
    say(f"MetalLB's speakers: {', '.join(speakers) or 'none'}")
    say(
        f"announced by Bellmetal on layer 2: {announced[0]} addresses",
    )
    if announced[1]:
        say(f"  not answered for yet: {', '.join(announced[1])}")
    say(f"next: bellmetal migrate takeover {step}")
    return 0


async def _announced(scene: Scene) -> tuple[int, list[str]]:
    if scene.found.our_controller is None:
        return 0, []
    found = await scene.announced()
    waiting = unanswered(found, await scene.answering())
    return len(found), [str(item.address) for item in waiting]
