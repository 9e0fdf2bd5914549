"""The BFD Control packet (RFC 5880, section 4.1): bytes ⇄ values. No state, no choices.

Imported by the small process that keeps time, so it imports next to nothing.
"""

from __future__ import annotations

import enum
import struct
from typing import NamedTuple

VERSION = 1
LENGTH = 24
LENGTH_WITH_AUTHENTICATION = 26
LARGEST_MULTIPLIER = 255

# version and diagnostic, state and flags, multiplier, length; discriminators; three intervals
_PACKET = struct.Struct("!BBBB II III")
_POLL, _FINAL, _INDEPENDENT, _AUTHENTICATED, _DEMAND, _MULTIPOINT = 32, 16, 8, 4, 2, 1


class State(enum.IntEnum):
    """Of a session, as it stands in packets (section 4.1)."""

    ADMIN_DOWN = 0
    DOWN = 1
    INIT = 2
    UP = 3


class Diagnostic(enum.IntEnum):
    """Why a session last changed its state (section 4.1)."""

    NONE = 0
    DETECTION_TIME_EXPIRED = 1
    ECHO_FAILED = 2
    NEIGHBOR_SIGNALED_DOWN = 3
    FORWARDING_PLANE_RESET = 4
    PATH_DOWN = 5
    CONCATENATED_PATH_DOWN = 6
    ADMINISTRATIVELY_DOWN = 7
    REVERSE_CONCATENATED_PATH_DOWN = 8


_DIAGNOSTICS = (
    "No Diagnostic",
    "Control Detection Time Expired",
    "Echo Function Failed",
    "Neighbor Signaled Session Down",
    "Forwarding Plane Reset",
    "Path Down",
    "Concatenated Path Down",
    "Administratively Down",
    "Reverse Concatenated Path Down",
)
_AUTHENTICATIONS = (
    "a reserved type",
    "a simple password",
    "keyed MD5",
    "meticulous keyed MD5",
    "keyed SHA1",
    "meticulous keyed SHA1",
)


def in_words(diagnostic: int) -> str:
    """A diagnostic code by the RFC's name; 9 to 31 are reserved, and said so."""
    if diagnostic < len(_DIAGNOSTICS):
        return _DIAGNOSTICS[diagnostic]
    return f"reserved diagnostic {diagnostic}"


class Wrong(enum.Enum):
    """Why a packet is discarded (section 6.8.6, in its order; then RFC 5881, 5082)."""

    TRUNCATED = "truncated"
    VERSION = "wrongVersion"
    LENGTH = "wrongLength"
    MULTIPLIER = "zeroMultiplier"
    MULTIPOINT = "multipoint"
    MY_DISCRIMINATOR = "zeroDiscriminator"
    YOUR_DISCRIMINATOR = "stateWithoutDiscriminator"
    AUTHENTICATED = "authenticated"
    # what the bytes alone do not tell
    TTL = "wrongTTL"
    INTERFACE = "wrongInterface"
    NO_SESSION = "noSession"
    ADMIN_DOWN = "administrativelyDown"  # the session is, on our side


class DecodeError(ValueError):
    """Bytes that are no packet to be believed; ``wrong`` says which rule, the message how."""

    def __init__(self, wrong: Wrong, message: str) -> None:
        super().__init__(message)
        self.wrong = wrong


class Packet(NamedTuple):
    """One Control packet without authentication. Intervals are in microseconds.

    ``diagnostic`` may be a reserved code. ``independent`` is the C bit, ``demand`` the D bit.
    """

    state: State
    detect_mult: int
    my_discriminator: int
    your_discriminator: int = 0
    desired_min_tx_us: int = 1_000_000
    required_min_rx_us: int = 0
    required_min_echo_rx_us: int = 0
    diagnostic: int = Diagnostic.NONE
    poll: bool = False
    final: bool = False
    independent: bool = False
    demand: bool = False

    def encode(self) -> bytes:
        """The 24 bytes of it."""
        flags = _POLL * self.poll | _FINAL * self.final
        flags |= _INDEPENDENT * self.independent | _DEMAND * self.demand
        return _PACKET.pack(
            VERSION << 5 | self.diagnostic,
            self.state << 6 | flags,
            self.detect_mult,
            LENGTH,
            self.my_discriminator,
            self.your_discriminator,
            self.desired_min_tx_us,
            self.required_min_rx_us,
            self.required_min_echo_rx_us,
        )


def decode(data: bytes) -> Packet:
    """A packet out of a datagram; raises DecodeError by the first rule of 6.8.6 that it breaks."""
    if len(data) < LENGTH:
        raise DecodeError(Wrong.TRUNCATED, f"{len(data)} bytes are too short for BFD")
    first, second, mult, length, mine, yours, tx, rx, echo = _PACKET.unpack_from(data)
    _check_header(first, second, mult, length, data)
    if mine == 0:
        raise DecodeError(Wrong.MY_DISCRIMINATOR, "My Discriminator is zero")
    state = State(second >> 6)
    if yours == 0 and state > State.DOWN:
        message = f"Your Discriminator is zero in state {state.name}"
        raise DecodeError(Wrong.YOUR_DISCRIMINATOR, message)
    if second & _AUTHENTICATED:
        raise DecodeError(Wrong.AUTHENTICATED, _authentication(data))
    return Packet(
        state,
        mult,
        mine,
        yours,
        tx,
        rx,
        echo,
        first & 31,
        bool(second & _POLL),
        bool(second & _FINAL),
        bool(second & _INDEPENDENT),
        bool(second & _DEMAND),
    )


def _check_header(first: int, second: int, mult: int, length: int, data: bytes) -> None:
    if first >> 5 != VERSION:
        raise DecodeError(Wrong.VERSION, f"version {first >> 5} is not BFD version 1")
    least = LENGTH_WITH_AUTHENTICATION if second & _AUTHENTICATED else LENGTH
    if not least <= length <= len(data):
        message = f"length {length} is not between {least} and the datagram's {len(data)}"
        raise DecodeError(Wrong.LENGTH, message)
    if mult == 0:
        raise DecodeError(Wrong.MULTIPLIER, "Detect Mult is zero")
    if second & _MULTIPOINT:
        raise DecodeError(Wrong.MULTIPOINT, "the Multipoint bit is set")


def _authentication(data: bytes) -> str:
    kind = data[LENGTH]
    known = kind < len(_AUTHENTICATIONS)
    name = _AUTHENTICATIONS[kind] if known else f"the unknown type {kind}"
    return f"the packet is authenticated by {name}, which is not supported"
