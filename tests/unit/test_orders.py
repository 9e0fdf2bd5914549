"""Orders to move: carried out, refused, told once and taken away."""

from __future__ import annotations

from typing import Any

import pytest

from bellmetal import kube, resources
from bellmetal.api import ApiError
from bellmetal.cluster import Cluster
from bellmetal.fulfilment import PATIENCE, Fulfilment
from bellmetal.intents import (
    Announcement,
    Intents,
    ServiceId,
    Withheld,
    WithheldReason,
)
from bellmetal.notices import Notices
from bellmetal.orders import Verdict, judge
from bellmetal.world import World
from bellmetal.writer import Writer
from builders import addresses, announcement, cluster, node_set, service, service_object
from noted import Noted
from small_api import SmallApi

PATH = "/api/v1/namespaces/shop/services/web"
TEN, ELEVEN = addresses("192.0.2.10", "192.0.2.11")
WEB = service("shop/web", move_to="n2")
IDS = {
    key: ServiceId(*key.split("/"), f"uid-{key.replace('/', '-')}")
    for key in ("shop/web", "shop/api")
}
BOTH = (IDS["shop/web"], IDS["shop/api"])


def verdict(
    world: Cluster, *announcements: Announcement, withheld: tuple[Withheld, ...] = ()
) -> Any:
    before = {item.address: announcement(str(item.address), "n1") for item in announcements}
    found = judge(world, Intents(announcements, (node_set(),), withheld), before)
    assert len(found) <= 1
    return found[0] if found else None


def test_no_order_no_verdict() -> None:
    assert verdict(cluster(service("shop/web")), announcement()) is None


def test_who_is_not_ours_is_not_looked_at() -> None:
    assert verdict(cluster(service("shop/web", move_to="n2", ours=False))) is None


@pytest.mark.parametrize(
    ("announcements", "moved", "refused"),
    [
        pytest.param([announcement(owner="n2")], ((TEN, "n1"),), (), id="carried out"),
        pytest.param(
            [announcement(owner="n2"), announcement("192.0.2.11", "n2")],
            ((TEN, "n1"), (ELEVEN, "n1")),
            (),
            id="all its addresses",
        ),
        pytest.param(
            [announcement(owner="n2"), announcement("192.0.2.11", "n1")],
            ((TEN, "n1"),),
            ("192.0.2.11 stays on n1: n2 does not qualify",),
            id="one of two",
        ),
        pytest.param([], (), ("the Service has no address",), id="no address"),
    ],
)
def test_what_became_of_it(
    announcements: list[Announcement], moved: tuple[Any, ...], refused: tuple[str, ...]
) -> None:
    assert verdict(cluster(WEB), *announcements) == Verdict(WEB, "n2", moved, refused)


def test_it_is_there_already() -> None:
    world = cluster(service("shop/web", move_to="n1"))
    assert verdict(world, announcement(owner="n1")) == Verdict(world.services["shop/web"], "n1")


def test_a_node_that_is_not_there() -> None:
    world = cluster(service("shop/web", move_to="n9"))
    found = verdict(world, announcement(owner="n1"))
    assert found.refused == ("192.0.2.10 stays on n1: the cluster has no node n9",)


def test_a_service_that_is_not_announced_is_not_moved() -> None:
    no = Withheld("shop/web", TEN, WithheldReason.NO_ENDPOINTS, "no endpoint serves")
    found = verdict(cluster(WEB), withheld=(no,))
    assert found.refused == ("192.0.2.10 is not announced: no endpoint serves",)


def test_who_shares_an_address_and_wants_it_elsewhere_is_named() -> None:
    world = cluster(WEB, service("shop/api", move_to="n3"))
    shared = announcement(owner="n3", services=BOTH)
    found = judge(world, Intents((shared,), (), ()), {TEN: announcement(owner="n1")})
    assert [item.refused for item in found] == [
        ("192.0.2.10 stays on n3: shop/api, which shares it, asks for n3",),
        (),
    ]


# --- carrying it out ------------------------------------------------------------------------------


