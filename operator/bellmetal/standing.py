"""Who owns what now, as far as slices and reports tell. No choice is made here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bellmetal.addresses import IPAddress
from bellmetal.cluster import Node
from bellmetal.facts import MOST_AHEAD, Claim, ClaimOrder
from bellmetal.intents import Announcement, NodeSet, rank


@dataclass(frozen=True, slots=True)
class Standing:
    """Who owns an address now, and what the slices say of it besides."""

    owner: str
    term: int
    confirmed: bool = True  # the slices name this owner; else only its claim does
    successors: tuple[str, ...] = field(default=(), compare=False)
    node_set: NodeSet | None = field(default=None, compare=False)
    interfaces: frozenset[str] = field(default=frozenset(), compare=False)


def standings(
    announcements: Iterable[Announcement],
    claims: Iterable[Claim],
    nodes: Mapping[str, Node],
    node_sets: Mapping[str, NodeSet] | None = None,
) -> dict[IPAddress, Standing]:
    """Who owns what: the slices' owner, or the node with the highest claim above it.

    A provisional claim counts once the API itself says that the slices' owner is not ready.
    """
    standing = list(announcements)
    terms = {item.address: item.term for item in standing}
    highest: dict[IPAddress, Claim] = {}
    for claim in claims:
        known = highest.get(claim.address)
        if claim.order.term > terms.get(claim.address, 0) + MOST_AHEAD:
            continue  # a speaker that lies
        if known is None or _claim_order(claim) > _claim_order(known):
            highest[claim.address] = claim
    found, sets = {}, node_sets or {}
    for item in standing:
        best = highest.get(item.address)
        owner, term = item.owner, item.term
        if best is not None and best.node != owner and _counts(best, item, nodes.get(owner)):
            owner, term = best.node, best.order.term
        found[item.address] = Standing(
            owner,
            term,
            owner == item.owner,
            item.successors,
            sets.get(item.node_set),
            item.interfaces,
        )
    return found


def _counts(claim: Claim, item: Announcement, owner: Node | None) -> bool:
    """Whether another node's claim stands above what the slices say."""
    gone = owner is None or not owner.ready
    above = claim.order > ClaimOrder(item.term, True, 0)
    return above or (gone and claim.order.term == item.term and claim.order.epoch > 0)


def owners_of(
    announcements: Iterable[Announcement],
    standing: Mapping[IPAddress, Standing],
    claims: Iterable[Claim],
) -> dict[str, frozenset[str]]:
    """Service key → the nodes that own or claim an address of it, as far as anybody knows."""
    claimants: dict[IPAddress, set[str]] = {}
    for claim in claims:
        claimants.setdefault(claim.address, set()).add(claim.node)
    owners: dict[str, frozenset[str]] = {}
    for item in announcements:
        names = {item.owner} | claimants.get(item.address, set())
        if item.address in standing:
            names.add(standing[item.address].owner)
        for service in item.services:
            owners[service.key] = owners.get(service.key, frozenset()) | names
    return owners


def _claim_order(claim: Claim) -> tuple[ClaimOrder, int]:
    return claim.order, rank(claim.address, claim.node)
