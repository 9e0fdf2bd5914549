"""TCP sockets as BGP wants them: what the kernel was asked for, and what it refuses by name."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import select
import socket
from collections.abc import Iterator

import pytest

from bellmetal.announcer import Password
from bellmetal_bgp import sockets
from bellmetal_bgp.sockets import (
    IP_MINTTL,
    IPV6_MINHOPCOUNT,
    LONGEST_KEY,
    Listener,
    SignatureError,
    Target,
)

HERE, HERE6 = ipaddress.ip_address("127.0.0.2"), ipaddress.ip_address("::1")
KEY = Password(b"s3cret")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        return int(opened.getsockname()[1])


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener(free_port(), "")
    yield made
    made.close()


def test_a_target_for_people_shows_no_password() -> None:
    link = ipaddress.ip_address("fe80::1")
    assert Target(HERE, 179).remote == "127.0.0.2"
    assert Target(link, 179, "eth0").remote == "fe80::1%eth0"
    assert "s3cret" not in repr(Target(HERE, 179, password=KEY))


def test_a_target_as_the_socket_calls_take_it() -> None:
    lo = socket.if_nametoindex("lo")
    assert Target(HERE, 179).sockaddr() == ("127.0.0.2", 179)
    assert Target(HERE6, 179, "lo").sockaddr() == ("::1", 179, 0, lo)
    with pytest.raises(OSError, match="no interface with this name"):
        Target(HERE6, 179, "nowhere0").sockaddr()


@pytest.mark.parametrize(
    ("target", "what", "number"),
    [
        (Target(HERE, 179, vrf="nowhere0"), "vrf", errno.ENODEV),
        (
            Target(HERE, 179, source=ipaddress.ip_address("203.0.113.9")),
            "source",
            errno.EADDRNOTAVAIL,
        ),
    ],
)
def test_what_fails_says_which_it_is(target: Target, what: str, number: int) -> None:
    with pytest.raises(OSError) as caught:
        sockets.tcp(target)
    assert (caught.value.filename, caught.value.errno) == (what, number)


@pytest.mark.parametrize("hops", [1, 2, 255])
@pytest.mark.parametrize("address", [HERE, HERE6])
def test_hops(address: ipaddress.IPv4Address | ipaddress.IPv6Address, hops: int) -> None:
    """RFC 5082: sent with 255, and no less than that, minus what the way takes, is taken."""
    options = {
        4: (socket.IPPROTO_IP, socket.IP_TTL, IP_MINTTL),
        6: (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, IPV6_MINHOPCOUNT),
    }
    level, ttl, least = options[address.version]
    with contextlib.closing(sockets.tcp(Target(address, 179, hops=hops))) as opened:
        assert opened.getsockopt(level, ttl) == 255
        assert opened.getsockopt(level, least) == 256 - hops


@pytest.mark.parametrize("ao", [False, True])
def test_a_signature_that_the_kernel_has_or_has_not(ao: bool) -> None:
    said = "ok"
    try:
        sockets.tcp(Target(HERE, 179, password=KEY, ao=ao)).close()
    except SignatureError as error:
        said = error.strerror or ""
    kind = "TCP-AO (RFC 5925)" if ao else "TCP's MD5 signature (RFC 2385)"
    assert said in ("ok", f"this node's kernel has no {kind}")


@pytest.mark.parametrize("ao", [False, True])
def test_a_password_that_is_too_long(ao: bool) -> None:
    long = Password(b"x" * (LONGEST_KEY + 1))
    with pytest.raises(SignatureError, match="the password is longer than 80 octets"):
        sockets.tcp(Target(HERE, 179, password=long, ao=ao))


# --- a listener ----------------------------------------------------------------------------------


def called(listener: Listener, address: str) -> str:
    """Who called, as the listener says."""
    with socket.create_connection((address, listener.port), timeout=5):
        readable, _, _ = select.select(listener.sockets, [], [], 5)
        accepted = listener.accept(readable[0])
        assert accepted is not None
        accepted[0].close()
        assert listener.accept(readable[0]) is None, "there is no other one"
        return accepted[1]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_it_takes_calls_of_both_families(listener: Listener, address: str) -> None:
    assert called(listener, address) == address


def test_a_port_that_is_taken_leaves_nothing_open(listener: Listener) -> None:
    with pytest.raises(OSError, match="in use"):
        Listener(listener.port, "")
    listener.close()
    Listener(listener.port, "").close()


def test_an_unsigned_call_to_a_signed_port_and_back(listener: Listener) -> None:
    caller = ipaddress.ip_address("127.0.0.1")
    try:
        listener.sign(Target(caller, listener.port, password=KEY))
    except SignatureError as error:
        pytest.skip(str(error.strerror))
    with pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", listener.port), timeout=0.1)
    listener.sign(Target(caller, listener.port))
    assert called(listener, "127.0.0.1") == "127.0.0.1"
    listener.sign(Target(caller, listener.port))  # none once more


def test_the_ends_of_a_connection(listener: Listener) -> None:
    with socket.create_connection(("127.0.0.1", listener.port), timeout=5) as opened:
        assert sockets.ends(opened) == (ipaddress.ip_address("127.0.0.1"),) * 2
