"""Objects of the API that somebody has written into, and the speaker's file. Whatever stands in
them, they are read or refused in a sentence; what is kept can be written again.

The bytes say which fields of a sound object become what.
"""

from __future__ import annotations

import copy
import json
import logging
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from bellmetal import kube, resources, sight_reports
from bellmetal.addresses import AddressError
from bellmetal.allocation import allocate
from bellmetal.api import ApiError
from bellmetal.cluster import Cluster
from bellmetal.config import Problem
from bellmetal.follow import Collection, Kind, Unreadable
from bellmetal.holdings import Holding, entry_from_holding, holding_from_entry
from bellmetal.settlement import settle
from bellmetal.slices import (
    announcement_to_slice,
    node_set_to_slice,
    peer_to_slice,
    read_slices,
    route_to_slice,
)
from bellmetal.standing import standings
from bellmetal.statefile import StateFile
from bellmetal.validation import Objects, validate
from fuzz.choices import Choices
from fuzz.sound import LEDGER, OBJECTS, REPORT, SERVICE, SLICE

NOW = "2026-01-01T00:00:00Z"
ODD: list[Any] = [
    "", "\n\x00\x1b[31m%s{}", "x" * 5000, "é\u202e", "0.0.0.0/0", "::/0", "192.0.2.1",
    "fe80::1%eth0",
    "192.0.2.0/24", "192.0.2.9-192.0.2.1", "::-ffff::", "65535:65535", "large:1:2:3", "-1s", "1h",
    "2026-01-01", "2026-01-01T00:00:00", "9999-99-99T99:99:99Z", "0001-01-01T00:00:00+23:59",
    "true", "1", "99999999999999999999", "a,b,,c", "None", None, True, 0, -1, 1, 2**31, 2**32,
    2**63 - 1, -(2**63), 2**64, 1.5, [], {}, [None], ["", ""], {"": None}, [[]], "\ud7ff",
]  # fmt: skip


def changed(sound: Any, choices: Choices) -> Any:
    """The sound value with some of its fields made odd, removed, or repeated."""
    body = copy.deepcopy(sound)
    while choices.left:
        _change(body, choices)
    return body


