"""Plays a seed's plan of faults under clients, and says which invariants were broken.

``python -m chaos.run --seed 1 --minutes 5``, with PYTHONPATH=tests, as root. The same seed gives
the same plan. Exit status: 0 all held, 1 something was broken, 2 it could not be played; 130 after
Ctrl-C, when what was seen so far is reported.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos import plan, report
from chaos.agreement import lacking
from chaos.bounds import SETTLED
from chaos.churn import Churn
from chaos.invariants import judge
from chaos.looking import look
from chaos.plan import BURST, Round
from chaos.playing import Player
from chaos.recorder import Recorder
from chaos.recording import NEVER, Calm, Recording
from chaos.stage import CONTROLLERS, OPTIONS, Stage
from lab import clock, fixtures, packages
from lab.arguments import positive
from lab.errors import LabError
from lab.progress import Lines
from lab.rest import ApiError

HELD, BROKEN, UNPLAYED, INTERRUPTED = 0, 1, 2, 130
NODES = tuple(f"n{number + 1}" for number in range(OPTIONS["nodes"]))
GRACE = 30.0  # seconds after a burst in which its faults must come to their end
TICK = 0.02  # seconds between two looks at what is to begin or to go on: faults begin in time
AGAIN = 0.3  # seconds between two looks at all that must agree, each a dozen requests
Say = Callable[[str], None]


def planned(seed: int, minutes: float, kinds: Sequence[str] = ()) -> tuple[Round, ...]:
    """The plan of a seed."""
    chosen = tuple(kinds) or tuple(plan.BY_NAME)
    return plan.rounds(random.Random(seed), minutes * 60, NODES, CONTROLLERS, chosen)


@dataclass
class Chaos:
    """One run on a stage that stands."""

    stage: Stage
    recorder: Recorder
    say: Say
    calms: list[Calm] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.player = Player(self.stage, self._owner, self.say)
        self.churn = Churn(self.stage.lab.rest, self.stage.lab.node_names)

    def _owner(self) -> str:
        """Who answers for the address on the LAN; the first node if nobody does."""
        macs = self.recorder.answering()[self.stage.addresses[0]]
        names = [self.stage.lab.name_of(mac) for mac in sorted(macs)]
        return names[0] if names else NODES[0]

    def play(self, rounds: Sequence[Round]) -> None:
        """All rounds; what is in force when it is interrupted ends with the stage."""
        try:
            for number, each in enumerate(rounds):
                self.say(f"round {number + 1} of {len(rounds)}")
                with self.recorder.sniffing():
                    self._burst(each)
                    self._quiet(each)
        finally:
            self.churn.stop()

    def _burst(self, each: Round) -> None:
        began = time.monotonic()
        left = sorted(each.steps, key=lambda step: step.at)
        self.churn.resume()
        end = began + BURST + GRACE
        while left or self.player.unfinished or time.monotonic() < began + BURST:
            while left and time.monotonic() >= began + left[0].at - each.begins:
                self.player.begin(left.pop(0))
            self.player.look()
            if time.monotonic() > end:
                break
            time.sleep(TICK)
        self.churn.pause()

    def _quiet(self, each: Round) -> None:
        began = time.monotonic()
        end = began + each.ends - each.quiet
        missing: tuple[str, ...] = ()
        converged: float | None = None
        while converged is None and time.monotonic() < end:
            self.player.look()
            missing = (*self.player.unfinished, *self._lacking())
            if not missing:
                converged = time.monotonic()
            time.sleep(AGAIN)
        took = "never" if converged is None else f"after {converged - began:.1f} s"
        self.say(f"all as it should be: {took}" + "".join(f"\n    {m}" for m in missing))
        time.sleep(max(0.0, end - time.monotonic()))  # the rest of it is watched, too
        rest = NEVER if converged is None else converged + SETTLED
        self.calms.append(Calm(began, converged, time.monotonic(), missing, rest))

    def _lacking(self) -> tuple[str, ...]:
        try:
            return lacking(look(self.stage, self.recorder.answering(), self.recorder.probers))
        except (ApiError, OSError) as problem:
            return (f"the API does not answer: {problem}",)


def chaos(rounds: Sequence[Round], logs: Path | None, say: Say) -> tuple[Recording, bool]:
    """Brings up a stage and plays on it; what was seen, and whether it was interrupted.

    ``logs``: where those of the programs and what was sniffed are kept.
    """
    interrupted = False
    with contextlib.ExitStack() as open_:
        say("bringing up three nodes, two controllers, a router, clients")
        stage = open_.enter_context(Stage.up())
        recorder = Recorder(stage)
        open_.enter_context(recorder.asking())
        run = Chaos(stage, recorder, say)
        try:
            run.play(rounds)
        except KeyboardInterrupt:
            interrupted = True
            say("interrupted; this is what was seen")
        if logs is not None:
            folders = [stage.lab.run.path / name for name in ("logs", "captures")]
            for kept in filter(Path.is_dir, folders):  # nothing is sniffed before the first round
                shutil.copytree(kept, logs / kept.name, dirs_exist_ok=True)
        return recorder.recording(run.player.played, run.calms), interrupted


def possible() -> tuple[str, ...]:
    """The kinds of faults that can be played on this machine."""
    clocks = ("clock-ahead", "clock-behind") if clock.compiler() is None else ()
    return tuple(name for name in plan.BY_NAME if name not in clocks)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    options = _parse(arguments)
    kinds = options.only.split(",") if options.only else possible()
    plans = {seed: planned(seed, options.minutes, kinds) for seed in options.seed}
    if options.plan:
        for seed, rounds in plans.items():
            print(_text(seed, rounds))
        return HELD
    found: list[dict[str, Any]] = []
    status = HELD
    try:
        for seed, rounds in plans.items():
            status = max(status, _one(seed, rounds, options, found))
            if status > BROKEN:
                break
    except KeyboardInterrupt:
        status = INTERRUPTED
    if options.output == "json":
        print(report.dump(found))
    elif len(found) > 1:
        print(f"\n{report.summary(found)}")
    return status


def _one(
    seed: int, rounds: Sequence[Round], options: argparse.Namespace, found: list[dict[str, Any]]
) -> int:
    """Plays one seed and adds its report to what was found; the exit status that it alone gives."""
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)

    print(_text(seed, rounds), file=sys.stderr, flush=True)
    logs = options.logs / str(seed) if options.logs else None
    try:
        recording, interrupted = chaos(rounds, logs, say)
    except (LabError, OSError, subprocess.SubprocessError) as problem:
        say(f"seed {seed} could not be played: {problem}")
        return UNPLAYED
    verdicts = judge(recording)
    found.append(report.as_json(seed, recording, verdicts))
    if options.output == "table":
        print(report.as_text(seed, recording, verdicts), flush=True)
    if interrupted:
        return INTERRUPTED
    return HELD if report.held(verdicts) else BROKEN


def _text(seed: int, rounds: Sequence[Round]) -> str:
    """A plan as people read it."""
    steps = [step.text for each in rounds for step in each.steps]
    return "\n".join([f"plan of seed {seed}:", *steps])


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    about = "Composes faults on a real network under clients and checks that what must hold holds."
    status = "Exit status: 0 all held, 1 something was broken, 2 it could not be played."
    parser = argparse.ArgumentParser(prog="chaos.run", description=about, epilog=status)
    parser.add_argument("--seed", type=int, nargs="+", default=[1], help="one run for each; 1")
    parser.add_argument(
        "--minutes", type=positive, default=5.0, help="of each run, roughly; default: %(default)s"
    )
    parser.add_argument("--only", default="", help=f"some of {','.join(plan.BY_NAME)}")
    parser.add_argument("--plan", action="store_true", help="print the plan and play nothing")
    parser.add_argument(
        "--logs", type=Path, help="keep programs' logs and captures of each seed here"
    )
    parser.add_argument("--output", choices=["table", "json"], default="table")
    options = parser.parse_args(arguments)
    wanted = options.only.split(",") if options.only else []
    if unknown := sorted({*wanted} - {*plan.BY_NAME}):
        parser.error(f"no fault {', '.join(unknown)}: there are {', '.join(plan.BY_NAME)}")
    if not options.plan and (reason := fixtures.missing()):
        parser.error(reason)
    if not options.plan:
        packages.install(Lines())
    return options


if __name__ == "__main__":
    sys.exit(main())
