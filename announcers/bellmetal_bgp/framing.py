"""Marker, length, type: messages cut out of a stream, and put around bodies (RFC 4271, 4.1, 6.1).

What a body says is not known here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from bellmetal_bgp.codes import MessageType
from bellmetal_bgp.notifications import Code, DecodeError, Header

MARKER = b"\xff" * 16
HEADER_LENGTH = 19
TYPE_AT = 18  # where in a message its type stands
LIMIT = 4096
EXTENDED_LIMIT = 65535  # RFC 8654
_LENGTH_AND_TYPE = struct.Struct("!HB")

# What a message of a type may be long at least and at most (RFC 4271, 6.1); 0: as the session has
# it. Of ROUTE-REFRESH the subtype says how a wrong length is answered (RFC 7313, 5), so that is
# left to the body's reader.
_BOUNDS = {
    int(kind): (kind, least, most)
    for kind, least, most in (
        (MessageType.OPEN, 29, LIMIT),  # also where messages are extended (RFC 8654, 4)
        (MessageType.UPDATE, 23, 0),
        (MessageType.NOTIFICATION, 21, 0),
        (MessageType.KEEPALIVE, 19, 19),
        (MessageType.ROUTE_REFRESH, 19, 0),
    )
}


def frame(kind: MessageType, body: bytes) -> bytes:
    """The whole message. A body that is too long even for RFC 8654 is a ValueError."""
    length = HEADER_LENGTH + len(body)
    if length > EXTENDED_LIMIT:
        raise ValueError(f"{kind.name}: {length} octets are too many for a message")
    return MARKER + _LENGTH_AND_TYPE.pack(length, kind) + body


def read_header(data: bytes | bytearray, extended: bool) -> tuple[int, MessageType]:
    """Length and type out of the first 19 octets; raises DecodeError."""
    if not data.startswith(MARKER):
        text = "the marker is not all ones"
        raise DecodeError(text, Code.HEADER, Header.CONNECTION_NOT_SYNCHRONIZED)
    length, number = _LENGTH_AND_TYPE.unpack_from(data, len(MARKER))
    kind, least, most = _BOUNDS.get(number, (None, HEADER_LENGTH, 0))
    most = most or (EXTENDED_LIMIT if extended else LIMIT)
    if not least <= length <= most:
        name = kind.name if kind else "message"
        raise bad_length(f"{name} of {length} octets, not {least} to {most}", length)
    if kind is None:
        text = f"messages of type {number} are unknown"
        raise DecodeError(text, Code.HEADER, Header.BAD_MESSAGE_TYPE, bytes([number]))
    return length, kind


def bad_length(text: str, length: int) -> DecodeError:
    """Bad Message Length, with the Length field as it came."""
    data = length.to_bytes(2, "big")
    return DecodeError(text, Code.HEADER, Header.BAD_MESSAGE_LENGTH, data)


class Stream:
    """What TCP brings, cut into messages. ``extended``: up to 65,535 octets each (RFC 8654).

    It holds what was fed and not taken: less than one message, if all are taken after each feed.
    """

    def __init__(self, extended: bool = False) -> None:
        self.extended = extended
        self._buffer = bytearray()
        self._broken: DecodeError | None = None

    def feed(self, data: bytes) -> None:
        """More bytes came in. After an error they are of no use, and not kept."""
        if self._broken is None:
            self._buffer += data

    def messages(self) -> Iterator[bytes]:
        """Those that are complete, each once; raises DecodeError, and again each time after that.

        A header is judged as soon as its 19 octets are there. ``extended`` may be switched between
        two messages. Who stops half-way goes on with a new call.
        """
        if self._broken is not None:
            raise self._broken
        buffer = self._buffer
        while len(buffer) >= HEADER_LENGTH:
            try:
                length, _ = read_header(buffer, self.extended)
            except DecodeError as error:
                self._broken = error
                buffer.clear()
                raise
            if len(buffer) < length:
                return
            message = bytes(buffer[:length])
            del buffer[:length]
            yield message
