"""Address families as BGP numbers them (RFC 4760): pairs of AFI and SAFI. Nothing else."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from bellmetal.addresses import IPAddress, IPNetwork

AFI_IPV4, AFI_IPV6 = 1, 2
_AFIS = {AFI_IPV4: "IPv4", AFI_IPV6: "IPv6", 16388: "BGP-LS", 25: "L2VPN"}
_SAFIS = {
    1: "unicast",
    2: "multicast",
    4: "labeled unicast",
    70: "EVPN",
    71: "BGP-LS",
    128: "VPN",
    132: "route target",
    133: "flow specification",
}


class Family(NamedTuple):
    """Any pair, also one that nobody knows; it is equal to the plain ``(afi, safi)``."""

    afi: int
    safi: int

    @staticmethod
    def of(item: IPAddress | IPNetwork) -> Family:
        """The unicast family that an address or a network is of."""
        four = isinstance(item, ipaddress.IPv4Address | ipaddress.IPv4Network)
        return IPV4_UNICAST if four else IPV6_UNICAST

    @property
    def longest(self) -> int:
        """The longest prefix of it, in bits; 0 where we do not know what its NLRI look like."""
        return _LONGEST.get(self, 0)

    def __str__(self) -> str:
        """``IPv4 unicast``; the numbers where there is no name."""
        afi = _AFIS.get(self.afi, f"AFI {self.afi}")
        return f"{afi} {_SAFIS.get(self.safi, f'SAFI {self.safi}')}"


IPV4_UNICAST = Family(AFI_IPV4, 1)
IPV6_UNICAST = Family(AFI_IPV6, 1)
_LONGEST = {IPV4_UNICAST: 32, IPV6_UNICAST: 128}
