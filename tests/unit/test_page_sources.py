"""Where the page's situations come from: a controller's world, or a survey; and its flags."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bellmetal.api import ApiError
from bellmetal.config import OnOrphan
from bellmetal.ledger import Ledger
from bellmetal.page.inside import Inside
from bellmetal.page.sources import Survey
from bellmetal.settings import Common, ControllerSettings, parse
from bellmetal.survey import Told
from bellmetal.viewing import UiSettings
from bellmetal.world import World
from builders import node_object, pool_object, service_object
from small_api import SmallApi

SYSTEM = "metallb-system"
CONFIGURATION = f"/apis/metallb.io/v1beta1/namespaces/{SYSTEM}"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/bellmetal-controller"
PODS = f"/api/v1/namespaces/{SYSTEM}/pods"
EVENTS = f"/api/v1/namespaces/{SYSTEM}/events"


def raw(body: object) -> Any:
    return msgspec.json.decode(msgspec.json.encode(body))


class Cluster(SmallApi):
    """A Service, a pool, a peer, a Lease; a controller's world of it."""

    identity = "controller-1"

    def __init__(self) -> None:
        super().__init__()
        self.put(f"/api/v1/namespaces/{SYSTEM}", {"metadata": {"name": SYSTEM}})
        self.put("/api/v1/nodes/n1", raw(node_object("n1")))
        self.put(f"{CONFIGURATION}/ipaddresspools/lan", raw(pool_object("lan", "192.0.2.0/24")))
        self.put("/api/v1/namespaces/shop/services/web", raw(service_object("shop/web")))
        peer = {"myASN": 64512, "peerASN": 64513, "peerAddress": "10.0.9.1"}
        self.put(
            f"/apis/metallb.io/v1beta2/namespaces/{SYSTEM}/bgppeers/rack",
            {"metadata": {"name": "rack", "namespace": SYSTEM}, "spec": peer},
        )
        spec = {
            "holderIdentity": "controller-2",
            "leaseDurationSeconds": 4,
            "renewTime": "2026-06-01T11:59:59Z",
        }
        self.put(LEASE, {"metadata": {"name": "bellmetal-controller"}, "spec": spec})
        event = {
            "metadata": {"name": "rack.1", "namespace": SYSTEM},
            "involvedObject": {"kind": "BGPPeer", "name": "rack"},
            "message": "lost",
        }
        self.put(f"{EVENTS}/rack.1", event)
        self.leading = True
        self.world, self.ledger = World("", False), Ledger(self, SYSTEM)

    def asked(self) -> list[str]:
        return [item.path for item in self.requests]


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("inside", "sources"):
        monkeypatch.setattr(f"bellmetal.page.{module}.timestamp", lambda: "2026-06-01T12:00:00Z")


def settings() -> ControllerSettings:
    common = Common(SYSTEM, "controller-1", "", "info", 0, 0, "")
    return ControllerSettings(common, "", False, OnOrphan.KEEP, ui_port=8080)


async def test_a_controller_reads_only_what_it_does_not_watch() -> None:
    api = Cluster()
    await api.world.load(api, SYSTEM)
    api.requests.clear()
    look = await Inside(api, settings(), api).look()
    assert look.situation is not None
    assert list(look.situation.cluster.services) == ["shop/web"]
    assert [event.message for event in look.events] == ["lost"]
    assert sorted(api.asked()) == sorted(
        [
            PODS,
            LEASE,
            EVENTS,
            f"/apis/bellmetal.io/v1alpha1/namespaces/{SYSTEM}/bgpsessionstatuses",
            f"{CONFIGURATION}/configurationstates",
            f"{CONFIGURATION}/servicebgpstatuses",
        ]
    )
    assert api.writes() == []


async def test_a_warm_standby_reads_the_lease_alone() -> None:
    api = Cluster()
    api.leading = False
    look = await Inside(api, settings(), api).look()
    assert look.situation is None
    assert look.leader is not None
    assert (look.leader.name, api.asked()) == ("controller-2", [LEASE])


async def test_a_person_needs_no_controller() -> None:
    api = Cluster()
    look = await Survey(api, SYSTEM, "bellmetal ui", Told()).look()
    assert look.situation is not None
    assert list(look.situation.allocations.granted) == ["shop/web"]
    assert api.writes() == []
    assert not [path for path in api.asked() if "secrets" in path]


@pytest.mark.parametrize("path", [PODS, EVENTS])
async def test_what_may_not_be_read_is_said_each_time_once(path: str) -> None:
    api = Cluster()
    await api.world.load(api, SYSTEM)
    api.refuse[path] = ApiError(403, "Forbidden", f"{path} is forbidden")
    source = Inside(api, settings(), api)
    for _ in range(3):
        assert (await source.look()).unread == (f"403 Forbidden: {path} is forbidden",)


async def test_events_are_not_asked_for_where_there_is_no_peer() -> None:
    api = Cluster()
    del api.objects[f"/apis/metallb.io/v1beta2/namespaces/{SYSTEM}/bgppeers/rack"]
    await Survey(api, SYSTEM, "bellmetal ui", Told()).look()
    assert EVENTS not in api.asked()


# --- the command line -----------------------------------------------------------------------------


def test_the_flags_of_ui() -> None:
    line = ["ui", "--port", "0", "--browser", "--namespace", "ours", "--lb-class", "x"]
    assert parse(line, {}, "0") == UiSettings("ours", "x", 0, True)
    assert parse(["ui"], {"METALLB_NAMESPACE": "env"}, "0") == UiSettings("env", None, 8080, False)


@pytest.mark.parametrize("text", ["x", "-1", "65536", "٣", "8080 "])
@pytest.mark.parametrize("line", ["ui --port", "controller --ui-port"])
def test_what_is_no_port_is_refused(
    line: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flag = line.split()[1]
    with pytest.raises(SystemExit) as ended:
        parse([line.split()[0], f"{flag}={text}"], {}, "0")
    assert ended.value.code == 2
    assert f'argument {flag}: "{text}" is not a port' in capsys.readouterr().err


def test_a_controller_serves_no_page_unless_it_is_told_to() -> None:
    found = parse(["controller"], {}, "0")
    assert isinstance(found, ControllerSettings)
    assert found.ui_port == 0
    with_page = parse(["controller", "--ui-port", "8080"], {}, "0")
    assert isinstance(with_page, ControllerSettings)
    assert with_page.ui_port == 8080
