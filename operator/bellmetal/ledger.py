"""The AddressLedger: compare-and-swap on its shards, so that no two leaders give one address.

A shard holds a block of 32 addresses (a /27 or a /123), whatever their pool: an address has
exactly one shard, also while pools are renamed, split or seen differently by two leaders.

What is forgotten of free addresses leaves the highest of its terms behind, in the object `pruned`:
whoever has no record begins above that.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Iterable
from typing import Any, NoReturn, TypeVar

from bellmetal import resources
from bellmetal.addresses import AddressError, IPAddress, IPNetwork, block_of
from bellmetal.api import ApiError, Client
from bellmetal.holdings import Holding, entry_from_holding, holding_from_entry
from bellmetal.turns import side_by_side

log = logging.getLogger(__name__)

VERSION = "bellmetal.io/v1alpha1"
PRUNED = "pruned"  # the object with the floor
EVERYWHERE = "::/0"  # its block: the floor is that of all addresses
T = TypeVar("T")


class LedgerConflictError(Exception):
    """Somebody else wrote a shard first; what is in memory is fresh again, decide again."""


class Ledger:
    """The shards as last read or written. Not for use by two tasks at once."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._path = f"/apis/bellmetal.io/v1alpha1/namespaces/{namespace}/addressledgers"
        self._versions: dict[str, str] = {}
        self._doubtful = False  # a write may have been done, or not: nobody heard
        self._written: set[str] = set()  # shards, in this pass
        self.loads = 0  # how often it was read: what was decided before may be wrong since
        self.news = 0  # how often that told what we had not written, or not known to be written
        self.holdings: dict[IPAddress, Holding] = {}
        self.floor = 0  # an address without a record begins in the term after it
        self._no_floor = False  # the cluster's CRD does not know it: nothing can be forgotten

    async def load(self) -> None:
        """Reads all shards."""
        known = dict(self._versions)
        self._doubtful = False  # a write that fails while this reads makes it doubtful again
        self.loads += 1
        try:
            shards, _ = await self._client.list(resources.AddressLedger, self._path)
        except ApiError:
            self._doubtful = True
            raise
        self._versions.clear()
        self.holdings.clear()
        self._no_floor = False
        for shard in shards:
            self._take(shard)
        self.news += self._versions != known

    async def write(self, holdings: Iterable[Holding]) -> None:
        """Writes entries, one request a shard; raises LedgerConflictError or ApiError.

        What succeeded before a failure counts: it is in memory, and stands. After a failure of
        which nobody knows whether it was done all is read again first, also if there is nothing
        to write: what was decided may be decided otherwise next time.
        """
        if self._doubtful:
            await self.load()
            raise LedgerConflictError("the last write may have been done: read again")
        self._written.clear()
        await self.add(holdings)

    async def add(self, holdings: Iterable[Holding]) -> None:
        """Writes more in the same pass."""
        shards = _by_block(holdings)
        await self._carry_out(self._write_shard(*shard) for shard in shards.items())

    async def confirm(self, addresses: Iterable[IPAddress]) -> None:
        """Raises LedgerConflictError if somebody else has written the shards of these addresses.

        What is shown and announced must be what the ledger says now, also where nothing of it is
        to be written. Shards that were written in this pass are as they are in memory.
        """
        names = {shard_name(block_of(address)) for address in addresses} - self._written
        await self._carry_out(map(self._confirm, sorted(names & self._versions.keys())))

    async def _confirm(self, name: str) -> None:
        if await self._version(name) != self._versions[name]:
            raise LedgerConflictError(f"AddressLedger/{name}: somebody else wrote it")

    async def _version(self, name: str) -> str:
        """The present one of an object; empty: it is gone."""
        try:
            shard = await self._client.get(resources.AddressLedger, f"{self._path}/{name}")
        except ApiError as error:
            if error.gone:
                return ""
            raise
        return shard.metadata.resource_version

    async def forget(self, records: Iterable[Holding]) -> bool:
        """Drops records of free addresses; whether it could. Raises as `write` does.

        The floor is written first: a term that was once told does not begin again, also if this
        ends in the middle. Who has not read the ledger since would not know the floor; that is why
        only records that are older than any leader's knowledge may be dropped (`pruning.py`).
        """
        shards = _by_block(records)
        highest = max((r.term for found in shards.values() for r in found), default=0)
        if not shards or not await self._raise_floor(highest):
            return False
        self.loads += 1  # what was decided stands on what is dropped now
        sizes = Counter(map(block_of, self.holdings))
        await self._carry_out(
            self._drop(block, found, whole=len(found) == sizes[block])
            for block, found in shards.items()
        )
        return True

    async def _raise_floor(self, term: int) -> bool:
        """Whether the floor is at least that high, in the cluster."""
        if self._no_floor or (term <= self.floor and PRUNED in self._versions):
            return not self._no_floor
        floor = max(term, self.floor)
        [shard] = await self._carry_out([self._put(PRUNED, {"block": EVERYWHERE, "floor": floor})])
        self._take(shard)
        self._no_floor = shard.spec.floor < floor
        if self._no_floor:
            log.error(
                "AddressLedger/%s: the cluster's CustomResourceDefinition does not know spec.floor:"
                " records of free addresses are kept for ever; apply the CRDs of this version",
                PRUNED,
            )
        return not self._no_floor

    async def _carry_out(self, requests: Iterable[Awaitable[T]]) -> list[T]:
        """All of them; then, if somebody else was first with one, all is read again.

        Not before all have ended: each must name the version that was known when it was decided.
        """
        try:
            return await side_by_side(requests)
        except LedgerConflictError:
            await self.load()
            raise

    async def _drop(self, block: IPNetwork, records: list[Holding], *, whole: bool) -> None:
        name = shard_name(block)
        if whole:
            await self._remove(name)
        else:
            shard = await self._put(name, {"entries": {str(r.address): None for r in records}})
            self._versions[name] = shard.metadata.resource_version
        for record in records:
            del self.holdings[record.address]

    async def _write_shard(self, block: IPNetwork, holdings: list[Holding]) -> None:
        name = shard_name(block)
        entries = {str(holding.address): _merge_entry(holding) for holding in holdings}
        spec: dict[str, Any] = {"entries": entries}
        if name not in self._versions:
            spec = {"block": str(block), "entries": _without_nulls(entries)}
        self._take(await self._put(name, spec))
        self._written.add(name)

    async def _put(self, name: str, spec: dict[str, Any]) -> resources.AddressLedger:
        """Patches an object that is as it was read, or makes it; its answer."""
        try:
            if version := self._versions.get(name):
                body: dict[str, Any] = {"metadata": {"resourceVersion": version}, "spec": spec}
                return await self._client.patch(
                    resources.AddressLedger, f"{self._path}/{name}", body
                )
            body = {
                "apiVersion": VERSION,
                "kind": "AddressLedger",
                "metadata": {"name": name, "labels": {"app": "metallb"}},
                "spec": spec,
            }
            return await self._client.create(resources.AddressLedger, self._path, body)
        except ApiError as error:
            self._refuse(name, error)

    async def _remove(self, name: str) -> None:
        """Deletes an object that is as it was read."""
        try:
            await self._client.delete(f"{self._path}/{name}", self._versions[name])
        except ApiError as error:
            self._refuse(name, error)
        self._versions.pop(name, None)

    def _refuse(self, name: str, error: ApiError) -> NoReturn:
        """A write failed."""
        if error.conflict or error.gone:
            raise LedgerConflictError(f"AddressLedger/{name}: {error}") from error
        self._doubtful = True
        raise error

    def _take(self, shard: resources.AddressLedger) -> None:
        name = shard.metadata.name
        self._versions[name] = shard.metadata.resource_version
        self.floor = max(self.floor, shard.spec.floor)
        for text, entry in shard.spec.entries.items():
            try:
                holding = holding_from_entry(text, entry)
            except AddressError as error:
                log.error("AddressLedger/%s spec.entries: %s; the entry is ignored", name, error)
                continue
            self.holdings[holding.address] = holding


def _by_block(holdings: Iterable[Holding]) -> dict[IPNetwork, list[Holding]]:
    """What belongs into each shard."""
    found: dict[IPNetwork, list[Holding]] = {}
    for holding in holdings:
        found.setdefault(block_of(holding.address), []).append(holding)
    return found


def shard_name(block: IPNetwork) -> str:
    """``ipv4-192.0.2.64`` or ``ipv6-`` and the 32 hexadecimal digits of the first address."""
    first = block.network_address
    if first.version == 4:
        return f"ipv4-{first}"
    return f"ipv6-{first.packed.hex()}"


def _merge_entry(holding: Holding) -> dict[str, Any]:
    """An entry for a merge patch: what is absent is null, so that nothing old shines through."""
    entry = entry_from_holding(holding)
    last = entry.last_holder
    return {
        "term": entry.term,
        "pool": entry.pool,
        "holders": entry.holders,
        "freedAt": entry.freed_at,
        "lastHolder": last
        and {
            "uid": last.uid,
            "namespace": last.namespace,
            "name": last.name,
            "since": last.since,
            "sharing": None,
        },
        "owners": entry.owners,
    }


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _without_nulls(item) for key, item in value.items() if item is not None}
