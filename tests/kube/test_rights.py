"""The chart's roles are minimal: every right is used, and without it something is refused and said.

One cluster: first each right that writes is taken away in turn while everything runs, then those
that read; at the end the audit log tells whether anything else was asked for, or anything unused.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from kube.installed import place
from kube.rights import ACCOUNTS, Right, lacking, without
from kube.rights_stage import HUSH, ROWS, STATES, Cluster, cluster
from lab.programs import SECRET
from lab.waiting import until

pytestmark = pytest.mark.kube

Occasion = Callable[[Cluster], None]
OURS, THEIRS = "bellmetal.io", "metallb.io"
LEASES, SESSIONS = "coordination.k8s.io", place("BGPSessionStatus")


@pytest.fixture(scope="module")
def it() -> Iterator[Cluster]:
    with cluster() as found:
        yield found


def served(it: Cluster) -> None:
    it.served()


def deleted(path: str, name: str = "") -> Occasion:
    return lambda it: it.taken_away(path, name)


def unlabelled(path: str, label: str, name: str = "") -> Occasion:
    return lambda it: it.label_taken(path, label, name)


def edited(path: str, sub: str = "/status", name: str = "", **status: object) -> Occasion:
    return lambda it: it.edited(path, status, name, sub)


def controller(verb: str, group: str, resource: str, name: str = "") -> Right:
    return Right("controller", verb, group, resource, name)


def speaker(verb: str, group: str, resource: str) -> Right:
    return Right("speaker", verb, group, resource)


COMPONENT, NODE = "metallb.io/component-type", "metallb.io/node"
PASSWORDS, LEASE = "bellmetal-bgp-passwords", "bellmetal-controller"

# What is asked for once something happens, and what that is.
OCCASIONS: Mapping[Right, Occasion] = {
    controller("patch", "", "services/status"): served,
    controller("create", "", "events"): served,
    controller("get", "", "services"): Cluster.overwritten,
    controller("patch", THEIRS, "ipaddresspools/status"): served,
    controller("create", OURS, "addressledgers"): Cluster.other_block,
    controller("patch", OURS, "addressledgers"): served,
    controller("get", OURS, "addressledgers"): Cluster.interfaces,
    controller("delete", OURS, "addressledgers"): Cluster.forgotten,
    controller("update", OURS, "announcementslices"): served,
    controller("delete", OURS, "announcementslices"): Cluster.routes_go,
    controller("create", OURS, "announcementslices"): Cluster.routes_come,
    controller("create", THEIRS, "configurationstates"): deleted(STATES, "controller"),
    controller("patch", THEIRS, "configurationstates"): unlabelled(STATES, COMPONENT, "controller"),
    controller("patch", THEIRS, "configurationstates/status"): Cluster.wrong,
    controller("delete", THEIRS, "servicel2statuses"): Cluster.second_row,
    controller("list", THEIRS, "servicebgpstatuses"): Cluster.outdated_row,
    controller("delete", THEIRS, "servicebgpstatuses"): Cluster.outdated_row,
    controller("patch", "", "secrets", PASSWORDS): Cluster.new_password,
    controller("get", "", "secrets", PASSWORDS): Cluster.passwords_lost,
    controller("create", "", "secrets"): Cluster.passwords_lost,
    controller("create", LEASES, "leases"): Cluster.lease_lost,
    controller("get", LEASES, "leases", LEASE): Cluster.lease_lost,
    controller("update", LEASES, "leases", LEASE): lambda it: None,
    controller("list", "", "pods"): Cluster.opened,
    controller("list", "", "events"): Cluster.opened,
    speaker("create", "", "events"): served,
    speaker("patch", OURS, "speakerreports"): Cluster.looked,
    speaker("create", OURS, "speakerreports"): Cluster.report_lost,
    speaker("create", OURS, "bgpsessionstatuses"): deleted(SESSIONS),
    speaker("patch", OURS, "bgpsessionstatuses"): edited(SESSIONS, "", state="Idle"),
    speaker("delete", OURS, "bgpsessionstatuses"): Cluster.peer_goes,
    speaker("create", THEIRS, "configurationstates"): deleted(STATES, "speaker-n1"),
    speaker("patch", THEIRS, "configurationstates"): unlabelled(STATES, COMPONENT, "speaker-n1"),
    speaker("patch", THEIRS, "configurationstates/status"): edited(
        STATES, name="speaker-n1", result="Invalid"
    ),
    **{
        right: occasion
        for plural, path in ROWS.items()
        for right, occasion in (
            (speaker("create", THEIRS, plural), deleted(path)),
            (speaker("patch", THEIRS, plural), unlabelled(path, NODE)),
            (speaker("patch", THEIRS, f"{plural}/status"), served),
            (speaker("delete", THEIRS, plural), Cluster.removed),
        )
    },
}
# Rights that are not taken away here, and why.
LATE = "asked for a minute after a node has gone"
NOT_TAKEN = {
    controller("list", OURS, "bgpsessionstatuses"): LATE,
    controller("delete", OURS, "bgpsessionstatuses"): LATE,
}
# These are not tried again by themselves: a view of the page is kept for a moment, an event that
# was refused is dropped.
OFTEN = {right for right in OCCASIONS if right.resource in ("pods", "events")}
READ = ("list", "watch")


def test_every_right_is_here(it: Cluster) -> None:
    followed = {right for right in it.rights if right.verb in READ}
    assert it.rights == followed | OCCASIONS.keys() | NOT_TAKEN.keys()


@pytest.mark.parametrize("right", OCCASIONS, ids=" ".join)
def test_without_it_something_is_refused_and_said(it: Cluster, right: Right) -> None:
    it.from_here()
    occasion = OCCASIONS[right]

    def is_asked(*codes: int) -> bool:
        if right in OFTEN:
            occasion(it)
        return bool(it.asked().get(right, set()) & {*codes})

    with without(it.lab, right):
        before = it.says().count(right.refusal)
        occasion(it)
        until(partial(is_asked, 403), f"{right} is refused", every=0.2)
        until(lambda: it.says().count(right.refusal) > before, "it is said", every=0.1)
    until(lambda: it.programs.leader() == "controller-1", "it leads")
    until(partial(is_asked, 200, 201, 404), f"{right} is used once it is back", 60, every=0.2)


def test_without_watches_what_broke_is_not_watched_again_and_it_is_said(it: Cluster) -> None:
    watches = {right for right in it.rights if right.verb == "watch"}
    it.from_here()
    before = it.says()
    with without(it.lab, *watches):
        it.lab.control_plane.api_down()
        it.lab.control_plane.api_up()
        for right in sorted(watches):
            until(lambda r=right: 403 in it.asked().get(r, ()), f"{right} is refused", every=0.2)
            until(
                lambda r=right: it.says().count(r.refusal) > before.count(r.refusal),
                f"{right} is said to be missing",
                every=0.2,
            )
    for right in sorted(watches):
        until(lambda r=right: 200 in it.asked()[r], f"{right} is used once it is back", 60)


@pytest.mark.parametrize(("program", "name"), [("controller", "controller-1"), ("speaker", "n1")])
def test_without_lists_a_program_does_not_begin_and_says_why(
    it: Cluster, program: str, name: str
) -> None:
    """They are given back as they are found to be missing, one after the other."""
    elsewhere = OCCASIONS.keys() | NOT_TAKEN.keys()
    missing = {r for r in it.rights if r.program == program and r.verb == "list"} - elsewhere
    with lacking(it.lab, frozenset(missing)) as lack:
        it.from_here()
        it.restart(name)
        while missing:
            wanted = partial(refused, it, frozenset(missing))
            found = until(wanted, f"{missing} are refused", every=0.1)
            for right in found:
                until(lambda r=right: r.refusal in it.says(name), f"{right} is said", every=0.1)
            missing -= found
            lack(missing)
    until(lambda: it.programs.leader() == "controller-1", "it leads")


def refused(it: Cluster, rights: frozenset[Right]) -> set[Right]:
    return {right for right in rights if 403 in it.asked().get(right, ())}


def test_everything_is_used_and_nothing_else_is_asked_for(it: Cluster) -> None:
    it.from_the_start()
    seen = it.asked()
    assert {right for right, codes in seen.items() if codes - {403}} >= it.rights - NOT_TAKEN.keys()
    assert seen.keys() <= it.rights


def test_no_secret_is_in_a_log_a_request_a_command_line_or_an_environment(it: Cluster) -> None:
    """After all that: passwords were changed and refused, programs were ended and begun."""
    encoded = base64.b64encode(HUSH.encode()).decode()[:20]
    secrets = (HUSH, encoded, SECRET)
    said = {f"log of {name}": process.log() for name, process in it.running.items()}
    said["earlier logs and the page"] = it.past
    for name, process in it.running.items():
        for what in ("cmdline", "environ"):
            said[f"{what} of {name}"] = Path(f"/proc/{process.pid}/{what}").read_text()
    for event in it.lab.control_plane.audit_events():
        where = event.get("objectRef", {}).get("resource")
        if event["user"].get("username") in ACCOUNTS and where != "secrets":
            said[f"{event['verb']} {where} {event['auditID']}"] = json.dumps(event)
    assert {what for what, text in said.items() if any(one in text for one in secrets)} == set()
    written = [e for e in it.lab.control_plane.audit_events() if encoded in json.dumps(e)]
    assert {e["objectRef"]["resource"] for e in written} == {"secrets"}  # it would be seen
