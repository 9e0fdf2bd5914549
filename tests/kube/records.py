"""Records of free addresses, written into the ledger as a controller would have left them."""

from __future__ import annotations

from ipaddress import ip_address

from bellmetal.addresses import LEDGER_BLOCK_BITS, block_of
from bellmetal.ledger import shard_name
from lab.programs import NAMESPACE
from lab.rest import Rest

LEDGERS = f"/apis/bellmetal.io/v1alpha1/namespaces/{NAMESPACE}/addressledgers"
BLOCK = 2**LEDGER_BLOCK_BITS


def plant(rest: Rest, first: str, count: int, freed: str, term: int = 1) -> list[str]:
    """``count`` addresses from ``first`` on, the first one of a block; the names of the shards."""
    addresses = [ip_address(first) + number for number in range(count)]
    names = []
    for start in range(0, count, BLOCK):
        part = addresses[start : start + BLOCK]
        block = block_of(part[0])
        entry = {"term": term, "pool": "old", "freedAt": freed}
        body = {
            "apiVersion": "bellmetal.io/v1alpha1",
            "kind": "AddressLedger",
            "metadata": {"name": shard_name(block)},
            "spec": {"block": str(block), "entries": {str(item): entry for item in part}},
        }
        rest.post(LEDGERS, body)
        names.append(shard_name(block))
    return names
