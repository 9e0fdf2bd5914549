"""Services as the page lists them: what each has, who announces it, and what the controller said.

What is cheap to say of ten thousand of them; the whole chain of one is its explanation.
"""

from __future__ import annotations

from typing import Any

from bellmetal.addresses import IPAddress
from bellmetal.diagnosis.catalogue import CATALOGUE
from bellmetal.diagnosis.situation import Situation
from bellmetal.intents import Allocation
from bellmetal.page.occupancy import Occupancy, Place

MOST = 200  # Services that one answer lists
MOST_ADDRESSES = 16  # of a Service
LONGEST = 300  # characters of a sentence in a list; an explanation has all of it
WELL = "announced"

Plain = dict[str, Any]


def cut(text: str, most: int = LONGEST) -> str:
    """A sentence that is not too long for a list."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def services(situation: Situation, found: Occupancy, wanted: str = "") -> Plain:
    """Those that have ``wanted`` in name, address or owner; what is not well comes first."""
    known = situation.cluster.services
    keys = [key for key, item in known.items() if item.wants_address and item.ours]
    states = {key: state_of(situation, found, key) for key in keys}
    matching = [key for key in keys if not wanted or _matches(situation, found, key, wanted)]
    matching.sort(key=lambda key: (states[key][0] == WELL, not states[key][1], key))
    return {
        "total": len(keys),
        "unwell": sum(1 for state, _ in states.values() if state != WELL),
        "matching": len(matching),
        "rows": [_row(situation, found, key, states[key]) for key in matching[:MOST]],
    }


def state_of(situation: Situation, found: Occupancy, key: str) -> tuple[str, str]:
    """``refused``, ``waiting``, ``withheld``, ``unreached`` or ``announced``, and what is to say
    about that."""
    granted = situation.allocations.granted.get(key)
    refused = situation.allocations.refused.get(key)
    if granted is None:
        if refused is not None:
            return "refused", refused.message
        return "waiting", situation.allocations.cleared.get(key, "nothing is decided for it yet")
    withheld = situation.withheld.get(key, ())
    if any(not item.how for item in withheld):
        return "withheld", "; ".join(item.sentence for item in withheld)
    if doubts := _doubts(found, granted):
        return "unreached", "; ".join(doubts)
    said = [item.sentence for item in withheld]
    said += [f"{address} is given and no pool allows it" for address, _ in granted.orphaned]
    said += [refused.message] if refused is not None else []
    return WELL, "; ".join(said)


def _doubts(found: Occupancy, granted: Allocation) -> list[str]:
    """What is wrong with addresses that should be announced: their codes, in words."""
    said = []
    for address in granted.addresses:
        code = found.rows[address].state
        if code != WELL:
            advice = CATALOGUE.get(code)
            said.append(f"{address}: {advice.title if advice else code}")
    return said


def _matches(situation: Situation, found: Occupancy, key: str, wanted: str) -> bool:
    text = wanted.casefold()
    granted = situation.allocations.granted.get(key)
    if text in key.casefold():
        return True
    return granted is not None and any(
        text in str(address) or text == found.rows[address].owner.casefold()
        for address in granted.addresses
    )


def _row(situation: Situation, found: Occupancy, key: str, state: tuple[str, str]) -> Plain:
    granted = situation.allocations.granted.get(key)
    addresses = granted.addresses if granted else ()
    return {
        "name": key,
        "state": state[0],
        "said": cut(state[1]),
        "addresses": [address_row(situation, found, one) for one in addresses[:MOST_ADDRESSES]],
        "more": max(0, len(addresses) - MOST_ADDRESSES),
        "routedBy": sum(1 for peers in situation.sent.get(key, {}).values() if peers),
    }


def address_row(situation: Situation, found: Occupancy, address: IPAddress) -> Plain:
    """What an address is; if it is in use, since when, and who answers for it."""
    pool = situation.cluster.config.pool_of(address)
    name = pool.name if pool else ""
    plain: Plain = {
        "address": str(address),
        "pool": name,
        "state": found.of(name).get(address, Place.FREE).value,
    }
    if (row := found.rows.get(address)) is not None:
        plain |= {"since": row.since, "owner": row.owner, "ownerSince": row.owned_since}
    return plain
