"""BGP sessions as the cluster has them: what speakers report, of which peers and nodes. Only reads.

May live here: reading, and which cause belongs to which row. May not: printing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bellmetal import resources
from bellmetal.api import ApiError, Client
from bellmetal.cli.expected import Expected, read_expected
from bellmetal.cli.owners import NotFoundError
from bellmetal.explanation import (
    NO_SESSION,
    Cause,
    explain_absent,
    explain_missing,
    explain_session,
    explain_silence,
    is_well,
)
from bellmetal.facts import SessionFacts, SessionState
from bellmetal.inquiries import StatusBGPSettings
from bellmetal.intents import PeerPlan
from bellmetal.session_reports import SESSIONS
from bellmetal.session_status import facts_of
from bellmetal.world import PEERS


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session as it was reported. ``silent``: why the report may be out of date.

    ``missing``: there should be one, and nobody has reported it.
    """

    status: resources.BGPSessionStatusStatus
    facts: SessionFacts
    silent: str = ""
    missing: bool = False

    @property
    def established(self) -> bool:
        """Whether it is, as far as anybody can say."""
        return self.facts.state is SessionState.ESTABLISHED and not self.silent

    @property
    def well(self) -> bool:
        """Whether nothing need be said of it."""
        return not self.silent and is_well(self.facts) and bool(self.facts.prefixes_sent)

    @property
    def cause(self) -> Cause:
        """Why it is as it is."""
        if self.missing:
            return explain_missing(self.status.node, self.silent)
        if self.silent:
            return explain_silence(self.status.node, self.silent)
        return explain_session(self.facts, self.status.node)


@dataclass(frozen=True, slots=True)
class Sessions:
    """All that was asked for. ``absent``: BGPPeers that no node should have a session with."""

    rows: tuple[SessionRow, ...] = ()
    absent: Mapping[str, Cause] | None = None

    @property
    def exit_status(self) -> int:
        """As the help says it."""
        return 0 if all(row.established for row in self.rows) and not self.absent else 3


async def read_sessions(client: Client, settings: StatusBGPSettings) -> Sessions:
    """What there is now; raises NotFoundError and ApiError."""
    expected = await read_expected(client, settings.namespace)
    found = await _reported(client, settings)
    peers, _ = await client.list(resources.BGPPeer, PEERS.path(settings.namespace))
    rows = [SessionRow(one, facts_of(one), expected.doubt(one.node)) for one in found]
    rows += _missing(found, expected)
    names = {item.metadata.name for item in peers} | {row.status.peer for row in rows}
    known = {row.status.node for row in rows} | set(expected.nodes or ())
    _must_be(settings.peers, names, "BGPPeer")
    _must_be(settings.nodes, known, "node")
    shown = [row for row in rows if _asked(row, settings)]
    shown.sort(key=lambda row: (row.status.peer, row.status.node, row.status.vrf))
    told = {row.status.peer for row in rows}
    absent = sorted(name for name in names - told if name in (settings.peers or names))
    # which nodes a peer selects is the controller's to say: of one node it cannot be told
    planned = expected.plans is not None
    reasons = {one: explain_absent(one, planned) for one in absent} if not settings.nodes else {}
    return Sessions(tuple(shown), reasons)


async def _reported(
    client: Client, settings: StatusBGPSettings
) -> list[resources.BGPSessionStatusStatus]:
    try:
        found, _ = await client.list(resources.BGPSessionStatus, SESSIONS.path(settings.namespace))
    except ApiError as error:
        if not error.gone:
            raise
        raise ApiError(
            404, "NotFound", "the cluster has no BGPSessionStatus: apply the CRDs"
        ) from error
    return [item.status for item in found]


def _missing(found: list[resources.BGPSessionStatusStatus], expected: Expected) -> list[SessionRow]:
    """A row for each pair of peer and node that is planned and not reported."""
    reported = {(status.peer, status.node) for status in found}
    rows = []
    for (peer, node), plan in (expected.plans or {}).items():
        if (peer, node) not in reported:
            status = resources.BGPSessionStatusStatus(
                node, peer, _remote(plan), plan.port, plan.vrf, NO_SESSION
            )
            rows.append(SessionRow(status, facts_of(status), expected.doubt(node), missing=True))
    return rows


def _remote(plan: PeerPlan) -> str:
    if plan.gateway is not None:
        return "gateway"
    return plan.interface or str(plan.address)


def _asked(row: SessionRow, settings: StatusBGPSettings) -> bool:
    peer, node = row.status.peer, row.status.node
    return peer in (settings.peers or [peer]) and node in (settings.nodes or [node])


def _must_be(asked: tuple[str, ...], known: set[str], kind: str) -> None:
    for name in asked:
        if name not in known:
            few = ", ".join(sorted(known)[:10]) + (", …" if len(known) > 10 else "")
            raise NotFoundError(f'there is no {kind} "{name}"; there are {few or "none"}')
