"""Packet sockets (AF_PACKET): open, filter, read, write. The only file here that knows sockets."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import logging
import socket
import struct
from collections.abc import Callable, Sequence

from bellmetal_layer2.filters import Instruction

log = logging.getLogger(__name__)

SO_ATTACH_FILTER = 26  # asm-generic/socket.h
MOST_PER_TURN = 64  # frames read before the loop gets its turn
LONGEST = 2048


class PacketSocket:
    """Frames of one EtherType on one interface, filtered by the kernel."""

    def __init__(self, interface: str, ethertype: int, program: Sequence[Instruction]) -> None:
        self.interface = interface
        # Protocol 0 receives nothing: bound and filtered first, so no foreign frame slips in.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self._socket.setblocking(False)
            self.filter(program)
            self._socket.bind((interface, ethertype))
        except OSError:
            self._socket.close()
            raise
        self._receive: Callable[[str, bytes], None] | None = None

    def filter(self, program: Sequence[Instruction]) -> None:
        """Replaces the filter, atomically."""
        code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
        buffer = ctypes.create_string_buffer(code)
        head = struct.pack("HL", len(program), ctypes.addressof(buffer))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, head)

    def listen(self, receive: Callable[[str, bytes], None]) -> None:
        """Calls ``receive(interface, frame)`` on the event loop for every frame."""
        self._receive = receive
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._readable)

    def _readable(self) -> None:
        assert self._receive is not None
        for _ in range(MOST_PER_TURN):
            try:
                frame, origin = self._socket.recvfrom(LONGEST)
            except BlockingIOError:
                return
            except OSError as error:
                # ENETDOWN: the interface went down; netlink tells us when it is back
                if error.errno != errno.ENETDOWN:
                    log.warning("reading from %s: %s", self.interface, error.strerror)
                return
            if origin[2] != socket.PACKET_OUTGOING:
                self._receive(self.interface, frame)

    def flush(self) -> None:
        """Throws away what is queued."""
        with contextlib.suppress(OSError):  # BlockingIOError: empty; ENETDOWN: nothing to read
            while True:
                self._socket.recv(LONGEST)

    def send(self, frame: bytes) -> bool:
        """Sends a whole frame; False if the interface would not take it."""
        try:
            self._socket.send(frame)
        except OSError as error:
            if error.errno not in (errno.ENETDOWN, errno.ENOBUFS, errno.ENXIO):
                log.warning("sending on %s: %s", self.interface, error.strerror)
            return False
        return True

    def close(self) -> None:
        """Closes it."""
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
