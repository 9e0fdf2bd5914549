"""``bellmetal plan``: what would become of every Service's address if these files were applied.

The controller's own functions decide, on what the cluster says now; nothing is ever written.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
from dataclasses import replace

from bellmetal.absence import silenced
from bellmetal.api import ApiError, Client, find_access
from bellmetal.cli.files import Document, FileError, read_files
from bellmetal.cli.proposal import ADDRESSED, Change, Desk, Proposal
from bellmetal.cli.report import Report, as_json, print_table
from bellmetal.cli.voice import failed
from bellmetal.cluster import Cluster
from bellmetal.comparison import Moment, compare, decide, follow, moves, renumbers
from bellmetal.config import OnOrphan
from bellmetal.events import timestamp
from bellmetal.intents import Intents
from bellmetal.ledger import Ledger
from bellmetal.planning import plan as make_intents
from bellmetal.settings import PlanSettings, SettingsError
from bellmetal.world import World

MOST_STEPS = 100  # one by one is tried up to here


def main(settings: PlanSettings) -> int:
    """Prints the plan; the exit status is in the help."""
    try:
        documents = read_files(settings.files)
        report = asyncio.run(_plan(settings, documents))
    except FileError as error:
        return failed("plan", error, 2)
    except (SettingsError, ApiError, OSError) as error:
        return failed("plan", error, 1)
    _print(settings, report)
    return report.exit_status


def _print(settings: PlanSettings, report: Report) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an arrow must not end it where all is ASCII
    try:
        if settings.output == "json":
            print(as_json(report, settings.all))
        else:
            print_table(report, settings.all, sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads has seen enough; Python would complain at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _plan(settings: PlanSettings, documents: list[Document]) -> Report:
    async with Client(find_access()) as client:
        return await plan(client, settings, documents, timestamp())


async def plan(
    client: Client, settings: PlanSettings, documents: list[Document], now: str
) -> Report:
    """What is proposed, compared with what is; ``now`` is RFC 3339. Only reads.

    Raises FileError, SettingsError and ApiError.
    """
    return await plan_on(client, *await load(client, settings), settings, documents, now)


async def plan_on(
    client: Client,
    world: World,
    ledger: Ledger,
    settings: PlanSettings,
    documents: list[Document],
    now: str,
) -> Report:
    """The same on a world that was loaded, which is then as the documents make it."""
    desk = Desk(world, settings.namespace)
    proposal = desk.propose(documents, settings.delete, settings.replace)
    live = await desk.fetch(client, proposal.changes)
    old = world.validated()
    # what is held now is held whatever would be renumbered with the flags that are given
    settled = replace(world.cluster(old.config), on_orphan=OnOrphan.KEEP)
    before = decide(settled, ledger.holdings, now)
    steps = []
    for change in proposal.changes:
        desk.lay(change, live.get(change))
        if _is_step(change, proposal):
            steps.append(_cluster(world))
    after = follow(before, _cluster(world), now)
    rows = compare(before, after)
    told = tuple((_intents(moment), moment.allocations) for moment in (before, after))
    return Report(
        rows=rows,
        problems=proposal.unknown + world.validated().problems,
        old_problems=frozenset(str(problem) for problem in old.problems),
        ignored=proposal.ignored,
        moves=moves(rows, compare(before, _one_by_one(before, steps, now))),
        silenced=silenced(told[0], told[1]),
    )


def _intents(moment: Moment) -> Intents:
    return make_intents(moment.cluster, moment.allocations, moment.held, {})


async def load(client: Client, settings: PlanSettings) -> tuple[World, Ledger]:
    """The cluster as it is; raises SettingsError and ApiError."""
    world = World(settings.lb_class, False, settings.on_orphan)
    ledger = Ledger(client, settings.namespace)
    await world.load(client, settings.namespace)
    await ledger.load()
    world.observe(0.0)
    if settings.namespace not in world.namespaces.nouns:
        raise SettingsError(f"the cluster has no namespace {settings.namespace}: --namespace")
    return world, ledger


def _cluster(world: World) -> Cluster:
    return world.cluster(world.validated().config)


def _is_step(change: Change, proposal: Proposal) -> bool:
    return change.kind in ADDRESSED and 1 < len(proposal.changes) <= MOST_STEPS


def _one_by_one(before: Moment, steps: list[Cluster], now: str) -> Moment:
    """The end, if the controller decides after every change; it matters where it renumbers."""
    moment = before
    for cluster in steps if any(map(renumbers, steps)) else ():
        moment = follow(moment, cluster, now)
    return moment
