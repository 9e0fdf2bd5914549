"""`plan --lose` and `--drain`: who would announce what without some nodes."""

from __future__ import annotations

import io
import json

import pytest

from bellmetal.absence import Announcers
from bellmetal.cli.owners import NotFoundError
from bellmetal.cli.plan_absence import as_json, print_changes, without
from bellmetal.cluster import Cluster, Endpoints
from bellmetal.settings import PlanSettings, parse
from builders import advertisement, bgp_advertisement, cluster, labelled, node, peer, service
from situations import settled

WEB = service("shop/web")  # its first address is n3's, and n1 follows
LOCAL = service("shop/web", local_only=True)
ONE = {"shop/web": Endpoints(True, frozenset(["n3"]), frozenset(["n3"]))}


def foreseen(of: Cluster, *, lose: tuple[str, ...] = (), drain: tuple[str, ...] = ()) -> str:
    out = io.StringIO()
    print_changes(without(settled(of), lose, drain), out)
    return out.getvalue()


def test_a_successor_takes_over() -> None:
    assert foreseen(cluster(WEB), lose=("n3",)) == (
        "ADDRESS    SERVICE   NOW  THEN\n"
        "192.0.2.0  shop/web  n3   n1\n"
        "\n"
        "1 address is announced otherwise then\n"
    )
    assert foreseen(cluster(WEB), drain=("n3",)) == foreseen(cluster(WEB), lose=("n3",))


def test_two_nodes_at_once_leave_the_third() -> None:
    assert "shop/web  n3   n2" in foreseen(cluster(WEB), lose=("n1", "n3"))
    assert "shop/web  n3   n2" in foreseen(cluster(WEB), lose=("n1",), drain=("n3",))


@pytest.mark.parametrize("node_", ["n1", "n2"])
def test_the_loss_of_a_node_that_owns_nothing_changes_nothing(node_: str) -> None:
    said = "nothing changes: others announce what they announce now\n"
    assert foreseen(cluster(WEB), lose=(node_,)) == said


def test_what_nobody_else_may_announce_is_lost_and_says_why() -> None:
    of = cluster(
        WEB,
        advertisements=[advertisement(node_selectors=(labelled(zone="a"),))],
        nodes=["n1", node("n2", labels={"zone": "a"})],
    )
    (change,) = without(settled(of), ("n2",), ())
    assert change.lost
    assert change.why == (
        "192.0.2.0 is not announced: no usable node is selected by L2Advertisement all"
    )
    assert "1 of them by nobody" in foreseen(of, lose=("n2",))
    (kept,) = without(settled(of), (), ("n2",))
    assert (kept.stays, kept.then.owner) == ("n2", "n2")
    assert "1 cannot leave the node that drains" in foreseen(of, drain=("n2",))


def test_endpoints_die_with_their_node_and_stay_when_it_drains() -> None:
    of = cluster(LOCAL, endpoints=ONE)
    (change,) = without(settled(of), ("n3",), ())
    assert change.why == "192.0.2.0 is not announced: the Service has no endpoint that serves"
    assert "stays on n3: no other node may own it" in foreseen(of, drain=("n3",))


def test_endpoints_whose_node_is_not_known_stay() -> None:
    of = cluster(WEB, endpoints={"shop/web": Endpoints(True)})
    assert "n3   n1" in foreseen(of, lose=("n3",))


def test_routes_are_announced_by_fewer_nodes() -> None:
    of = cluster(WEB, advertisements=[], bgp=[bgp_advertisement()], peers=[peer()])
    (change,) = without(settled(of), ("n3",), ())
    assert change.now == Announcers(routed_by=frozenset(["n1", "n2", "n3"]))
    assert change.then == Announcers(routed_by=frozenset(["n1", "n2"]))
    assert "by BGP from n1, n2, n3  by BGP from n1, n2" in foreseen(of, drain=("n3",))


def test_a_route_whose_only_peer_talks_to_the_lost_node_is_lost() -> None:
    of = cluster(
        WEB,
        advertisements=[],
        bgp=[bgp_advertisement()],
        peers=[peer(node_selectors=(labelled(zone="a"),))],
        nodes=["n1", node("n2", labels={"zone": "a"})],
    )
    (change,) = without(settled(of), ("n2",), ())
    assert change.lost


def test_the_json() -> None:
    body = json.loads(as_json(without(settled(cluster(WEB)), ("n3",), ())))
    assert body == {
        "version": 1,
        "changes": [
            {
                "address": "192.0.2.0",
                "services": ["shop/web"],
                "now": {"owner": "n3", "routedBy": []},
                "then": {"owner": "n1", "routedBy": []},
                "lost": False,
                "stays": "",
                "why": "",
            }
        ],
    }


def test_a_node_that_is_not_there() -> None:
    with pytest.raises(NotFoundError) as error:
        without(settled(cluster(WEB)), ("n9",), ())
    assert str(error.value) == 'the cluster has no node "n9"; it has n1, n2, n3'


def test_what_is_typed() -> None:
    found = parse(["plan", "--lose", "n1", "--lose", "n2", "--drain", "n3"], {}, "1")
    assert isinstance(found, PlanSettings)
    assert (found.lose, found.drain) == (("n1", "n2"), ("n3",))


@pytest.mark.parametrize(
    "line", ["plan", "plan --lose n1 -f x.yaml", "plan --drain n1 --delete a/b"]
)
def test_wrong_usage_is_status_2(line: str) -> None:
    with pytest.raises(SystemExit) as error:
        parse(line.split(), {}, "1")
    assert error.value.code == 2
