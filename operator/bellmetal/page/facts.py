"""One address, and one block of a pool, as the page shows them when somebody asks."""

from __future__ import annotations

from typing import Any

from bellmetal.addresses import Family, IPAddress, Range, family_of
from bellmetal.config import Pool
from bellmetal.diagnosis.situation import Situation
from bellmetal.page.cells import Cell, Map, draw
from bellmetal.page.occupancy import Occupancy, Place
from bellmetal.page.services import address_row
from bellmetal.page.timeline import history

MOST_CELLS = 1024  # of a map that is looked at alone
MOST_USERS = 3  # Services that a cell names

Plain = dict[str, Any]


def address_facts(situation: Situation, found: Occupancy, address: IPAddress) -> Plain:
    """What is known of an address, whether anybody has it or not."""
    pool, holding = situation.cluster.config.pool_of(address), situation.held.get(address)
    last, freed_at = holding.last(situation.now) if holding else (None, "")
    lines = sorted(history(holding), key=lambda entry: entry.at) if holding else []
    row = found.rows.get(address)
    return {
        **address_row(situation, found, address),
        "services": list(row.services) if row else [],
        "reservedFor": pool.reserved.get(address) if pool else None,
        "coolDown": pool.cool_down if pool else 0,
        "lastService": last.key if last and row is None else "",
        "freedAt": freed_at if last and row is None else "",
        "term": holding.term if holding else 0,
        "timeline": [{"at": entry.at, "said": entry.said} for entry in reversed(lines)],
        "doubts": [
            {"node": node, "said": doubt.message}
            for node, doubt in situation.doubts
            if doubt.address == address
        ],
    }


def pool_map(found: Occupancy, pool: Pool, family: Family, most: int) -> Plain:
    """The map of all of a pool's addresses of a family."""
    return _plain(found, _draw(found, pool, pool.pieces(family), most))


def block_map(found: Occupancy, pool: Pool, block: Range) -> Plain:
    """The map of a part of a pool."""
    inside = [
        Range(max(piece.first, block.first), min(piece.last, block.last))
        for piece in pool.pieces(block.family)
        if piece.overlaps(block)
    ]
    return _plain(found, _draw(found, pool, inside, MOST_CELLS))


def _draw(found: Occupancy, pool: Pool, ranges: tuple[Range, ...] | list[Range], most: int) -> Map:
    families = {item.family for item in ranges}
    places = {a: place for a, place in found.of(pool.name).items() if family_of(a) in families}
    return draw(ranges, places, pool.avoid_buggy, most)


def _plain(found: Occupancy, drawn: Map) -> Plain:
    cells = [_cell(found, cell) for cell in drawn.cells]
    return {"cells": cells, "leftOff": drawn.left_off}


def _cell(found: Occupancy, cell: Cell) -> Plain:
    """What is not said is: one address, free."""
    first = cell.range.first
    if not cell.single:
        size = {"first": str(first), "last": str(cell.range.last), "size": cell.range.size}
        return size | {"free": cell.free} | dict(cell.counts)
    plain: Plain = {"first": str(first)}
    if cell.place is not Place.FREE:
        plain["state"] = cell.place.value
    if row := found.rows.get(first):
        plain["services"] = list(row.services[:MOST_USERS])
        if len(row.services) > MOST_USERS:
            plain["more"] = len(row.services) - MOST_USERS
        if row.owner:
            plain["owner"] = row.owner
    return plain