class Desk:
    """A Service shop/web with an order, and what is told about it."""

    def __init__(self) -> None:

        self.api, self.world, self.events = SmallApi(), World("", False), Noted()
        body = service_object(meta={"annotations": {"bellmetal.io/move-to": "n2", "a": "b"}})
        self.api.put(PATH, body)
        self.world.services.take(body)
        self.writer = Writer(self.api, "metallb-system", self.world.slices)
        self.later: list[float] = []
        notices = Notices(self.world, self.events)
        self.fulfilment = Fulfilment(self.world, self.writer, notices, self.later.append)

    async def settle(self, *verdicts: Verdict, now: float = 0.0) -> list[str]:
        self.events.lines.clear()
        await self.fulfilment.settle(verdicts, now)
        return list(self.events.lines)

    def owned_by(self, *nodes: str) -> None:

        for name in nodes:
            status = resources.ServiceL2StatusStatus(name, "web", "shop")
            meta = resources.Metadata(f"l2-{name}", "metallb-system")
            self.world.l2_statuses.take(resources.ServiceL2Status(metadata=meta, status=status))

    @property
    def annotations(self) -> dict[str, str]:
        found: dict[str, str] = self.api.objects[PATH]["metadata"]["annotations"]
        return found


MOVED = Verdict(WEB, "n2", ((TEN, "n1"),))
REFUSED = Verdict(WEB, "n2", (), ("192.0.2.10 stays on n1: n2 does not qualify",))


async def test_the_order_alone_is_taken_away_by_a_write_of_the_status() -> None:
    desk = Desk()
    await desk.settle(MOVED)
    assert desk.annotations == {"a": "b"}
    assert [(item.method, item.path) for item in desk.api.writes()] == [("PATCH", f"{PATH}/status")]


async def test_that_it_moved_is_told_once_the_new_owner_says_so() -> None:
    desk = Desk()
    desk.owned_by("n1")
    assert await desk.settle(MOVED) == []
    assert desk.later == [PATIENCE]
    desk.owned_by("n2")
    assert await desk.settle(now=0.1) == [
        "Service/web Normal AddressMoved: 192.0.2.10 moved from n1 to n2:"
        " asked for by bellmetal.io/move-to"
    ]
    assert await desk.settle(now=0.2) == []


async def test_a_new_owner_that_says_nothing_is_told_of() -> None:
    desk = Desk()
    assert await desk.settle(MOVED) == []
    assert await desk.settle(now=PATIENCE - 1) == []
    assert await desk.settle(now=PATIENCE) == [
        "Service/web Warning MoveRefused: 192.0.2.10 should have moved from n1 to n2 (asked for by"
        " bellmetal.io/move-to), but n2 does not answer for it 10 s later"
    ]


async def test_a_refusal_is_told_and_the_order_withdrawn() -> None:
    desk = Desk()
    assert await desk.settle(REFUSED) == [
        "Service/web Warning MoveRefused: not moved to n2: 192.0.2.10 stays on n1: n2 does not"
        " qualify; the order (bellmetal.io/move-to) is withdrawn"
    ]
    assert desk.annotations == {"a": "b"}


async def test_an_order_that_comes_again_is_told_of_again() -> None:
    desk = Desk()
    first = await desk.settle(REFUSED)
    desk.annotations["bellmetal.io/move-to"] = "n2"
    assert await desk.settle(REFUSED) == first != []


async def test_an_order_for_where_it_is_already_just_goes() -> None:
    desk = Desk()
    assert await desk.settle(Verdict(WEB, "n2")) == []
    assert desk.annotations == {"a": "b"}


async def test_an_order_that_was_changed_meanwhile_stays() -> None:
    desk = Desk()
    desk.annotations["bellmetal.io/move-to"] = "n3"
    assert await desk.settle(REFUSED) == []
    assert desk.annotations["bellmetal.io/move-to"] == "n3"


async def test_what_cannot_be_written_is_told_when_it_can() -> None:
    desk = Desk()
    desk.api.refuse[f"{PATH}/status"] = ApiError(500, "InternalError", "no")
    with pytest.raises(ApiError):
        await desk.settle(REFUSED)
    assert desk.events.lines == []
    desk.api.refuse.clear()
    assert len(await desk.settle(REFUSED)) == 1


def test_an_order_is_taken_as_it_is_written() -> None:
    """Else it would not be found again when it is to be taken away."""
    body = service_object(meta={"annotations": {"bellmetal.io/move-to": " n2"}})
    assert kube.service(body).move_to == " n2"
