"""Why an address has another owner than before, in a few words, and the row of its owners.

May live here: words and the row. May not: who owns it (`planning.py`), writing it (`ledger.py`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from bellmetal.cluster import Cluster, Endpoints
from bellmetal.config import MOVE_TO
from bellmetal.holdings import Holding, Tenure
from bellmetal.intents import Announcement
from bellmetal.standing import Standing

MOST = 5  # owners that are remembered, so that a shard of 32 addresses stays small
LONGEST = 160  # characters of a reason
FIRST = "first"


def succeed(holding: Holding, former: str, owner: str, why: str, now: str) -> Holding:
    """The holding with a new owner since ``now`` (RFC 3339).

    The first owner is written down when the second one comes: an address that never moves costs no
    write; it has been the first one's since its Service has it.
    """
    owners = holding.owners
    if not owners:
        since = holding.holders[0].since if holding.holders else ""
        owners = (Tenure(former, since, FIRST),)
    elif owners[0].node != former:  # it left all slices meanwhile and came back elsewhere
        owners = (Tenure(former), *owners)
    return replace(holding, owners=(Tenure(owner, now, why[:LONGEST]), *owners)[:MOST])


def reason(
    cluster: Cluster,
    before: Announcement,
    after: Announcement,
    present: Standing,
    nodes: Collection[str],
) -> str:
    """Why the owner of an announcement is another one than before.

    ``present``: who owned it when that was decided; ``nodes``: those that may own it.
    """
    former, owner = before.owner, after.owner
    node = cluster.nodes.get(former)
    if node is None:
        return f"{former} is no node any more"
    if not present.confirmed and present.owner == owner:
        what = "its speaker was silent or stopped" if node.ready else "its node is not ready"
        return f"took over from {former}: {what}"
    services = [cluster.services[item.key] for item in after.services]
    if any(service.move_to == owner for service in services):
        return f"moved by order ({MOVE_TO})"
    if node.draining:
        return f"drain of {former}: {node.draining}"
    if former not in nodes:
        return f"{former} may not own it any more"
    endpoints = [cluster.endpoints.get(item.key, Endpoints()) for item in services]
    local = zip(services, endpoints, strict=True)
    if any(item.local_only and former not in found.staying for item, found in local):
        return f"the endpoints on {former} are ending"
    return "preferred"
