"""A node's claims, with the digest that tells others whether they know all of them."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field

from bellmetal.addresses import IPAddress
from bellmetal.facts import ClaimOrder

_CLAIM = struct.Struct("!QIB")


def claim_digest(address: IPAddress, order: ClaimOrder) -> int:
    """What one claim adds (by exclusive or) to the digest, 64 bits."""
    data = address.packed + _CLAIM.pack(order.term, order.epoch, order.firm)
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


@dataclass(slots=True)
class ClaimSet:
    """Claims by address. ``digest`` is of exactly these, whatever the order they came in."""

    orders: dict[IPAddress, ClaimOrder] = field(default_factory=dict)
    digest: int = 0

    def put(self, address: IPAddress, order: ClaimOrder | None) -> None:
        """Sets a claim; None: it is no more."""
        before = self.orders.pop(address, None)
        if before is not None:
            self.digest ^= claim_digest(address, before)
        if order is not None:
            self.orders[address] = order
            self.digest ^= claim_digest(address, order)
