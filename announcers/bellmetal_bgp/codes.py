"""Numbers that BGP's messages share: types of messages, attributes, capabilities. No behaviour."""

from __future__ import annotations

import enum

AS_TRANS = 23456  # stands for a number of four octets where only two fit (RFC 6793)


class MessageType(enum.IntEnum):
    """RFC 4271, section 4.1; RFC 2918."""

    OPEN = 1
    UPDATE = 2
    NOTIFICATION = 3
    KEEPALIVE = 4
    ROUTE_REFRESH = 5


class AttributeType(enum.IntEnum):
    """Path attributes by the names of their RFCs."""

    ORIGIN = 1
    AS_PATH = 2
    NEXT_HOP = 3
    MULTI_EXIT_DISC = 4
    LOCAL_PREF = 5
    ATOMIC_AGGREGATE = 6
    AGGREGATOR = 7
    COMMUNITIES = 8  # RFC 1997
    ORIGINATOR_ID = 9  # RFC 4456
    CLUSTER_LIST = 10  # RFC 4456
    MP_REACH_NLRI = 14  # RFC 4760
    MP_UNREACH_NLRI = 15  # RFC 4760
    EXTENDED_COMMUNITIES = 16  # RFC 4360
    AS4_PATH = 17  # RFC 6793
    AS4_AGGREGATOR = 18  # RFC 6793
    IPV6_EXTENDED_COMMUNITIES = 25  # RFC 5701
    LARGE_COMMUNITIES = 32  # RFC 8092


class CapabilityCode(enum.IntEnum):
    """Capabilities that we know at least by name (IANA's registry)."""

    MULTIPROTOCOL = 1
    ROUTE_REFRESH = 2
    OUTBOUND_ROUTE_FILTERING = 3
    EXTENDED_NEXT_HOP = 5
    EXTENDED_MESSAGES = 6
    BGPSEC = 7
    MULTIPLE_LABELS = 8
    ROLE = 9
    GRACEFUL_RESTART = 64
    ASN4 = 65
    DYNAMIC_CAPABILITY = 67
    MULTISESSION = 68
    ADD_PATH = 69
    ENHANCED_ROUTE_REFRESH = 70
    LONG_LIVED_GRACEFUL_RESTART = 71
    HOST_NAME = 73
    SOFTWARE_VERSION = 75
    OLD_ROUTE_REFRESH = 128


_CAPABILITIES = {
    CapabilityCode.MULTIPROTOCOL: "multiprotocol",
    CapabilityCode.BGPSEC: "BGPsec",
    CapabilityCode.ASN4: "4-octet AS",
    CapabilityCode.ADD_PATH: "ADD-PATH",
    CapabilityCode.EXTENDED_NEXT_HOP: "next hop of the other family",
    CapabilityCode.OLD_ROUTE_REFRESH: "route refresh (old)",
}


def attribute_name(number: int) -> str:
    """``NEXT_HOP``; ``attribute 99`` where there is no name."""
    try:
        return AttributeType(number).name
    except ValueError:
        return f"attribute {number}"


def capability_name(number: int) -> str:
    """``graceful restart``; ``capability 99`` where there is no name."""
    try:
        code = CapabilityCode(number)
    except ValueError:
        return f"capability {number}"
    return _CAPABILITIES.get(code, code.name.lower().replace("_", " "))
