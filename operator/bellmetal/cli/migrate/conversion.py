"""The old configuration → objects of today, each with where it comes from and what to know of it.

May live here: which field becomes which. May not: reading (`legacy.py`), printing (`config.py`),
rules of configuration: those are the controller's own (`validation`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from bellmetal import resources
from bellmetal.cli.files import Json
from bellmetal.cli.migrate.legacy import (
    Fault,
    Old,
    OldAdvertisement,
    OldExpression,
    OldPeer,
    OldPool,
    OldProfile,
    OldSelector,
)
from bellmetal.config import Problem
from bellmetal.signing import MOST_BYTES, TYPE
from bellmetal.validation import Objects, validate

GROUP = "metallb.io"
COMMUNITIES = "communities"  # the name of the one Community object
NOT_IN_NAMES = re.compile(r"[^a-z0-9.-]+")
MOST_LETTERS = 253

PEER_FIELDS = {
    "myASN": "my-asn",
    "peerASN": "peer-asn",
    "peerAddress": "peer-address",
    "sourceAddress": "source-address",
    "peerPort": "peer-port",
    "holdTime": "hold-time",
    "keepaliveTime": "keepalive-time",
    "routerID": "router-id",
    "nodeSelectors": "node-selectors",
    "matchLabels": "match-labels",
    "matchExpressions": "match-expressions",
    "bfdProfile": "bfd-profile",
    "ebgpMultiHop": "ebgp-multihop",
}
POOL_FIELDS = {"avoidBuggyIPs": "avoid-buggy-ips", "autoAssign": "auto-assign"}
ADVERTISEMENT_FIELDS = {
    "aggregationLengthV6": "aggregation-length-v6",
    "aggregationLength": "aggregation-length",
    "localPref": "localpref",
}
PROFILE_FIELDS = {
    "receiveInterval": "receive-interval",
    "transmitInterval": "transmit-interval",
    "detectMultiplier": "detect-multiplier",
    "echoInterval": "echo-interval",
    "echoMode": "echo-mode",
    "passiveMode": "passive-mode",
    "minimumTtl": "minimum-ttl",
}


@dataclass(frozen=True, slots=True)
class Made:
    """An object that was made, the path of the input that it comes from, and notes about it."""

    body: Json = field(repr=False)
    origin: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.body["metadata"]["name"])


@dataclass(frozen=True, slots=True)
class Conversion:
    """Everything that became of a configuration. ``notes``: about the whole of it."""

    made: tuple[Made, ...]
    notes: tuple[str, ...]
    faults: tuple[Fault, ...]


def convert(old: Old, namespace: str) -> Conversion:
    """Objects in the order in which they can be applied; with faults they are not to be used."""
    work = _Work(old, namespace)
    made = list(work.objects())
    problems = [item for item in judge(made) if not _consequence(item, made, old)]
    faults = [*old.faults, *work.faults, *(_trace(item, made) for item in problems)]
    return Conversion(tuple(made), tuple(_notes(old)), tuple(dict.fromkeys(faults)))


def _consequence(problem: Problem, made: Iterable[Made], old: Old) -> bool:
    """Whether it is only that a profile which could not be read is missing."""
    if (problem.kind, problem.path) != ("BGPPeer", "spec.bfdProfile"):
        return False
    named = {item.body["spec"]["bfdProfile"] for item in made if item.name == problem.name}
    return named <= old.lost_profiles


def _notes(old: Old) -> Iterator[str]:
    """What has no exact counterpart, of the whole."""
    if old.autodiscovery:
        yield (
            "peer-autodiscovery: is not converted; write a BGPPeer with the annotations"
            " bellmetal.io/peer-address-from and bellmetal.io/peer-asn-from instead"
        )
    routed = [item for item in old.pools.values() if item.protocol == "bgp"]
    if routed and not old.peers:
        yield "address-pools: some are announced by BGP, and there are no peers to announce them to"
    inside = any(peer.my_asn == peer.peer_asn for peer in old.peers.values())
    if inside and any(ad.localpref is None for pool in routed for ad in _advertisements(pool)):
        yield (
            "peers: those of the same AS were told a local preference of 0 where none is given;"
            " now they are told 100, as routers take it for none"
        )


def _advertisements(pool: OldPool) -> list[OldAdvertisement]:
    return pool.bgp_advertisements or [OldAdvertisement()]


class _Work:
    """One conversion under way."""

    def __init__(self, old: Old, namespace: str) -> None:
        self._old, self._namespace = old, namespace
        self.faults: list[Fault] = []
        self._taken: dict[str, dict[str, str]] = {}  # kind → name → the input's word for it

    def objects(self) -> Iterator[Made]:
        """All of them."""
        for index, profile in self._old.profiles.items():
            yield self._profile(f"bfd-profiles[{index}]", profile)
        if self._old.communities:
            yield self._communities(self._old.communities)
        for index, peer in self._old.peers.items():
            yield from self._peer(f"peers[{index}]", f"peer-{index + 1}", peer)
        for index, pool in self._old.pools.items():
            yield from self._pool(f"address-pools[{index}]", pool)

    def _object(self, kind: str, name: str, spec: Json, version: str = "v1beta1") -> Json:
        meta = {"name": name, "namespace": self._namespace}
        return {
            "apiVersion": f"{GROUP}/{version}",
            "kind": kind,
            "metadata": meta,
            "spec": {key: value for key, value in spec.items() if value not in (None, "", [], {})},
        }

    def _name(self, kind: str, path: str, word: str) -> tuple[str, tuple[str, ...]]:
        """A name that an object may have; a note if it is another than the input's."""
        name = NOT_IN_NAMES.sub("-", word.lower()).strip("-.")[:MOST_LETTERS]
        taken = self._taken.setdefault(kind, {})
        if not word or not name:
            message = "is missing" if not word else "has no letter or digit that a name may have"
            self.faults.append(Fault(f"{path}.name", message))
            return f"{kind.lower()}-without-name-{len(taken)}", ()
        if taken.get(name) == word:
            self.faults.append(Fault(f"{path}.name", f'"{word}" stands there twice'))
        while name in taken:
            name += "-x"
        taken[name] = word
        if name == word:
            return name, ()
        note = f'{path}.name: "{word}" cannot be the name of an object; it is called {name} now'
        if kind == "IPAddressPool":
            note += "; Services that ask for it by the annotation address-pool have to be changed"
        return name, (note,)

    # --- kinds -----------------------------------------------------------------------------------

    def _profile(self, path: str, profile: OldProfile) -> Made:
        name, notes = self._name("BFDProfile", path, profile.name)
        spec = {key: getattr(profile, old.replace("-", "_")) for key, old in PROFILE_FIELDS.items()}
        return Made(self._object("BFDProfile", name, spec), path, PROFILE_FIELDS, notes)

    def _communities(self, aliases: Mapping[str, str]) -> Made:
        spec = {"communities": [{"name": k, "value": v} for k, v in aliases.items()]}
        return Made(self._object("Community", COMMUNITIES, spec), "bgp-communities")

    def _peer(self, path: str, name: str, peer: OldPeer) -> Iterator[Made]:
        notes: tuple[str, ...] = ()
        reference = None
        if peer.password:
            secret = f"bgp-{name}"
            reference = {"name": secret}
            yield self._secret(path, secret, peer.password)
            notes = (f"{path}.password: stands in the Secret {secret} now",)
            if len(peer.password.encode()) > MOST_BYTES:
                fault = f"has more than {MOST_BYTES} bytes: the kernel takes no more"
                self.faults.append(Fault(f"{path}.password", fault))
        spec = {
            "myASN": peer.my_asn,
            "peerASN": peer.peer_asn,
            "peerAddress": peer.peer_address,
            "sourceAddress": peer.source_address,
            "peerPort": peer.peer_port or None,
            "holdTime": peer.hold_time,
            "keepaliveTime": peer.keepalive_time,
            "routerID": peer.router_id,
            "nodeSelectors": [_selector(item) for item in peer.node_selectors],
            "passwordSecret": reference,
            "bfdProfile": self._profile_name(peer.bfd_profile),
            "ebgpMultiHop": peer.ebgp_multihop or None,
        }
        yield Made(self._object("BGPPeer", name, spec, "v1beta2"), path, PEER_FIELDS, notes)

    def _secret(self, path: str, name: str, password: str) -> Made:
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": self._namespace},
            "type": TYPE,
            "stringData": {"password": password},
        }
        return Made(body, f"{path}.password")

    def _profile_name(self, word: str) -> str:
        known = self._taken.get("BFDProfile", {})
        return next((name for name, old in known.items() if old == word), word)

    def _pool(self, path: str, pool: OldPool) -> Iterator[Made]:
        name, notes = self._name("IPAddressPool", path, pool.name)
        spec: Json = {"addresses": pool.addresses}
        if not pool.auto_assign:
            spec["autoAssign"] = False
        if pool.avoid_buggy_ips:
            spec["avoidBuggyIPs"] = True
        yield Made(self._object("IPAddressPool", name, spec), path, POOL_FIELDS, notes)
        if pool.protocol == "layer2":
            yield Made(self._object("L2Advertisement", name, {"ipAddressPools": [name]}), path)
            if pool.bgp_advertisements:
                fault = 'goes with protocol "bgp" alone: MetalLB refused it, too'
                self.faults.append(Fault(f"{path}.bgp-advertisements", fault))
        elif pool.protocol == "bgp":
            yield from self._routes(path, name, pool)
        else:
            fault = f'"{pool.protocol}" is neither "layer2" nor "bgp"'
            self.faults.append(Fault(f"{path}.protocol", fault if pool.protocol else "is missing"))

    def _routes(self, path: str, name: str, pool: OldPool) -> Iterator[Made]:
        several = len(pool.bgp_advertisements) > 1
        for index, item in enumerate(_advertisements(pool)):
            spec = {
                "ipAddressPools": [name],
                "aggregationLength": item.aggregation_length,
                "aggregationLengthV6": item.aggregation_length_v6,
                "localPref": item.localpref,
                "communities": item.communities,
            }
            called = f"{name}-{index + 1}" if several else name
            where = f"{path}.bgp-advertisements[{index}]" if pool.bgp_advertisements else path
            body = self._object("BGPAdvertisement", called, spec)
            yield Made(body, where, ADVERTISEMENT_FIELDS)


