"""Simple answers about addresses: who may lose one, who could have one. No `allocate` in here.

`Truth` is what the API server has, as nouns; `Oracle` answers about one moment of it by trying
every address of every pool.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections import Counter
from typing import Any

import msgspec

from address_edits import ADDRESSES
from bellmetal import kube, resources
from bellmetal.addresses import IPAddress, family_of, is_buggy
from bellmetal.cluster import Service, Sharing
from bellmetal.config import Config, Labelled, OnOrphan, Pool
from bellmetal.validation import Objects, validate
from simulated_cluster import POOLS, Cluster, ledger_path
from small_api import Json

# --- the truth -----------------------------------------------------------------------------------


class Truth:
    """What the API server has, as nouns; read anew when it is asked after a change."""

    def __init__(self, cluster: Cluster) -> None:
        self._objects = cluster.server.objects
        self._nouns: dict[str, tuple[str, Any]] = {}
        self._config: tuple[list[str], Config] | None = None

    def services(self) -> dict[str, Service]:
        """By uid."""
        found = {}
        for path, body in self._objects.items():
            if path.split("/")[-2] == "services":
                version = body["metadata"]["resourceVersion"]
                known = self._nouns.get(path)
                if known is None or known[0] != version:
                    noun = kube.service(msgspec.convert(body, resources.Service))
                    known = self._nouns[path] = version, noun
                found[known[1].uid] = known[1]
        return found

    def config(self) -> Config:
        paths = [path for path in self._objects if path.startswith((POOLS, "/api/v1/namespaces/"))]
        bodies = [self._objects[path] for path in paths if path.split("/")[-2] != "services"]
        versions = [body["metadata"]["resourceVersion"] for body in bodies]
        if self._config is None or self._config[0] != versions:
            self._config = versions, self._read_config()
        return self._config[1]

    def _read_config(self) -> Config:
        pools, broken = [], []
        for path, body in self._objects.items():
            if path.startswith(POOLS):
                try:
                    pools.append(msgspec.convert(body, resources.IPAddressPool))
                except msgspec.ValidationError:
                    broken.append(Pool(body["metadata"]["name"], (), broken=True))
        namespaces = {
            name: Labelled(name, {}, self._objects[path]["metadata"].get("annotations") or {})
            for name in ("shop", "bank")
            for path in [f"/api/v1/namespaces/{name}"]
            if path in self._objects
        }
        config = validate(Objects(pools=tuple(pools), namespaces=namespaces)).config
        return Config((*config.pools, *broken), quotas=config.quotas)

    def entries(self) -> dict[IPAddress, Json]:
        found = {}
        for path, body in self._objects.items():
            if ledger_path(path):
                found |= entries_of(body)
        return found

    def held(self) -> dict[str, list[IPAddress]]:
        """By uid."""
        found: dict[str, list[IPAddress]] = {}
        for address, entry in self.entries().items():
            for uid in holders_of(entry):
                found.setdefault(uid, []).append(address)
        return found


def entries_of(shard: Json | None) -> dict[IPAddress, Json]:
    found = {}
    for text, entry in ((shard or {}).get("spec", {}).get("entries") or {}).items():
        try:
            found[ipaddress.ip_address(text)] = entry
        except ValueError:
            continue  # somebody wrote rubbish there
    return found


def holders_of(entry: Json) -> list[str]:
    return [item["uid"] for item in entry.get("holders") or []]


def may_share(one: Sharing, other: Sharing) -> bool:
    same = one.key and one.key == other.key and one.backend == other.backend
    return bool(same) and not one.ports & other.ports


def pool_of(config: Config, address: IPAddress) -> Pool | None:
    for pool in config.pools:
        inside = any(address in entry for entry in pool.ranges)
        if inside and not any(address in entry for entry in pool.excluded):
            return None if pool.avoid_buggy and is_buggy(address) else pool
    return None


def seconds(then: str, now: str) -> float:
    read = datetime.datetime.fromisoformat
    return (read(now) - read(then)).total_seconds()


# --- who may lose an address, who could have one -------------------------------------------------


class Oracle:
    """Simple answers about one moment."""

    def __init__(self, truth: Truth, now: str) -> None:
        self.services, self.config = truth.services(), truth.config()
        self.entries, self.held, self.now = truth.entries(), truth.held(), now

    def excuse(self, uid: str, address: IPAddress, entry: Json) -> str:
        """Why a Service may lose an address that it holds; nothing if it must not."""
        service = self.services.get(uid)
        if service is None or not service.wants_address:
            return "it is gone, or wants none"
        if service.request.addresses and address not in service.request.addresses:
            return "it asks for others"
        if not service.request.fault:
            if service.request.pool not in ("", self._source(address, entry)):
                return "it asks for another pool"
            of_family = [a for a in self.held.get(uid, ()) if a.version == address.version]
            if family_of(address) not in service.families:
                return "it is of another family"
            if len(of_family) > service.per_family:
                return "it has too many"
        return self._clash(service, entry) or self._renumbered(service, address, entry)

    def _source(self, address: IPAddress, entry: Json) -> str:
        pool = pool_of(self.config, address)
        return pool.name if pool else entry.get("pool", "")

    def _clash(self, service: Service, entry: Json) -> str:
        agreed = {item["uid"]: item.get("sharing") or "" for item in entry.get("holders") or []}
        for uid in agreed:
            other = self.services.get(uid)
            if uid == service.uid or other is None or may_share(service.sharing, other.sharing):
                continue
            kept_word = service.sharing.digest == agreed.get(service.uid)
            if not (kept_word and other.sharing.digest != agreed[uid]):
                return "its terms are not those of the others"
        return ""

    def _renumbered(self, service: Service, address: IPAddress, entry: Json) -> str:
        pool = pool_of(self.config, address)
        if pool is not None and pool.admits(service.namespace, service.labels):
            return ""
        origin = pool or self.config.pool(entry.get("pool", ""))
        if origin is None or origin.on_orphan is not OnOrphan.RENUMBER:
            return ""
        return "" if pool is None and origin.broken else "it is to be renumbered"

    # --- who waits -------------------------------------------------------------------------------

    def users(self, address: IPAddress, but: str) -> list[Service]:
        """Who else has an address, or shows it and is not ours."""
        found = [self.services.get(uid) for uid in holders_of(self.entries.get(address, {}))]
        held = [item for item in found if item is not None and item.uid != but]
        strangers = [item for item in self.services.values() if not item.ours and item.uid != but]
        return held + [item for item in strangers if address in item.shown.addresses]

    def could_have(self, service: Service, address: IPAddress, near: set[str]) -> bool:
        """Whether a Service could have one more address; ``near``: the pools of what it has."""
        pool = pool_of(self.config, address)
        if pool is None or pool.draining or not pool.admits(service.namespace, service.labels):
            return False
        others = self.users(address, service.uid)
        if not all(may_share(service.sharing, other.sharing) for other in others):
            return False
        named = address in service.request.addresses
        if pool.reserved.get(address, service.key) != service.key:
            return named and not pool.reserved[address]
        own = pool.reserved.get(address) == service.key and not others
        if not (named or own) and self._cools(pool, service, address):
            return False
        if service.request.pool:
            return service.request.pool == pool.name
        return named or own or pool.auto_assign or pool.name in near

    def _cools(self, pool: Pool, service: Service, address: IPAddress) -> bool:
        entry = self.entries.get(address, {})
        if not entry.get("freedAt") or holders_of(entry):
            return False
        last = entry.get("lastHolder") or {}
        mine = f"{last.get('namespace')}/{last.get('name')}" == service.key
        try:
            return not mine and seconds(entry["freedAt"], self.now) < pool.cool_down
        except ValueError:
            return False

    def overlooked(self, service: Service) -> str:
        """What a Service waits for although it could have it."""
        if not service.wants_address or service.request.fault:
            return ""
        if service.family_policy == "RequireDualStack" and len(service.families) < 2:
            return ""
        if service.namespace in self.config.quotas:
            return ""
        has = self.held.get(service.uid, [])
        if service.request.addresses:
            return self._overlooked_request(service, has)
        return self._overlooked_any(service, has)

    def _overlooked_request(self, service: Service, has: list[IPAddress]) -> str:
        wanted = service.request.addresses
        counts = Counter(map(family_of, wanted))
        sound = counts.keys() == set(service.families) and len(set(wanted)) == len(wanted)
        if set(wanted) == set(has) or not sound or max(counts.values()) > service.per_family:
            return ""
        if all(self.could_have(service, address, set()) for address in wanted):
            return f"could have {', '.join(map(str, wanted))}"
        return ""

    def _overlooked_any(self, service: Service, has: list[IPAddress]) -> str:
        wanted = service.request.pool
        source = {address: self._source(address, self.entries[address]) for address in has}
        fits = [address for address in has if wanted in ("", source[address])]
        fits = [address for address in fits if family_of(address) in service.families]
        missing = Counter(dict.fromkeys(service.families, service.per_family))
        missing.subtract(map(family_of, fits))
        missing = +missing
        near = {source[address] for address in fits}
        free = [
            address
            for address in map(ipaddress.ip_address, ADDRESSES)
            if address not in has
            and missing[family_of(address)]
            and self.could_have(service, address, near)
        ]
        there = Counter(map(family_of, free))
        whole = service.family_policy == "RequireDualStack" and not fits
        if whole or len(fits) < len(has):
            enough = all(there[family] >= number for family, number in missing.items())
            return f"could have of {list(map(str, free))}" if missing and enough else ""
        return f"could have {free[0]}" if free else ""
