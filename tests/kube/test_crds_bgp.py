"""The CRDs of BGP and the two versions of BGPPeer against a real API server; and odd input to all.

Each refusal is a row with its sentence. What no rule speaks of is accepted, and never an error of
the server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml

from kube.installed import (
    GROUPS,
    MERGE,
    NAMESPACE,
    Json,
    installed,
    manifest,
    parsed,
    place,
    refusal,
    sentences,
)
from kube.odd_input import TAKEN, around, fields, odd, written
from lab.bare import Bare
from lab.paths import REPOSITORY

pytestmark = pytest.mark.kube

STRICT = "?dryRun=All&fieldValidation=Strict"
V1BETA1, V1BETA2 = "metallb.io/v1beta1", "metallb.io/v1beta2"


@pytest.fixture(scope="module")
def api() -> Iterator[Bare]:
    with installed() as lab:
        yield lab


# --- one object at a time -------------------------------------------------------------------------


def peer(text: str = "", base: str = "myASN: 64500, peerASN: 64501, peerAddress: 192.0.2.1") -> str:
    return "{" + ", ".join(part for part in (base, text) if part) + "}"


def timers(**times: str) -> str:
    return peer(", ".join(f"{key}: {json.dumps(value)}" for key, value in times.items()))


def communities(*names: str) -> str:
    return f"{{communities: {json.dumps(names)}}}"


def alias(*values: str) -> str:
    named = [{"name": f"n{index}", "value": value} for index, value in enumerate(values)]
    return f"{{communities: {json.dumps(named)}}}"


def expressed(kind: str, field: str, text: str) -> str:
    """A peer or an advertisement with one selector of one expression."""
    selector = f"{field}: [{{matchExpressions: [{{{text}}}]}}]"
    return peer(selector) if kind == "BGPPeer" else f"{{{selector}}}"


def both_ends(kind: str, field: str, low: int, high: int) -> list[tuple[str, str, str, str]]:
    """A row below what a number may be, and one above."""
    base = "myASN: 64500, peerAddress: 192.0.2.1"
    rest = [part for part in base.split(", ") if not part.startswith(f"{field}:")]
    if field != "peerASN":
        rest.append("peerASN: 64501")

    def spec(number: int) -> str:
        text = f"{field}: {number}"
        return peer(text, ", ".join(rest)) if kind == "BGPPeer" else f"{{{text}}}"

    said = f"Invalid value: {{}}: spec.{field} in body should be {{}} than or equal to {{}}"
    return [
        (kind, spec(low - 1), f"spec.{field}", said.format(low - 1, "greater", low)),
        (kind, spec(high + 1), f"spec.{field}", said.format(high + 1, "less", high)),
    ]


AS_MAX = 2**32 - 1
HOLD = "must be 0 or >=3s, at most 65535s, as in 90s or 1m30s"
FORMAT = "neither <uint16>:<uint16> nor large:<uint32>:<uint32>:<uint32>"
MARKER = (
    "invalid community value: invalid marker for large community, expected community to be of"
    ' format large:<uint32>:<uint32>:<uint32> but got "{}" instead'
)
AGGREGATED = (
    "serviceSelectors and aggregationLength are mutually exclusive, can only be used together with"
    " default aggregationLength (32) and aggregationLengthV6 (128)"
)

# community, what is said against it
BAD_COMMUNITIES = [
    ("", "invalid community format: it is empty"),
    (":", 'invalid community value: invalid section "" of community ":", err: not a number from'),
    ("1:", 'invalid community value: invalid section "" of community "1:", err: not a number from'),
    ("65536:1", 'invalid community value: invalid section "65536" of community "65536:1"'),
    ("1:65536", 'invalid community value: invalid section "65536" of community "1:65536"'),
    ("1:-1", 'invalid community value: invalid section "-1" of community "1:-1"'),
    ("1: 1", 'invalid community value: invalid section " 1" of community "1: 1"'),
    ("1:٣", 'invalid community value: invalid section "٣" of community "1:٣"'),
    ("no:export", 'invalid community value: invalid section "no" of community "no:export"'),
    ("1:99999999999999999999", "invalid community value: invalid section"),
    ("1:2:3", f"invalid community format: 1:2:3: {FORMAT}"),
    ("large:1:2", f"invalid community format: large:1:2: {FORMAT}"),
    ("large:1:2:3:4", f"invalid community format: large:1:2:3:4: {FORMAT}"),
    ("1:2:3:4", MARKER.format("1")),
    ("Large:2:3:4", MARKER.format("Large")),
    ("large:1:2:4294967296", 'invalid community value: invalid section "4294967296" of community'),
    ("large::2:3", 'invalid community value: invalid section "" of community "large::2:3"'),
]

# kind, spec, path of the field, sentence or how it begins
REFUSED = [
    ("BGPPeer", "{}", "spec.myASN", "Required value"),
    ("BGPPeer", peer(base="peerASN: 1, peerAddress: 192.0.2.1"), "spec.myASN", "Required value"),
    (
        "BGPPeer",
        peer(base="myASN: 0, peerASN: 1, peerAddress: 192.0.2.1"),
        "spec.myASN",
        "Invalid value: 0: missing local ASN: give 1 to 4294967295",
    ),
    (
        "BGPPeer",
        peer(base="myASN: 1, peerAddress: 192.0.2.1"),
        "spec.peerASN",
        "Invalid value: missing peer ASN and dynamicASN: give one of them",
    ),
    (
        "BGPPeer",
        peer(base="myASN: 1, peerASN: 0, peerAddress: 192.0.2.1"),
        "spec.peerASN",
        "Invalid value: missing peer ASN and dynamicASN: give one of them",
    ),
    (
        "BGPPeer",
        peer("dynamicASN: external"),
        "spec.dynamicASN",
        "Invalid value: both peer ASN and dynamicASN specified: give one of them",
    ),
    (
        "BGPPeer",
        peer(base="myASN: 1, dynamicASN: both, peerAddress: 192.0.2.1"),
        "spec.dynamicASN",
        'Unsupported value: "both": supported values: "internal", "external"',
    ),
    *both_ends("BGPPeer", "myASN", 0, AS_MAX),
    *both_ends("BGPPeer", "peerASN", 0, AS_MAX),
    *both_ends("BGPPeer", "localASN", 1, AS_MAX),
    *both_ends("BGPPeer", "peerPort", 1, 16384),
    (
        "BGPPeer",
        peer("ebgpMultiHop: true", "myASN: 1, peerASN: 1, peerAddress: 192.0.2.1"),
        "spec.ebgpMultiHop",
        "Invalid value: invalid ebgp-multihop parameter set for an ibgp peer: peerASN is the same",
    ),
    (
        "BGPPeer",
        peer(base="myASN: 1, peerASN: 1"),
        "spec.peerAddress",
        "Invalid value: peer has no Address or Interface specified: give one of them",
    ),
    (
        "BGPPeer",
        peer(base="myASN: 1, peerASN: 1, peerAddress: '', interface: ''"),
        "spec.peerAddress",
        "Invalid value: peer has no Address or Interface specified: give one of them",
    ),
    (
        "BGPPeer",
        peer("interface: eth0"),
        "spec.interface",
        "Invalid value: peer has both Address and Interface specified: give one of them",
    ),
    *(
        (
            "BGPPeer",
            peer(base=f"myASN: 1, peerASN: 2, peerAddress: {json.dumps(text)}"),
            "spec.peerAddress",
            f'Invalid value: "{text}": invalid BGPPeer address "{text}": it is not an IP address',
        )
        for text in ("192.0.2.256", "192.0.2.1/24", "router", "fc00::g", "fe80::1%eth0", " ::1")
    ),
    (
        "BGPPeer",
        peer("sourceAddress: 192.0.2"),
        "spec.sourceAddress",
        'Invalid value: "192.0.2": invalid source IP "192.0.2": it is not an IP address',
    ),
    *(
        (
            "BGPPeer",
            peer(f'routerID: "{text}"'),
            "spec.routerID",
            f'Invalid value: "{text}": invalid router ID "{text}": it is not an IPv4 address',
        )
        for text in ("1", "fc00::1", "010.0.0.1")
    ),
    (
        "BGPPeer",
        peer("routerID: 0.0.0.0"),
        "spec.routerID",
        'Invalid value: "0.0.0.0": invalid router ID "0.0.0.0": it is zero',
    ),
    *(
        (
            "BGPPeer",
            timers(holdTime=text),
            "spec.holdTime",
            f'Invalid value: "{text}": invalid hold time "{text}": {HOLD}',
        )
        for text in ("", "90", "90 s", "1d", "2s", "2999ms", "1ms", "-3s", "65536s", "99h", "٩s")
    ),
    *(
        (
            "BGPPeer",
            timers(keepaliveTime=text),
            "spec.keepaliveTime",
            f'Invalid value: "{text}": invalid keepaliveTime "{text}": must be 0 or more',
        )
        for text in ("", "30", "soon", "s")
    ),
    (
        "BGPPeer",
        timers(keepaliveTime="-1s", holdTime="9s"),
        "spec.keepaliveTime",
        'Invalid value: "-1s": invalid keepaliveTime "-1s": must be 0 or more',
    ),
    (
        "BGPPeer",
        timers(keepaliveTime="61s", holdTime="1m"),
        "spec.keepaliveTime",
        'Invalid value: invalid keepaliveTime "61s", must be lower than holdTime "1m"',
    ),
    (
        "BGPPeer",
        timers(keepaliveTime="1s", holdTime="0s"),
        "spec.keepaliveTime",
        'Invalid value: invalid keepaliveTime "1s", must be lower than holdTime "0s"',
    ),
    *(
        (
            "BGPPeer",
            timers(keepaliveTime=text),
            "spec.keepaliveTime",
            f'Invalid value: invalid hold time, three times the keepaliveTime "{text}": must be 0',
        )
        for text in ("999ms", "21846s")
    ),
    *(
        (
            "BGPPeer",
            timers(connectTime=text),
            "spec.connectTime",
            f'Invalid value: "{text}": connect time should be between 1 seconds to 65535, not "',
        )
        for text in ("", "10", "0s", "-1s", "65536s")
    ),
    *(
        (
            "BGPPeer",
            timers(connectTime=text),
            "spec.connectTime",
            f'Invalid value: "{text}": connect time should contain a whole number of seconds, not',
        )
        for text in ("1500ms", "1.5s")
    ),
    (
        "BGPPeer",
        timers(holdTime="1" * 20 + "s"),
        "spec.holdTime",
        "Too long: may not be more than 20 bytes",
    ),
    (
        "BGPPeer",
        peer("password: p, passwordSecret: {name: s}"),
        "spec.passwordSecret",
        "Invalid value: can not have both password and secret ref set in peer config",
    ),
    *(
        (
            kind,
            expressed(kind, field, "key: a, operator: In"),
            f"spec.{field}[0].matchExpressions[0].values",
            "Invalid value: In needs at least one value",
        )
        for kind, field in (
            ("BGPPeer", "nodeSelectors"),
            ("BGPAdvertisement", "nodeSelectors"),
            ("BGPAdvertisement", "ipAddressPoolSelectors"),
            ("BGPAdvertisement", "serviceSelectors"),
        )
    ),
    *both_ends("BGPAdvertisement", "localPref", 0, AS_MAX),
    *(
        (
            "BGPAdvertisement",
            f"{{{field}: {length}}}",
            f"spec.{field}",
            f"Invalid value: {length}: {sentence}",
        )
        for field, length, sentence in (
            ("aggregationLength", 0, "spec.aggregationLength in body should be greater than or"),
            ("aggregationLength", 33, "invalid aggregation length for IPv4: must be 1 to 32"),
            ("aggregationLengthV6", 0, "spec.aggregationLengthV6 in body should be greater than"),
            ("aggregationLengthV6", 129, "invalid aggregation length for IPv6: must be 1 to 128"),
        )
    ),
    *(
        (
            "BGPAdvertisement",
            f"{{serviceSelectors: [{{}}], {lengths}}}",
            "spec.serviceSelectors",
            f"Invalid value: {AGGREGATED}",
        )
        for lengths in ("aggregationLength: 24", "aggregationLengthV6: 64")
    ),
    *(
        (
            "BGPAdvertisement",
            f"{{{field}: [a, b, a]}}",
            f"spec.{field}",
            f'Invalid value: duplicate definition of {what} "a"',
        )
        for field, what in (
            ("ipAddressPools", "ipAddressPools"),
            ("peers", "peers"),
            ("communities", "community"),
        )
    ),
    (
        "BGPAdvertisement",
        communities(*(f"1:{number}" for number in range(64))),
        "spec.communities",
        "Too many: 64: must have at most 63 items",
    ),
    *(
        (
            "BGPAdvertisement",
            communities("far", text),
            "spec.communities[1]",
            f'Invalid value: "{text}": {sentence}',
        )
        for text, sentence in BAD_COMMUNITIES
    ),
    *(
        (
            "Community",
            alias("1:1", text),
            "spec.communities[1].value",
            f'Invalid value: "{text}": {sentence}',
        )
        for text, sentence in BAD_COMMUNITIES
    ),
    (
        "Community",
        alias("no-export"),
        "spec.communities[0].value",
        f'Invalid value: "no-export": invalid community format: no-export: {FORMAT}',
    ),
    ("Community", "{communities: [{name: a}]}", "spec.communities[0].value", "Required value"),
    ("Community", '{communities: [{value: "1:1"}]}', "spec.communities[0].name", "Required value"),
    (
        "Community",
        '{communities: [{name: "", value: "1:1"}]}',
        "spec.communities[0].name",
        'Invalid value: "": spec.communities[0].name in body should be at least 1 chars long',
    ),
    (
        "Community",
        '{communities: [{name: a, value: "1:1"}, {name: a, value: "1:2"}]}',
        "spec.communities",
        'Invalid value: duplicate definition of community "a"',
    ),
    *both_ends("BFDProfile", "receiveInterval", 10, 60000),
    *both_ends("BFDProfile", "transmitInterval", 10, 60000),
    *both_ends("BFDProfile", "echoInterval", 10, 60000),
    *both_ends("BFDProfile", "detectMultiplier", 2, 255),
    *both_ends("BFDProfile", "minimumTtl", 1, 254),
]

FULL: Json = {
    "myASN": 64500,
    "peerASN": 4200000000,
    "localASN": 64499,
    "peerAddress": "2001:db8::1",
    "sourceAddress": "2001:db8::2",
    "peerPort": 1790,
    "holdTime": "1m30s",
    "keepaliveTime": "30s",
    "connectTime": "10s",
    "routerID": "10.0.0.1",
    "nodeSelectors": [
        {
            "matchLabels": {"rack": "r1"},
            "matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}],
        },
        {"matchExpressions": [{"key": "bgp", "operator": "Exists"}]},
    ],
    "passwordSecret": {"name": "secret", "namespace": "metallb-system"},
    "bfdProfile": "quick",
    "enableGracefulRestart": True,
    "ebgpMultiHop": True,
    "vrf": "red",
    "disableMP": False,
    "dualStackAddressFamily": True,
}

ACCEPTED = [
    ("BGPPeer", peer()),
    ("BGPPeer", json.dumps(FULL)),
    ("BGPPeer", peer(base="myASN: 1, dynamicASN: internal, interface: eth0")),
    ("BGPPeer", peer(base="myASN: 1, peerASN: 0, dynamicASN: external, peerAddress: '::1'")),
    ("BGPPeer", peer(base="myASN: 4294967295, peerASN: 4294967295, peerAddress: 'FC00::A'")),
    ("BGPPeer", peer("interface: '', sourceAddress: '', routerID: '', password: ''")),
    ("BGPPeer", peer("ebgpMultiHop: false", "myASN: 1, peerASN: 1, peerAddress: 192.0.2.1")),
    ("BGPPeer", peer("password: p, passwordSecret: {}")),
    ("BGPPeer", peer("nodeSelectors: [{}, {matchLabels: {a: b}}]")),
    ("BGPPeer", peer("peerPort: null, bfdProfile: null, nodeSelectors: null")),
    ("BGPPeer", timers(holdTime="0s", keepaliveTime="0s")),  # as v1beta1's Go type writes them
    ("BGPPeer", timers(holdTime="0", keepaliveTime="0")),
    ("BGPPeer", timers(holdTime="3s", keepaliveTime="3s")),
    ("BGPPeer", timers(holdTime="1h30m0.5s", keepaliveTime="500ms")),
    ("BGPPeer", timers(holdTime="65535s", connectTime="65535s")),
    ("BGPPeer", timers(keepaliveTime="1s", connectTime="1m0.0s")),
    ("BGPPeer", timers(keepaliveTime="0s")),
    ("BGPAdvertisement", "{}"),
    ("BGPAdvertisement", communities("1:1", "0:0", "65535:65535", "large:1:2:4294967295", "far")),
    ("BGPAdvertisement", communities(*(f"1:{number}" for number in range(63)))),
    ("BGPAdvertisement", "{aggregationLength: 24, aggregationLengthV6: 64, localPref: 4294967295}"),
    ("BGPAdvertisement", "{aggregationLength: 24, serviceSelectors: []}"),
    ("BGPAdvertisement", "{aggregationLength: 32, serviceSelectors: [{matchLabels: {a: b}}]}"),
    ("BGPAdvertisement", "{ipAddressPools: [p], peers: [a, b], nodeSelectors: [{}]}"),
    ("Community", "{}"),
    ("Community", alias("0:65535", "large:0:1:4294967295", "001:1")),
    ("Community", alias(*(f"1:{number}" for number in range(256)))),
    ("BFDProfile", "{}"),
    ("BFDProfile", "{receiveInterval: 10, transmitInterval: 60000, echoInterval: 10}"),
    ("BFDProfile", "{detectMultiplier: 255, minimumTtl: 254, echoMode: true, passiveMode: false}"),
]


def said(api: Bare, kind: str, spec: str, version: str | None = None) -> list[str]:
    """What the API server says against a new object; nothing if it takes it."""
    where = place(kind, version=version) + STRICT
    return sentences(refusal(api.rest, "POST", where, parsed(kind, spec, version=version)))


@pytest.mark.parametrize(("kind", "spec", "path", "sentence"), REFUSED)
def test_a_bad_object_is_refused_in_a_sentence(
    api: Bare, kind: str, spec: str, path: str, sentence: str
) -> None:
    (told,) = said(api, kind, spec)
    assert told.startswith(f"{path}: {sentence}")
    if kind == "BGPPeer":
        assert said(api, kind, spec, V1BETA1) == [told]


@pytest.mark.parametrize(("kind", "spec"), ACCEPTED)
def test_accepted(api: Bare, kind: str, spec: str) -> None:
    assert said(api, kind, spec) == []
    if kind == "BGPPeer":
        assert said(api, kind, spec, V1BETA1) == []


def test_every_problem_of_a_peer_is_told_at_once(api: Bare) -> None:
    text = "myASN: 0, peerAddress: x, interface: y, holdTime: 1s, keepaliveTime: 2s"
    assert sorted(line.split(":")[0] for line in said(api, "BGPPeer", f"{{{text}}}")) == [
        "spec.holdTime",
        "spec.interface",
        "spec.keepaliveTime",
        "spec.myASN",
        "spec.peerASN",
        "spec.peerAddress",
    ]


DEFAULTS = [
    (
        "BGPPeer",
        peer(),
        {"peerPort": 179, "disableMP": False, "dualStackAddressFamily": False},
    ),
    ("BGPAdvertisement", "{peers: [p]}", {"aggregationLength": 32, "aggregationLengthV6": 128}),
    ("BFDProfile", "{echoMode: true}", {}),
    ("Community", "{}", {}),
]


@pytest.mark.parametrize(("kind", "spec", "defaults"), DEFAULTS)
def test_defaults(api: Bare, kind: str, spec: str, defaults: Json) -> None:
    for version in {GROUPS[kind], V1BETA1}:
        where = place(kind, version=version) + STRICT
        given = api.rest.post(where, parsed(kind, spec, version=version))["spec"]
        assert given == yaml.safe_load(spec) | defaults


# --- two versions of BGPPeer ----------------------------------------------------------------------


@pytest.mark.parametrize(("here", "there"), [(V1BETA1, V1BETA2), (V1BETA2, V1BETA1)])
def test_a_write_in_one_version_loses_nothing_of_the_other(
    api: Bare, here: str, there: str
) -> None:
    name = f"full-{there[-7:]}"
    ours, theirs = place("BGPPeer", name, here), place("BGPPeer", name, there)
    api.rest.post(
        place("BGPPeer", version=there), parsed("BGPPeer", json.dumps(FULL), name, version=there)
    )
    found = api.rest.get(ours)
    assert (found["apiVersion"], found["spec"]) == (here, FULL)

    found["spec"]["holdTime"] = "9s"
    found["spec"]["keepaliveTime"] = "3s"
    api.rest.request("PUT", ours, found)
    assert api.rest.get(theirs)["spec"] == FULL | {"holdTime": "9s", "keepaliveTime": "3s"}

    api.rest.request("PATCH", ours, {"spec": FULL | {"ebgpMultiHop": None}}, MERGE)
    expected = {key: value for key, value in FULL.items() if key != "ebgpMultiHop"}
    assert api.rest.get(theirs)["spec"] == expected

    manager = f"{ours}?fieldManager=m&force=true"
    applied = parsed("BGPPeer", "{myASN: 7}", name, version=here)
    api.rest.request("PATCH", manager, applied, "application/apply-patch+yaml")
    assert api.rest.get(theirs)["spec"] == expected | {"myASN": 7}


def test_a_peer_of_one_version_is_judged_in_the_other(api: Bare) -> None:
    """A peer without an address, which v1beta1 once could not say."""
    text = peer(base="myASN: 1, dynamicASN: external, interface: eth0")
    api.rest.post(place("BGPPeer"), parsed("BGPPeer", text, "unnumbered"))
    where = place("BGPPeer", "unnumbered", V1BETA1)
    assert refusal(api.rest, "PATCH", where, {"spec": {"vrf": "red"}}) == {}
    told = sentences(refusal(api.rest, "PATCH", where, {"spec": {"interface": None}}))
    assert [line.split(":")[0] for line in told] == ["spec.peerAddress"]


def test_whoever_uses_the_old_version_is_told(api: Bare) -> None:
    for version, expected in (
        (V1BETA1, "Warning: v1beta1 is deprecated, please use v1beta2\n"),
        (V1BETA2, ""),
    ):
        text = manifest("BGPPeer", peer(), version=version)
        done = api.kubectl("create", "--dry-run=server", "-f", "-", input=text)
        assert done.stderr == expected


def test_objects_are_stored_in_the_new_version_and_need_no_webhook(api: Bare) -> None:
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    spec = api.rest.get(f"{crds}/bgppeers.metallb.io")["spec"]
    assert spec["conversion"] == {"strategy": "None"}
    stored = {item["name"]: (item["storage"], item["schema"]) for item in spec["versions"]}
    assert (stored["v1beta2"][0], stored["v1beta1"][0]) == (True, False)
    assert stored["v1beta2"][1] == stored["v1beta1"][1]


def test_it_can_be_applied_where_metallbs_own_definition_is(api: Bare) -> None:
    """Which converts by a webhook; were it left there, no BGPPeer could be read any more."""
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    service = {"namespace": NAMESPACE, "name": "metallb-webhook-service", "path": "/convert"}
    webhook = {"conversionReviewVersions": ["v1beta1"], "clientConfig": {"service": service}}
    theirs = {"spec": {"conversion": {"strategy": "Webhook", "webhook": webhook}}}
    api.rest.request("PATCH", f"{crds}/bgppeers.metallb.io", theirs, MERGE)
    api.kubectl("apply", "-f", REPOSITORY / "crds" / "bgppeers.metallb.io.yaml")
    spec = api.rest.get(f"{crds}/bgppeers.metallb.io")["spec"]
    assert spec["conversion"] == {"strategy": "None"}


def test_graceful_restart_is_decided_once(api: Bare) -> None:
    where = place("BGPPeer", "graceful")
    api.rest.post(
        place("BGPPeer"), parsed("BGPPeer", peer("enableGracefulRestart: true"), "graceful")
    )
    (told,) = sentences(
        refusal(api.rest, "PATCH", where, {"spec": {"enableGracefulRestart": False}})
    )
    assert told.endswith("EnableGracefulRestart cannot be changed after creation")


# --- statuses -------------------------------------------------------------------------------------

CONDITION: Json = {
    "type": "poolReconcilerValid",
    "status": "True",
    "reason": "Reconciled",
    "message": "",
    "lastTransitionTime": "2026-01-02T03:04:05Z",
}
COUNTED = dict.fromkeys(("assignedIPv4", "assignedIPv6", "availableIPv4", "availableIPv6"), 0)

# kind, status, what is said against it
STATUSES: list[tuple[str, Json, list[str]]] = [
    ("IPAddressPool", COUNTED | {"availableIPv6": 2**63 - 1}, []),
    (
        "IPAddressPool",
        {"assignedIPv4": 1},
        [f"status.{key}: Required value" for key in list(COUNTED)[1:]],
    ),
    ("ServiceBGPStatus", {"node": "n1", "peers": ["a"]}, []),
    ("ConfigurationState", {"result": "Unknown"}, []),
    ("ConfigurationState", {"result": "Valid", "conditions": [CONDITION]}, []),
    (
        "ConfigurationState",
        {"result": "Fine"},
        [
            'status.result: Unsupported value: "Fine": supported values: "Valid", "Invalid",'
            ' "Unknown"'
        ],
    ),
    (
        "ConfigurationState",
        {"conditions": [CONDITION, CONDITION]},
        ['status.conditions[1]: Duplicate value: {"type":"poolReconcilerValid"}'],
    ),
    (
        "ConfigurationState",
        {"conditions": [CONDITION | {"status": "Yes"}]},
        [
            'status.conditions[0].status: Unsupported value: "Yes": supported values: "True",'
            ' "False", "Unknown"'
        ],
    ),
]


@pytest.mark.parametrize(("kind", "status", "expected"), STATUSES)
def test_statuses(api: Bare, kind: str, status: Json, expected: list[str]) -> None:
    where = seeded(api, kind)
    assert sentences(refusal(api.rest, "PATCH", f"{where}/status{STRICT}", {"status": status})) == (
        expected
    )


def seeded(api: Bare, kind: str) -> str:
    """The path of an object of the kind, which is there."""
    where = place(kind, "seed")
    if refusal(api.rest, "GET", where, None):
        api.rest.post(place(kind), parsed(kind, SEEDS.get(kind, "{}"), "seed"))
    return where


SEEDS = {"BGPPeer": peer(), "IPAddressPool": "{addresses: [192.0.2.0/24]}"}


# --- odd input, field by field --------------------------------------------------------------------

KINDS = [kind for kind, group in GROUPS.items() if group.startswith("metallb.io")]


def schema_of(kind: str) -> Json:
    plural = place(kind).rsplit("/", 1)[1]
    crd = yaml.safe_load((REPOSITORY / "crds" / f"{plural}.metallb.io.yaml").read_text())
    schema: Json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


@pytest.mark.parametrize("kind", KINDS)
def test_odd_input_is_taken_or_refused_by_a_rule(api: Bare, kind: str) -> None:
    seed = seeded(api, kind)
    parts = schema_of(kind)["properties"]
    for part, where in (("spec", seed), ("status", f"{seed}/status")):
        for path, schema in fields(parts[part], (part,), set()) if part in parts else ():
            for value, expected in odd(path, schema):
                body = {part: around(parts[part], path[1:], value)}
                answer = refusal(api.rest, "PATCH", where + STRICT, body)
                told = f"{written(path)} {str(value)[:40]!r}: {answer.get('message', TAKEN)}"
                assert answer.get("code", 422) == 422, told
                assert expected in told.split(": ", 1)[1], told
                assert expected == TAKEN or written(path[:2]) in str(answer["details"]), told