def _selector(item: OldSelector) -> Json:
    found: Json = {}
    if item.match_labels:
        found["matchLabels"] = item.match_labels
    if item.match_expressions:
        found["matchExpressions"] = [_expression(one) for one in item.match_expressions]
    return found


def _expression(item: OldExpression) -> Json:
    values = {"values": item.values} if item.values else {}
    return {"key": item.key, "operator": item.operator} | values


# --- are they valid? -----------------------------------------------------------------------------


def judge(made: Iterable[Made]) -> list[Problem]:
    """What the controller would say of the objects, if there were no others."""
    found: dict[str, list[resources.Object]] = {}
    for number, item in enumerate(made):
        if item.kind == "Secret":
            continue
        body = msgspec.convert(item.body, getattr(resources, item.kind))
        # what stands first counts as the older one, of two that do not go together
        meta = msgspec.structs.replace(body.metadata, creation_timestamp=f"{number:09}")
        found.setdefault(item.kind, []).append(msgspec.structs.replace(body, metadata=meta))
    objects = Objects(
        pools=tuple(found.get("IPAddressPool", ())),  # type: ignore[arg-type]
        l2_advertisements=tuple(found.get("L2Advertisement", ())),  # type: ignore[arg-type]
        bgp_advertisements=tuple(found.get("BGPAdvertisement", ())),  # type: ignore[arg-type]
        peers=tuple(found.get("BGPPeer", ())),  # type: ignore[arg-type]
        bfd_profiles=tuple(found.get("BFDProfile", ())),  # type: ignore[arg-type]
        communities=tuple(found.get("Community", ())),  # type: ignore[arg-type]
    )
    return list(validate(objects).problems)


def _trace(problem: Problem, made: Iterable[Made]) -> Fault:
    """Where a problem comes from, in the input."""
    for item in made:
        if (item.kind, item.name) == (problem.kind, problem.name):
            return Fault(_path(item, problem.path), problem.message)
    return Fault(f"{problem.kind}/{problem.name} {problem.path}", problem.message)


def _path(item: Made, path: str) -> str:
    found = path.removeprefix("spec.")
    if item.kind == "Community":
        aliases = [alias["name"] for alias in item.body["spec"]["communities"]]
        number = re.match(r"communities\[(\d+)]", found)
        return f"{item.origin}.{aliases[int(number[1])]}" if number else item.origin
    words = re.split(r"([.\[\]])", found)
    return f"{item.origin}." + "".join(item.fields.get(word, word) for word in words)


def without_faults(conversion: Conversion) -> Conversion:
    """Nothing to apply where something is wrong: half a configuration is none."""
    return replace(conversion, made=()) if conversion.faults else conversion
