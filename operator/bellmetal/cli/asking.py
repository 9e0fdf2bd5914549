"""Asks a speaker to look at something, and waits for the answers: spec.looks of its SpeakerReport.

Several people may ask at the same time: each adds its own questions and takes only these away.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace

from bellmetal import resources
from bellmetal.api import ApiError, Client
from bellmetal.follow import REPORTS
from bellmetal.sight_reports import look_spec, read_answers
from bellmetal.sights import MOST_LOOKS, Look, Sight

POLL = 0.2  # seconds between two looks for answers
TRIES = 10  # to write while others do; a speaker writes once a second at most
SLACK = 5.0  # seconds that answers may take besides the looks themselves

_OLD_KIND = "this cluster's SpeakerReport takes no looks: apply this release's crds first"

Specs = list[resources.AskedLook]


class AskingError(Exception):
    """There is no answer, and why, in a sentence."""


class NotAllowedError(AskingError):
    """The API server does not let this user ask."""


class SilentError(AskingError):
    """The speaker does not answer. ``answers``: those that it gave before."""

    def __init__(self, message: str, answers: tuple[Sight, ...] = ()) -> None:
        super().__init__(message)
        self.answers = answers


async def ask(
    client: Client,
    namespace: str,
    node: str,
    looks: Sequence[Look],
    timeout: float | None = None,
) -> tuple[Sight, ...]:
    """The answers, in the order of the looks; their ids are made here, anew.

    ``timeout``: seconds; None: as long as the looks may take, one after the other, and a little.
    Raises NotAllowedError, SilentError, AskingError and ApiError.
    """
    if not looks:
        return ()
    if len(looks) > MOST_LOOKS:
        raise AskingError(f"{MOST_LOOKS} looks can be asked for at a time, not {len(looks)}")
    mine = [replace(look, id=uuid.uuid4().hex) for look in looks]
    limit = sum(look.seconds + 1 for look in mine) + SLACK if timeout is None else timeout
    asking = _Asking(client, f"{REPORTS.path(namespace)}/{node}", node)
    ids = [look.id for look in mine]
    try:
        await asking.put(mine)
        return await asking.answers(ids, limit)
    finally:
        await asking.take_away(ids)


class _Asking:
    """One conversation with the speaker of a node, by the report at ``path``."""

    def __init__(self, client: Client, path: str, node: str) -> None:
        self._client, self._path, self._node = client, path, node

    async def put(self, looks: list[Look]) -> None:
        """Adds questions to those that are there; what was answered makes room."""
        specs = [look_spec(look) for look in looks]

        def more(report: resources.SpeakerReport) -> Specs:
            answered = read_answers(report)
            waiting = [item for item in report.spec.looks if item.id not in answered]
            room = MOST_LOOKS - len(specs)
            return [*(waiting[-room:] if room else []), *specs]

        await self._change(more)

    async def take_away(self, ids: Sequence[str]) -> None:
        """Removes questions, answered or not. What cannot be removed stays, and does no harm: it
        is not looked at again."""

        def fewer(report: resources.SpeakerReport) -> Specs:
            return [item for item in report.spec.looks if item.id not in ids]

        try:
            await self._change(fewer)
        except (ApiError, AskingError):
            return

    async def answers(self, ids: Sequence[str], limit: float) -> tuple[Sight, ...]:
        """Waits for all of them."""
        found: dict[str, Sight] = {}
        try:
            async with asyncio.timeout(limit):
                while not found.keys() >= set(ids):
                    await asyncio.sleep(POLL)
                    found |= read_answers(await self._report())
        except TimeoutError:
            given = tuple(found[name] for name in ids if name in found)
            message = f"the speaker of node {self._node} has not answered within {limit:g} s: is"
            message += f" it running? (kubectl get speakerreport {self._node} shows what it wrote)"
            raise SilentError(message, given) from None
        return tuple(found[name] for name in ids)

    async def _change(self, wanted: Callable[[resources.SpeakerReport], Specs]) -> None:
        """Writes what is asked for, upon what is asked for now."""
        for _ in range(TRIES):
            report = await self._report()
            looks = wanted(report)
            if looks == report.spec.looks:
                return
            body = {
                "metadata": {"resourceVersion": report.metadata.resource_version},
                "spec": {"looks": looks},
            }
            try:
                written = await self._client.patch(resources.SpeakerReport, self._path, body)
                if len(written.spec.looks) != len(looks):
                    raise AskingError(_OLD_KIND)
                return
            except ApiError as error:
                if not error.conflict:
                    raise self._explained(error, "patch") from error
        raise AskingError(f"SpeakerReport {self._node}: others kept changing it: try again")

    async def _report(self) -> resources.SpeakerReport:
        try:
            return await self._client.get(resources.SpeakerReport, self._path)
        except ApiError as error:
            raise self._explained(error, "get") from error

    def _explained(self, error: ApiError, verb: str) -> Exception:
        if error.code == 403:
            message = f"asking the speaker of node {self._node} takes the right to {verb}"
            message += f" speakerreports.bellmetal.io: {error}"
            return NotAllowedError(message)
        if error.gone:
            message = f"node {self._node} has no SpeakerReport: no speaker has run there"
            return SilentError(message)
        return error
