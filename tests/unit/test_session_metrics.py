"""BGP and BFD in Prometheus: MetalLB's names, exactly; ours beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bellmetal import metrics
from bellmetal.facts import BFDState, SessionFacts
from bellmetal.session_metrics import SessionCollector
from bellmetal.speaker_metrics import SPEAKER
from bgp_facts import bfd, down, up

PEER_VRF = {"peer", "vrf"}
COUNTERS = {
    "metallb_bgp_updates_total": "updates_sent",
    "metallb_bgp_updates_total_received": "updates_received",
    "metallb_bgp_opens_sent": "opens_sent",
    "metallb_bgp_opens_received": "opens_received",
    "metallb_bgp_notifications_sent": "notifications_sent",
    "metallb_bgp_keepalives_sent": "keepalives_sent",
    "metallb_bgp_keepalives_received": "keepalives_received",
    "metallb_bgp_route_refresh_sent": "route_refresh_sent",
    "metallb_bgp_total_sent": "total_sent",
    "metallb_bgp_total_received": "total_received",
    "bellmetal_bgp_notifications_received_total": "notifications_received",
    "bellmetal_bgp_route_refresh_received_total": "route_refresh_received",
}
BFD_COUNTERS = {
    f"metallb_bfd_{name}": name
    for name in (
        "control_packet_input",
        "control_packet_output",
        "echo_packet_input",
        "echo_packet_output",
        "session_up_events",
        "session_down_events",
    )
}
TOLD = "metallb_bfd_zebra_notifications"
GAUGES = {
    "metallb_bgp_session_up": PEER_VRF,
    "metallb_bgp_announced_prefixes_total": PEER_VRF,
    "metallb_bgp_pending_prefixes_total": PEER_VRF,
    "metallb_bgp_received_prefixes_total": PEER_VRF,
    "metallb_bfd_session_up": PEER_VRF,
    "bellmetal_bgp_session_state": {"peer", "vrf", "name", "state"},
}
LINE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="([^"]*)"')
Series = dict[tuple[tuple[str, str], ...], float]


class Scrape:
    """What a scrape shows of some sessions."""

    def __init__(self) -> None:
        self.sessions: tuple[SessionFacts, ...] = ()
        self._collector = SessionCollector(lambda: self.sessions)
        SPEAKER.register(self._collector)

    def end(self) -> None:
        SPEAKER.unregister(self._collector)

    def of(self, *sessions: SessionFacts) -> dict[str, Series]:
        self.sessions = sessions
        found: dict[str, Series] = {}
        for line in metrics.exposition(SPEAKER).decode().splitlines():
            match = LINE.fullmatch(line)
            if match is not None and re.match("metallb_b|bellmetal_bgp", match[1]):
                series = found.setdefault(match[1], {})
                labels = tuple(LABEL.findall(match[2]))
                assert labels not in series, f"{line}: twice"
                series[labels] = float(match[3])
        return found

    def types(self) -> dict[str, str]:
        lines = metrics.exposition(SPEAKER).decode().splitlines()
        return dict(line.split()[2:] for line in lines if line.startswith("# TYPE metallb_b"))


@pytest.fixture
def scrape() -> Iterator[Scrape]:
    found = Scrape()
    yield found
    found.end()


def test_names_and_labels(scrape: Scrape) -> None:
    found = {
        name: {key for labels in series for key, _ in labels}
        for name, series in scrape.of(up(bfd=bfd())).items()
    }
    expected = GAUGES | dict.fromkeys([*COUNTERS, *BFD_COUNTERS, TOLD], PEER_VRF)
    assert found == expected | {"bellmetal_bgp_session_flaps_total": {"peer", "vrf", "name"}}


def test_types(scrape: Scrape) -> None:
    scrape.of(up(bfd=bfd()))
    counters = {name for name, type_ in scrape.types().items() if type_ == "counter"}
    assert counters == {
        name for name in [*COUNTERS, *BFD_COUNTERS, TOLD] if not name.startswith("bellmetal")
    }
    assert scrape.types().keys() - counters == {
        name for name in GAUGES if name.startswith("metallb")
    }


def test_every_counter_shows_its_own_number(scrape: Scrape) -> None:
    counters = {name: number for number, name in enumerate(COUNTERS.values(), start=1)}
    more = {name: number for number, name in enumerate(BFD_COUNTERS.values(), start=50)}
    found = scrape.of(up(counters=counters, bfd=bfd(counters=more)))
    shown = {name: next(iter(found[name].values())) for name in [*COUNTERS, *BFD_COUNTERS]}
    assert shown == {name: counters[of] for name, of in COUNTERS.items()} | {
        name: more[of] for name, of in BFD_COUNTERS.items()
    }


def test_bfd_tells_bgp_of_each_change(scrape: Scrape) -> None:
    counters = {"session_up_events": 3, "session_down_events": 2}
    found = scrape.of(up(bfd=bfd(counters=counters)))
    assert list(found[TOLD].values()) == [5.0]


def test_peers_have_address_and_port_and_bfd_the_address_alone(scrape: Scrape) -> None:
    found = scrape.of(
        up(remote="2001:db8::1", port=1179, vrf="red", bfd=bfd(BFDState.DOWN)),
        down(peer="other", remote="192.0.2.2"),
    )
    assert found["metallb_bgp_session_up"] == {
        (("peer", "2001:db8::1:1179"), ("vrf", "red")): 1.0,
        (("peer", "192.0.2.2:179"), ("vrf", "default")): 0.0,
    }
    assert found["metallb_bfd_session_up"] == {(("peer", "2001:db8::1"), ("vrf", "red")): 0.0}


def test_what_should_be_advertised_counts_what_is_too(scrape: Scrape) -> None:
    found = scrape.of(up(prefixes_sent=3, prefixes_pending=2))
    assert list(found["metallb_bgp_announced_prefixes_total"].values()) == [3.0]
    assert list(found["metallb_bgp_pending_prefixes_total"].values()) == [5.0]


def test_one_state_of_the_six_is_shown(scrape: Scrape) -> None:
    series = scrape.of(down())["bellmetal_bgp_session_state"]
    shown = {dict(labels)["state"]: value for labels, value in series.items()}
    assert (len(shown), shown["Active"], sum(shown.values())) == (6, 1.0, 1.0)


def test_two_peers_with_the_same_address_are_one_series(scrape: Scrape) -> None:
    found = scrape.of(down(peer="second"), up("first"))
    assert list(found["metallb_bgp_session_up"].values()) == [1.0]


def test_without_a_peer_there_is_nothing(scrape: Scrape) -> None:
    assert scrape.of() == {}