def _change(body: Any, choices: Choices) -> None:
    """One change at a place that the bytes lead to."""
    at = body
    for _ in range(8):
        keys = sorted(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            choices.number()
            return
        key = choices.of(keys)
        inner = at[key]
        if isinstance(inner, dict | list) and inner and choices.number() % 8:
            at = inner
            continue
        match choices.number() % 8:
            case 0:
                del at[key]
            case 1 if isinstance(at, list):
                at.append(copy.deepcopy(inner))
            case 2 if isinstance(at, dict):
                at[str(choices.of(ODD))] = inner
            case 3:
                at[key] = choices.octets(choices.number()).decode(errors="replace")
            case _:
                at[key] = copy.deepcopy(choices.of(ODD))
        return


def taken(struct: type[Any], body: Any) -> Any:
    """As a watch takes it in: the struct; None if it cannot be read, which is said."""
    kind: Kind[Any] = Kind("", "v1", struct.__name__, struct)
    collection: Collection[Any, Any] = Collection(kind, lambda item: item)
    try:
        found = collection.decode(msgspec.Raw(json.dumps(body).encode()))
    except ApiError as error:
        assert str(error)
        return None
    if isinstance(found, Unreadable):
        _told(found.problem)
        return None
    return found


def _told(problem: Problem) -> None:
    assert problem.kind
    assert problem.path
    assert problem.message


def slices(data: bytes) -> None:
    """An AnnouncementSlice, as speakers read it."""
    body = taken(resources.AnnouncementSlice, changed(SLICE, Choices(data)))
    if body is None:
        return
    found = read_slices([body])
    assert all(fault.startswith("AnnouncementSlice/") for fault in found.faults)
    again = resources.AnnouncementSliceSpec(
        version=1,
        node_sets=[node_set_to_slice(item) for item in found.node_sets.values()],
        announcements=[announcement_to_slice(item) for item in found.announcements.values()],
        routes=[route_to_slice(item) for item in found.routes],
        peers=[peer_to_slice(item) for item in found.peers],
    )
    other = read_slices([resources.AnnouncementSlice(metadata=body.metadata, spec=again)])
    assert not other.faults
    assert other.announcements == found.announcements
    assert (other.routes, other.peers) == (found.routes, found.peers)
    assert all(item.term > 0 for item in found.announcements.values())


def ledger(data: bytes) -> None:
    """An AddressLedger, as the controller reads it; then addresses are given by it."""
    body = taken(resources.AddressLedger, changed(LEDGER, Choices(data)))
    if body is None:
        return
    held: dict[Any, Holding] = {}
    for text, entry in body.spec.entries.items():
        try:
            holding = holding_from_entry(text, entry)
        except AddressError as error:
            assert str(error)
            continue
        assert holding_from_entry(str(holding.address), entry_from_holding(holding)) == holding
        held[holding.address] = holding
    _decide(SERVICE, held)


def service(data: bytes) -> None:
    """A Service, as the controller reads it: what it asks for is given, or refused in words."""
    _decide(changed(SERVICE, Choices(data)), {})


def _decide(body: Any, held: dict[Any, Holding]) -> None:
    found = taken(resources.Service, body)
    if found is None:
        return
    noun = kube.service(found)
    config = _validated().config
    cluster = Cluster(config=config, services={noun.key: noun})
    result = allocate(cluster, held, NOW)
    assert set(result.granted) | set(result.refused) <= {noun.key}
    if noun.wants_address:
        assert noun.key in result.granted or noun.key in result.refused
    settle(result, cluster.services, held, NOW)


@lru_cache(maxsize=1)
def _validated() -> Any:
    return validate(_objects(OBJECTS))


KINDS: dict[str, type[Any]] = {
    "pools": resources.IPAddressPool,
    "l2_advertisements": resources.L2Advertisement,
    "bgp_advertisements": resources.BGPAdvertisement,
    "peers": resources.BGPPeer,
    "bfd_profiles": resources.BFDProfile,
    "communities": resources.Community,
}


def _objects(bodies: Any) -> Objects:
    found = {
        kind: tuple(
            item for body in bodies.get(kind) or () if (item := taken(struct, body)) is not None
        )
        for kind, struct in KINDS.items()
    }
    return Objects(**found)


def configuration(data: bytes) -> None:
    """Objects of metallb.io with their annotations: what is wrong is said."""
    bodies = changed(OBJECTS, Choices(data))
    lists = {key: value for key, value in bodies.items() if isinstance(value, list)}
    found = validate(_objects(lists))
    for problem in found.problems:
        _told(problem)
    names = [pool.name for pool in found.config.pools]
    assert len(names) >= len(set(names))


def report(data: bytes) -> None:
    """A SpeakerReport, as the controller and a speaker read it."""
    choices = Choices(data)
    body = changed(REPORT, choices)
    found = taken(resources.SpeakerReport, body)
    if found is not None:
        kube.boots([found]), kube.links([found]), kube.shy_addresses([found])
        kube.doubts([found]), sight_reports.read_sights(found), sight_reports.read_answers(found)
        claims = kube.claims([found])
        announced = read_slices([msgspec.convert(SLICE, resources.AnnouncementSlice)])
        standing = standings(announced.announcements.values(), claims, {})
        terms = {address: item.term for address, item in announced.announcements.items()}
        assert all(item.term < terms[address] + 2**21 for address, item in standing.items())
    asked = taken(resources.AskedReport, body)
    if asked is not None:
        for item in sight_reports.asked(asked):
            assert 0 < len(item.id) <= 64


def state(data: bytes) -> None:
    """The speaker's file: octets at first, fields of a sound one afterwards."""
    choices = Choices(data)
    sound = {"version": 1, "node": "n1", "cluster": "c", "slices": [SLICE], "boot": 7}
    sound["claims"] = [{"address": "192.0.2.1", "term": 3, "epoch": 1, "firm": True}]
    whole = choices.rest() if choices.flag() else json.dumps(changed(sound, choices)).encode()
    with _Quiet(), tempfile.TemporaryDirectory(dir=_memory()) as folder:
        path = Path(folder, "state.json")
        path.write_bytes(whole)
        file = StateFile(Path(folder), "n1", "c")
        found = file.read()
        boot = file.next_boot(1000)
        assert boot >= 1000
        after = StateFile(Path(folder), "n1", "c").read()
        assert after is not None
        assert after.boot == boot
        if found is not None:
            assert (after.slices, after.claims) == (found.slices, found.claims)
            read_slices(found.slices)


class _Quiet:
    """What is said of a file that cannot be read is not for the fuzzer's terminal."""

    def __enter__(self) -> None:
        logging.disable(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        logging.disable(logging.NOTSET)


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


OBJECT_TARGETS: dict[str, Callable[[bytes], None]] = {
    "slices": slices,
    "ledger": ledger,
    "service": service,
    "configuration": configuration,
    "report": report,
    "state": state,
}
