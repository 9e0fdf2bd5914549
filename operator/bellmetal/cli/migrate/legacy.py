"""MetalLB's configuration before 0.13 (the ConfigMap `config`) as typed values, or a sentence.

May live here: its keys, and where it is found. May not: what it becomes (`conversion.py`).
Scalars are read as text first, as numbers in quotes and passwords without them were taken then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import yaml
from msgspec import Struct, field, inspect

from bellmetal.cli.files import FileError, form, load, places
from bellmetal.cli.proposal import strangers

KEY = "config"  # in the ConfigMap's data
TOP = ("peers", "address-pools", "bgp-communities", "bfd-profiles", "peer-autodiscovery")


class Kebab(Struct, rename="kebab", frozen=True):
    """Base of all of them: keys with hyphens."""


class OldExpression(Kebab, frozen=True):
    """peers[].node-selectors[].match-expressions[]."""

    key: str = ""
    operator: str = ""
    values: list[str] = field(default_factory=list)


class OldSelector(Kebab, frozen=True):
    """peers[].node-selectors[]."""

    match_labels: dict[str, str] = field(default_factory=dict)
    match_expressions: list[OldExpression] = field(default_factory=list)


class OldPeer(Kebab, frozen=True):
    """peers[]. Hides its password."""

    my_asn: int = 0
    peer_asn: int = 0
    peer_address: str = ""
    source_address: str = ""
    peer_port: int = 0
    hold_time: str = ""
    keepalive_time: str = ""
    router_id: str = ""
    node_selectors: list[OldSelector] = field(default_factory=list)
    password: str = ""
    bfd_profile: str = ""
    ebgp_multihop: bool = False

    def __repr__(self) -> str:
        return f"OldPeer({self.peer_address!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("peer_address", self.peer_address)]


class OldAdvertisement(Kebab, frozen=True):
    """address-pools[].bgp-advertisements[]."""

    aggregation_length: int | None = None
    aggregation_length_v6: int | None = field(name="aggregation-length-v6", default=None)
    localpref: int | None = None
    communities: list[str] = field(default_factory=list)


class OldPool(Kebab, frozen=True):
    """address-pools[]."""

    name: str = ""
    protocol: str = ""
    addresses: list[str] = field(default_factory=list)
    avoid_buggy_ips: bool = False
    auto_assign: bool = True
    bgp_advertisements: list[OldAdvertisement] = field(default_factory=list)


class OldProfile(Kebab, frozen=True):
    """bfd-profiles[]; intervals in milliseconds."""

    name: str = ""
    receive_interval: int | None = None
    transmit_interval: int | None = None
    detect_multiplier: int | None = None
    echo_interval: int | None = None
    echo_mode: bool | None = None
    passive_mode: bool | None = None
    minimum_ttl: int | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the input: the path of the field, and a sentence."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class Old:
    """The old configuration; what could not be read is among the faults. By index of the input."""

    peers: dict[int, OldPeer]
    pools: dict[int, OldPool]
    communities: dict[str, str]
    profiles: dict[int, OldProfile]
    autodiscovery: bool = False
    lost_profiles: frozenset[str] = frozenset()  # names of those that could not be read
    faults: tuple[Fault, ...] = ()


# --- finding it ----------------------------------------------------------------------------------


def read_source(name: str) -> Any:
    """The configuration as it stands in a file, bare, in its ConfigMap or in a List; raises
    FileError."""
    found = [item for source in places(name) for item in _in_source(*source)]
    if not found:
        raise FileError(f"{name}: no configuration of MetalLB in it: {', '.join(TOP[:4])}")
    if len(found) > 1:
        first, second = found[0][0], found[1][0]
        raise FileError(f"{first} and {second}: both have a configuration; give one of them")
    return found[0][1]


def read_config_map(place: str, body: Any) -> Any:
    """The configuration in a ConfigMap; raises FileError."""
    text = (body.get("data") or {}).get(KEY)
    if not isinstance(text, str):
        raise FileError(f'{place}: ConfigMap data: has no key "{KEY}"')
    where = f"{place}, data.{KEY}"
    found = [item for _, item in load(where, text.encode(), yaml.BaseLoader)]
    if len(found) != 1:
        raise FileError(f"{where}: has {len(found)} YAML documents, and one is expected")
    return found[0]


def _in_source(name: str, data: bytes) -> Iterator[tuple[str, Any]]:
    for place, body in load(name, data, yaml.BaseLoader):
        if not isinstance(body, dict):
            raise FileError(f"{place}: is {form(body)}, not an object")
        yield from _in_object(place, body)


def _in_object(place: str, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    kind = body.get("kind", "")
    if kind == "ConfigMap":
        yield place, read_config_map(place, body)
    elif isinstance(kind, str) and kind.endswith("List"):
        for number, item in enumerate(body.get("items") or [], 1):
            if isinstance(item, dict) and KEY in (item.get("data") or {}):
                yield from _in_object(f"{place}, item {number}", item)
    elif kind:
        raise FileError(f"{place}: is a {kind}; a ConfigMap or what stands in it is expected")
    else:
        yield place, body


# --- reading it ----------------------------------------------------------------------------------


def parse(body: Any) -> Old:
    """All that can be read, and every fault, one for each object at least."""
    if not isinstance(body, dict):
        raise FileError(f"the configuration: is {form(body)}, not an object")
    faults: list[Fault] = []
    for key in body:
        if key not in TOP:
            faults.append(Fault(key, f"unknown field; there are {', '.join(TOP)}"))
    profiles = _items(body, "bfd-profiles", OldProfile, faults)
    given = body.get("bfd-profiles")
    items = given if isinstance(given, list) else []
    named = {str(item["name"]) for item in items if isinstance(item, dict) and "name" in item}
    return Old(
        _items(body, "peers", OldPeer, faults),
        _items(body, "address-pools", OldPool, faults),
        _aliases(body, faults),
        profiles,
        "peer-autodiscovery" in body,
        frozenset(named - {item.name for item in profiles.values()}),
        tuple(faults),
    )


T = TypeVar("T", bound=Kebab)


def _items(body: Any, key: str, kind: type[T], faults: list[Fault]) -> dict[int, T]:
    values = body.get(key) or []
    if not isinstance(values, list):
        faults.append(Fault(key, f"is {form(values)}, not a list"))
        return {}
    found = {}
    for index, value in enumerate(values):
        path = f"{key}[{index}]"
        said = _given(value)
        faults += [Fault(*item) for item in strangers(said, inspect.type_info(kind), path)]
        try:
            found[index] = msgspec.convert(said, kind, strict=False)
        except msgspec.ValidationError as error:
            message, _, where = str(error).replace("`", "").partition(" - at $")
            faults.append(
                Fault(path + where, f"cannot be read: {message[:1].lower()}{message[1:]}")
            )
    return found


def _given(value: Any) -> Any:
    """Without the keys that have nothing behind them."""
    if isinstance(value, list):
        return [_given(item) for item in value]
    if isinstance(value, dict):
        return {key: _given(item) for key, item in value.items() if item != ""}
    return value


def _aliases(body: Any, faults: list[Fault]) -> dict[str, str]:
    found = body.get("bgp-communities") or {}
    if not isinstance(found, dict):
        faults.append(Fault("bgp-communities", f"is {form(found)}, not an object"))
        return {}
    for name, value in found.items():
        if not isinstance(value, str):
            faults.append(Fault(f"bgp-communities.{name}", f"is {form(value)}, not a text"))
    return {name: value for name, value in found.items() if isinstance(value, str)}
