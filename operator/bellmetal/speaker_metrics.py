"""What a speaker alone exports to Prometheus: what it announces, layer 2, members, findings.

BGP and BFD are in `session_metrics`.
"""

from __future__ import annotations

from collections import Counter as Counted
from collections.abc import Callable, Container, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily

from bellmetal.addresses import IPAddress
from bellmetal.facts import Finding
from bellmetal.metrics import Tally, show

SPEAKER = CollectorRegistry()


class Announcements:
    """What this node announces, asked for when it is scraped: nothing is kept for it."""

    def __init__(self) -> None:
        self._sources: dict[tuple[str, str], Callable[[], Iterable[tuple[str, str]]]] = {}
        SPEAKER.register(self)

    def of(self, protocol: str, node: str, said: Callable[[], Iterable[tuple[str, str]]]) -> None:
        """``said()`` gives each Service's key with an address."""
        self._sources[protocol, node] = said

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What a scrape shows."""
        family = GaugeMetricFamily(
            "metallb_speaker_announced",
            "1 while this node announces the address",
            labels=["service", "protocol", "node", "ip"],
        )
        for (protocol, node), said in self._sources.items():
            for service, address in said():
                family.add_metric([service, protocol, node, address], 1)
        yield family

    def clear(self) -> None:
        """Nobody announces."""
        self._sources.clear()


ANNOUNCED = Announcements()
REQUESTS_RECEIVED = Tally(
    "metallb_layer2_requests_received",
    "Number of ARP requests and neighbour solicitations for addresses that this node owns",
    SPEAKER,
)
RESPONSES_SENT = Tally(
    "metallb_layer2_responses_sent",
    "Number of ARP replies and neighbour advertisements sent for addresses that this node owns",
    SPEAKER,
)
GRATUITOUS_SENT = Tally(
    "metallb_layer2_gratuitous_sent",
    "Number of gratuitous ARP packets and unsolicited neighbour advertisements sent",
    SPEAKER,
)
FOREIGN_HOLDERS = Gauge(
    "bellmetal_layer2_foreign_holders",
    "1 while a device that is no node has the address too, as this node sees it",
    ["ip"],
    registry=SPEAKER,
)
NOT_SEEN = Gauge(
    "bellmetal_layer2_not_seen",
    "1 while the LAN does not see the address where its owner announces it, asked by this node",
    ["ip"],
    registry=SPEAKER,
)
PROOFS = Counter(
    "bellmetal_layer2_proofs",
    "Number of questions to the LAN for addresses of other nodes, by what came of them",
    ["result"],
    registry=SPEAKER,
)
PROOF_TIME = Gauge(
    "bellmetal_layer2_last_proof_timestamp_seconds",
    "When this node last saw that the LAN sees another node's address, seconds since 1970",
    registry=SPEAKER,
)
IGNORED = Counter(
    "bellmetal_layer2_ignored",
    "Number of frames that seemed to claim one of our addresses and were not believed, by reason",
    ["reason"],
    registry=SPEAKER,
)


FINDINGS = Gauge(
    "bellmetal_speaker_findings",
    "Number of things that this speaker finds wrong and reports in its SpeakerReport, by code",
    ["code"],
    registry=SPEAKER,
)


def find(findings: Iterable[Finding]) -> None:
    """What a speaker finds wrong at this moment."""
    show(FINDINGS, Counted(item.code for item in findings))


class MembersCollector:
    """The nodes of the cluster by what gossip says of them: ``states()`` counts them."""

    def __init__(self, states: Callable[[], Mapping[str, int]]) -> None:
        self._states = states

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What a scrape shows."""
        family = GaugeMetricFamily(
            "bellmetal_members",
            "Number of nodes of the cluster by what gossip says of them on this node, itself too",
            labels=["state"],
        )
        for state, count in self._states().items():
            family.add_metric([state], count)
        yield family


# --- what announcers count -----------------------------------------------------------------------


class Counts:
    """Counts on the wire, as Prometheus shows them (`announcer.Count`)."""

    def __init__(self) -> None:
        self._tallies = {
            "requests_received": REQUESTS_RECEIVED,
            "responses_sent": RESPONSES_SENT,
            "gratuitous_sent": GRATUITOUS_SENT,
        }

    def __call__(self, name: str, address: IPAddress, by: int = 1) -> None:
        """So many more of it."""
        self._tallies[name].add(address, by)

    def keep(self, addresses: Container[IPAddress]) -> None:
        """Drops what was counted of all others."""
        for each in self._tallies.values():
            each.keep(addresses)


def tally(what: str, kind: str) -> None:
    """Counts what is of no address (`announcer.Context.tally`)."""
    if what == "ignored":
        IGNORED.labels(kind).inc()
    elif what == "proofs":
        PROOFS.labels(kind).inc()
        if kind == "seen":
            PROOF_TIME.set_to_current_time()
