"""Who lives: kinship (SWIM with Lifeguard) behind a small interface.

Timings for 1 to a few hundred nodes on a LAN: a probe every 100 ms, a dead member is known as
dead after about half a second. Encrypted with a key that is derived from the shared secret; each
member tells in its metadata which key is its newest, so that all know when all have it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping

import kinship

from bellmetal.announcer import Liveness
from bellmetal.keyring import Ring, key_id
from bellmetal.settings import SettingsError

log = logging.getLogger(__name__)

CLUSTER = "bellmetal"
LEAVE = 1.0  # seconds that a goodbye may take to spread
SEED_EVERY = 1.0  # seconds between two tries to reach nodes that never answered
PURPOSE = "gossip"  # what its keys are derived for
KEY = "key"  # in a member's metadata: the id of the newest key that it has

STATES = {
    kinship.State.ALIVE: Liveness.ALIVE,
    kinship.State.SUSPECT: Liveness.ALIVE,
    kinship.State.DEAD: Liveness.DEAD,
    kinship.State.LEFT: Liveness.LEFT,
}


class MembersError(SettingsError):
    """Gossip cannot begin: the shared secret or the address cannot be used."""


class Gossip:
    """Membership of this node. ``seed`` says where the others are; use as ``async with``."""

    def __init__(self, node: str, address: str, port: int, ring: Ring) -> None:
        self.node, self._port, self._ring = node, port, ring
        host = f"[{address}]" if ":" in address else address
        self._installed = ring.keys(PURPOSE).believed
        self._in_use = self._installed[0]
        self._tells = ring.newest_id
        try:
            config = self._config(f"{host}:{port}")
        except kinship.ConfigError as error:
            raise MembersError(f"gossip on {host}:{port}: {error}") from error
        self._cluster = kinship.Cluster(config)
        self._on_change: list[Callable[[str, Liveness], None]] = []
        self._channels: dict[int, Callable[[bytes], None]] = {}
        self._seeds: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def _config(self, bind: str) -> kinship.Config:
        keys = [_text(key) for key in self._installed if key]
        return kinship.Config.lan(
            name=self.node,
            bind=bind,
            cluster=CLUSTER,
            keys=keys,
            insecure_plaintext=not keys,
            meta={KEY: self._tells},
            probe_interval=0.1,
            probe_timeout=0.08,
            gossip_interval=0.05,
            suspicion_mult=3,
            suspicion_max_mult=2,
            push_pull_interval=5.0,
            reconnect_interval=0.3,
            rejoin_interval=5.0,
            runtime_threads=1,
        )

    async def __aenter__(self) -> Gossip:
        kinship.log_to_python()
        try:
            await self._cluster.start()
        except (kinship.KinshipError, OSError) as error:
            raise MembersError(f"gossip: {error}") from error
        self._start(self._listen())
        self._start(self._reach())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(kinship.KinshipError):
            await self._cluster.leave(timeout=LEAVE)
        await self._cluster.close()

    def seed(self, nodes: Mapping[str, str]) -> None:
        """Other nodes: name → address. Those that gossip does not know yet are joined."""
        self._seeds = {name: ip for name, ip in nodes.items() if name != self.node and ip}

    def liveness(self, node: str) -> Liveness:
        """What gossip says of a node now."""
        member = self._cluster.member(node)
        return Liveness.UNKNOWN if member is None else STATES[member.state]

    def states(self) -> dict[str, int]:
        """How many nodes of the cluster are in which state, this one included."""
        known = Counter(self.liveness(name).value for name in {*self._seeds, self.node})
        return {state.value: known[state.value] for state in Liveness}

    def channel(self, number: int) -> Channel:
        """Messages of one announcer, told apart by their first byte."""
        return Channel(self, number)

    def send(self, node: str, data: bytes) -> None:
        """Best effort."""
        self._start(self._send(node, data))

    async def _send(self, node: str, data: bytes) -> None:
        try:
            await self._cluster.send(node, data)
        except (kinship.KinshipError, ValueError) as error:
            log.debug("no message to %s: %s", node, error)

    def _start(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reach(self) -> None:
        """Joins nodes that are named by the slices and unknown to gossip."""
        while True:
            unknown = [
                f"[{ip}]:{self._port}" if ":" in ip else f"{ip}:{self._port}"
                for name, ip in self._seeds.items()
                if self.liveness(name) is Liveness.UNKNOWN
            ]
            if unknown:
                try:
                    await self._cluster.join(unknown)
                except kinship.KinshipError:
                    await self._try_another_key()
            await asyncio.sleep(SEED_EVERY)

    # --- keys ------------------------------------------------------------------------------------

    def told_keys(self) -> dict[str, str]:
        """The id of the newest key of each living member but this one, as it says."""
        others = (item for item in self._cluster.members() if item.name != self.node)
        return {item.name: item.meta.get(KEY, "") for item in others}

    async def rotate(self, now: float) -> None:
        """Reads with all keys of the ring, and sends with the newest once all can read it."""
        believed = self._ring.keys(PURPOSE).believed
        if not believed[0]:
            return
        keyring = self._cluster.keyring
        try:
            for key in believed:
                if key not in self._installed:
                    await keyring.install(key)
                    self._installed += (key,)
            if self._tells != self._ring.newest_id:  # only now: it can be read here
                await self._cluster.update_meta(**{KEY: self._ring.newest_id})
                self._tells = self._ring.newest_id
            key = self._ring.sending(self.told_keys(), self._in_use, now)
            if key != self._in_use:
                await self._use(key)
                log.info("gossip uses key %s", key_id(key).hex(), extra={"event": "keyUsed"})
            for key in self._installed:
                if key not in believed and key != self._in_use:
                    await keyring.remove(key)
                    self._installed = tuple(item for item in self._installed if item != key)
        except kinship.KinshipError as error:  # tried again at the next look
            log.warning("gossip keeps its key: %s", error, extra={"event": "keyKept"})

    async def _use(self, key: bytes) -> None:
        await self._cluster.keyring.use(key)
        self._in_use = key

    async def _try_another_key(self) -> None:
        """While nobody answers: the others may still be at the key before."""
        keys = [key for key in self._ring.keys(PURPOSE).signing if key in self._installed]
        if len(keys) > 1 and not self.told_keys():
            after = keys.index(self._in_use) + 1 if self._in_use in keys else 0
            with contextlib.suppress(kinship.KinshipError):
                await self._use(keys[after % len(keys)])

    async def _listen(self) -> None:
        async for event in self._cluster.events():
            match event:
                case kinship.UserMessage(data=data):
                    receive = self._channels.get(data[0]) if data else None
                    if receive is not None:
                        receive(data[1:])
                case kinship.EventsLost():
                    for member in self._cluster.members():
                        self._tell(member)
                case kinship.NameConflict(member=member, other_addr=other):
                    log.error("two members call themselves %s: also %s", member.name, other)
                case _:
                    self._tell(event.member)

    def _tell(self, member: kinship.Member) -> None:
        for on_change in self._on_change:
            on_change(member.name, STATES[member.state])

    def _subscribe(
        self,
        number: int,
        on_change: Callable[[str, Liveness], None],
        on_message: Callable[[bytes], None],
    ) -> None:
        self._on_change.append(on_change)
        self._channels[number] = on_message


class Channel:
    """One announcer's view of the members (`announcer.Members`)."""

    def __init__(self, gossip: Gossip, number: int) -> None:
        self._gossip, self._number = gossip, number

    def liveness(self, node: str) -> Liveness:
        """What gossip says of a node now."""
        return self._gossip.liveness(node)

    def subscribe(
        self, on_change: Callable[[str, Liveness], None], on_message: Callable[[bytes], None]
    ) -> None:
        """Be told of changes and messages."""
        self._gossip._subscribe(self._number, on_change, on_message)

    def send(self, node: str, data: bytes) -> None:
        """Best effort."""
        self._gossip.send(node, bytes([self._number]) + data)


class Alone:
    """Members of a speaker without gossip: nobody is known (`announcer.Members`)."""

    def liveness(self, node: str) -> Liveness:
        """Nothing is known of anybody."""
        return Liveness.UNKNOWN

    def subscribe(
        self, on_change: Callable[[str, Liveness], None], on_message: Callable[[bytes], None]
    ) -> None:
        """There is nothing to be told."""

    def send(self, node: str, data: bytes) -> None:
        """There is nobody to send to."""


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()
