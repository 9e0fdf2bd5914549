"""The CRDs and the chart against a real API server: what it refuses, and in which words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import yaml

from kube.installed import (
    GROUPS,
    MERGE,
    NAMESPACE,
    Json,
    answer,
    hand,
    install,
    installed,
    manifest,
    parsed,
    place,
)
from lab.bare import Bare
from lab.paths import CHART
from lab.rest import ApiError, Rest
from lab.waiting import until

pytestmark = pytest.mark.kube


@pytest.fixture(scope="module")
def api() -> Iterator[Bare]:
    with installed() as lab:
        yield lab


# Each is the only entry of a pool: what follows its quotation in the sentence.
BAD_ADDRESSES = [
    ("10.0.0.1", "is neither a CIDR nor a range"),
    ("10.0.0.0/33", "is neither a CIDR nor a range"),
    ("10.0.0.0/255.0.0.0", "is neither a CIDR nor a range"),
    ("010.0.0.0/8", "is neither a CIDR nor a range"),
    (" 10.0.0.0/8", "is neither a CIDR nor a range"),
    ("", "is neither a CIDR nor a range"),
    ("10.0.0.1-9", 'is not a range: "9" is not an IP address'),
    ("-10.0.0.1", 'is not a range: "" is not an IP address'),
    ("10.0.0.1-10.0.0.256", 'is not a range: "10.0.0.256" is not an IP address'),
    ("10.0.0.1-10.0.0.2-10.0.0.3", 'is not a range: "10.0.0.2-10.0.0.3" is not an IP address'),
    ("10.0.0.1-fc00::1", "mixes IPv4 and IPv6"),
    ("fc00::1 - 10.0.0.1", "mixes IPv4 and IPv6"),
    ("10.0.0.9-10.0.0.2", "ends before it begins"),
    ("10.0.0.0-9.255.255.255", "ends before it begins"),
    (" 10.0.1.0 - 10.0.0.255 ", "ends before it begins"),
    ("fc00::1", "is neither a CIDR nor a range"),
    ("fc00::/129", "is neither a CIDR nor a range"),
    ("fc00::1::/64", "is neither a CIDR nor a range"),
    ("::ffff:10.0.0.0/120", "is neither a CIDR nor a range"),
    ("fe80::1%eth0/64", "is neither a CIDR nor a range"),
    ("fc00::1-::ffff:10.0.0.1", 'is not a range: "::ffff:10.0.0.1" is not an IP address'),
    ("fe80::1%eth0-fe80::9", 'is not a range: "fe80::1%eth0" is not an IP address'),
    ("fc00::1-9", 'is not a range: "9" is not an IP address'),
    ("fc00::1-fc00::g", 'is not a range: "fc00::g" is not an IP address'),
    ("ﬀ00::/64", "is neither a CIDR nor a range"),
]


def pool(*addresses: str) -> str:
    return f"{{addresses: {json.dumps(addresses)}}}"


def reserved(text: str) -> str:
    """A pool with this serviceAllocation."""
    return f"{{addresses: [10.0.0.0/8], serviceAllocation: {{{text}}}}}"


def expression(text: str) -> str:
    """A pool reserved for Services by this expression."""
    return reserved(f"serviceSelectors: [{{matchExpressions: [{{{text}}}]}}]")


def preferred(text: str) -> str:
    return f"{{preferredNodeSelectors: [{{{text}}}]}}"


def announcements(*texts: str) -> str:
    return f"{{version: 1, announcements: [{', '.join(f'{{{text}}}' for text in texts)}]}}"


EXPRESSION = "spec.serviceAllocation.serviceSelectors[0].matchExpressions[0]"
OPERATORS = '"In", "NotIn", "Exists", "DoesNotExist"'
AT_LEAST_1 = "Invalid value: 0: {path} in body should be greater than or equal to 1"
AT_MOST_100 = "Invalid value: 101: {path} in body should be less than or equal to 100"
SOUND = "address: 10.0.0.1, term: 1, nodeSet: s"

# kind, spec, path of the field, sentence
REFUSED = [
    (
        "IPAddressPool",
        pool(),
        "spec.addresses",
        "Invalid value: is empty: give at least one CIDR or range",
    ),
    (
        "IPAddressPool",
        "{}",
        "spec.addresses",
        "Required value",
    ),
    (
        "IPAddressPool",
        pool("10.0.0.0/8", "x"),
        "spec.addresses[1]",
        'Invalid value: "x": "x" is neither a CIDR nor a range',
    ),
    (
        "IPAddressPool",
        reserved("namespaces: [a, b, a]"),
        "spec.serviceAllocation.namespaces",
        'Invalid value: "a" is listed twice',
    ),
    (
        "IPAddressPool",
        expression("key: a, operator: In"),
        f"{EXPRESSION}.values",
        "Invalid value: In needs at least one value",
    ),
    (
        "IPAddressPool",
        expression("key: a, operator: Exists, values: [b]"),
        f"{EXPRESSION}.values",
        "Invalid value: Exists takes no values",
    ),
    (
        "IPAddressPool",
        expression("key: a, operator: Is"),
        f"{EXPRESSION}.operator",
        f'Unsupported value: "Is": supported values: {OPERATORS}',
    ),
    (
        "IPAddressPool",
        expression("operator: Exists"),
        f"{EXPRESSION}.key",
        "Required value",
    ),
    (
        "L2Advertisement",
        "{ipAddressPools: [p, q, p]}",
        "spec.ipAddressPools",
        'Invalid value: "p" is listed twice',
    ),
    (
        "L2Advertisement",
        preferred("weight: 0, preference: {}"),
        "spec.preferredNodeSelectors[0].weight",
        AT_LEAST_1,
    ),
    (
        "L2Advertisement",
        preferred("weight: 101, preference: {}"),
        "spec.preferredNodeSelectors[0].weight",
        AT_MOST_100,
    ),
    (
        "L2Advertisement",
        preferred("weight: 1"),
        "spec.preferredNodeSelectors[0].preference",
        "Required value",
    ),
    (
        "L2Advertisement",
        "{nodeSelectors: [{matchExpressions: [{key: a, operator: NotIn, values: []}]}]}",
        "spec.nodeSelectors[0].matchExpressions[0].values",
        "Invalid value: NotIn needs at least one value",
    ),
    (
        "AnnouncementSlice",
        announcements("address: 10.0.0.1, term: 0, nodeSet: s"),
        "spec.announcements[0].term",
        AT_LEAST_1,
    ),
    (
        "AnnouncementSlice",
        announcements("address: 10.0.0.1, term: 1"),
        "spec.announcements[0].nodeSet",
        "Required value",
    ),
    (
        "AnnouncementSlice",
        announcements(SOUND, SOUND),
        "spec.announcements[1]",
        'Duplicate value: {"address":"10.0.0.1"}',
    ),
    (
        "AnnouncementSlice",
        announcements(SOUND + ", successors: [a, b, c]"),
        "spec.announcements[0].successors",
        "Too many: 3: must have at most 2 items",
    ),
    (
        "AnnouncementSlice",
        "{announcements: []}",
        "spec.version",
        "Required value",
    ),
    (
        "AddressLedger",
        "{block: 10.0.0.0}",
        "spec.block",
        'Invalid value: "10.0.0.0": "10.0.0.0" is not a CIDR',
    ),
    (
        "AddressLedger",
        "{block: 10.0.0.0/24, entries: {a: {term: 0}}}",
        "spec.entries.a.term",
        AT_LEAST_1,
    ),
    (
        "SpeakerReport",
        "{claims: [{address: 10.0.0.1}]}",
        "status.claims[0].term",
        "Required value",
    ),
]

FREED = "freedAt: '2026-01-02T03:04:05.678901Z', lastHolder: {uid: u, namespace: a, name: b}"
ACCEPTED = [
    ("IPAddressPool", pool("10.0.0.0/8", "192.0.2.7/24", "203.0.113.5/32")),
    ("IPAddressPool", pool("10.0.0.1-10.0.0.1", " 10.0.1.0 -  10.0.2.0 ", "9.9.9.9-10.0.0.0")),
    ("IPAddressPool", pool("fc00::/64", "fc00::1-fc00::9", "1::192.0.2.1-1::192.0.2.9")),
    ("IPAddressPool", pool("FC00::/120", "::/0", "fc00::7/128", " fc00:0:0::1 - fc00::ffff ")),
    ("IPAddressPool", pool("10.0.0.0/24", "2001:db8::/112", "10.0.1.0-10.0.1.9")),
    ("IPAddressPool", pool(*(f"10.{n // 256}.{n % 256}.0/24" for n in range(1000)))),
    ("IPAddressPool", expression("key: a, operator: In, values: [b]")),
    ("IPAddressPool", expression("key: a, operator: DoesNotExist")),
    ("IPAddressPool", reserved("priority: 5")),
    ("L2Advertisement", "{}"),
    ("L2Advertisement", "{ipAddressPools: [p], interfaces: [eth0], nodeSelectors: [{}]}"),
    ("L2Advertisement", preferred("weight: 100, preference: {matchLabels: {a: b}}")),
    ("AnnouncementSlice", announcements(SOUND + ", owner: n1, successors: [n2, n3]")),
    ("AnnouncementSlice", "{version: 1, nodeSets: [{name: s, nodes: [{name: n1, address: a}]}]}"),
    ("AddressLedger", "{block: 10.0.0.0/24}"),
    ("AddressLedger", f"{{block: 10.0.0.0/24, entries: {{10.0.0.1: {{term: 7, {FREED}}}}}}}"),
    ("SpeakerReport", "{version: 1, bootID: b, claims: [{address: 10.0.0.1, term: 1}]}"),
    ("SpeakerReport", "{interfaces: [{name: eth0}], findings: [{code: Stranger, message: m}]}"),
]


def create(api: Bare, text: str) -> list[str]:
    """What kubectl says against an object, one sentence each; nothing if it is accepted."""
    done = api.kubectl(
        "create", "--dry-run=server", "--validate=strict", "-f", "-", input=text, check=False
    )
    said = done.stderr.replace(" is invalid: ", " is invalid:\n").splitlines()
    sentences = (line.removeprefix("* ") for line in said if " is invalid:" not in line)
    return [sentence for sentence in sentences if sentence and not sentence.startswith("<nil>")]


@pytest.mark.parametrize(("address", "sentence"), BAD_ADDRESSES)
def test_a_bad_address_is_refused_in_a_sentence(api: Bare, address: str, sentence: str) -> None:
    expected = f'spec.addresses[0]: Invalid value: "{address}": "{address}" {sentence}'
    assert create(api, manifest("IPAddressPool", pool(address))) == [expected]


@pytest.mark.parametrize(("kind", "spec", "path", "sentence"), REFUSED)
def test_a_bad_object_is_refused_in_a_sentence(
    api: Bare, kind: str, spec: str, path: str, sentence: str
) -> None:
    said = create(api, manifest(kind, spec))
    assert said == [f"{path}: {sentence.replace('{path}', path)}"]


@pytest.mark.parametrize(("kind", "spec"), ACCEPTED)
def test_accepted(api: Bare, kind: str, spec: str) -> None:
    assert create(api, manifest(kind, spec)) == []


def test_every_problem_is_told_at_once(api: Bare) -> None:
    assert create(api, manifest("IPAddressPool", pool("x", "10.0.0.0/8", "10.0.0.9-10.0.0.2"))) == [
        'spec.addresses[0]: Invalid value: "x": "x" is neither a CIDR nor a range',
        'spec.addresses[2]: Invalid value: "10.0.0.9-10.0.0.2":'
        ' "10.0.0.9-10.0.0.2" ends before it begins',
    ]


def test_a_misspelt_field_is_told(api: Bare) -> None:
    (said,) = create(api, manifest("IPAddressPool", "{addresses: [10.0.0.0/8], autoasign: true}"))
    assert said.endswith('strict decoding error: unknown field "spec.autoasign"')


# --- what people see ------------------------------------------------------------------------------

WALKTHROUGH = """
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: my-ippool, namespace: metallb-system}
spec: {addresses: [172.20.255.200-172.20.255.250]}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: my-l2-advertise, namespace: metallb-system}
spec: {ipAddressPools: [my-ippool]}
---
apiVersion: metallb.io/v1beta1
kind: ServiceL2Status
metadata: {name: l2-abcde, namespace: metallb-system}
"""

STATES = """
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: my-bgp-advertise, namespace: metallb-system}
spec: {ipAddressPools: [my-ippool], peers: [my-peer]}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: my-peer, namespace: metallb-system}
spec: {myASN: 64500, peerASN: 64501, peerAddress: 172.20.0.100, bfdProfile: quick}
---
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: quick, namespace: metallb-system}
spec: {receiveInterval: 100, transmitInterval: 150, detectMultiplier: 5, passiveMode: true}
---
apiVersion: metallb.io/v1beta1
kind: Community
metadata: {name: my-names, namespace: metallb-system}
spec: {communities: [{name: far, value: "64500:7"}]}
---
apiVersion: metallb.io/v1beta1
kind: ServiceBGPStatus
metadata: {name: bgp-abcde, namespace: metallb-system}
---
apiVersion: metallb.io/v1beta1
kind: ConfigurationState
metadata: {name: speaker-n1, namespace: metallb-system}
---
apiVersion: bellmetal.io/v1alpha1
kind: BGPSessionStatus
metadata: {name: n1-router-0, namespace: metallb-system}
status:
  {node: n1, peer: router, remote: 192.0.2.1, state: Active, since: "2026-01-01T00:00:00Z",
   reason: WrongASN, prefixes: {sent: 0}, bfd: {state: Down}}
"""

# The age of an object is left out.
TABLES = {
    "ipaddresspools": """\
NAME        AUTO ASSIGN   AVOID BUGGY IPS   ADDRESSES
my-ippool   true          false             ["172.20.255.200-172.20.255.250"]
""",
    "l2advertisements": """\
NAME              IPADDRESSPOOLS   IPADDRESSPOOL SELECTORS   INTERFACES
my-l2-advertise   ["my-ippool"]
""",
    "servicel2status": """\
NAME       ALLOCATED NODE   SERVICE NAME   SERVICE NAMESPACE
l2-abcde   n1               svc1           default
""",
    "bgpadvertisements": """\
NAME               IPADDRESSPOOLS   IPADDRESSPOOL SELECTORS   PEERS
my-bgp-advertise   ["my-ippool"]                              ["my-peer"]
""",
    "bgppeers": """\
NAME      ADDRESS        ASN     BFD PROFILE   MULTI HOPS
my-peer   172.20.0.100   64501   quick
""",
    "bgppeers.v1beta1.metallb.io": """\
NAME      ADDRESS        ASN     BFD PROFILE   MULTI HOPS
my-peer   172.20.0.100   64501   quick
""",
    "bfdprofiles": """\
NAME    PASSIVE MODE   TRANSMIT INTERVAL   RECEIVE INTERVAL   MULTIPLIER
quick   true           150                 100                5
""",
    "servicebgpstatus": """\
NAME        NODE   SERVICE NAME   SERVICE NAMESPACE
bgp-abcde   n1     svc1           default
""",
    "configurationstates": """\
NAME         RESULT    ERRORSUMMARY
speaker-n1   Invalid   no good
""",
    "bgpsessions": """\
NAME          NODE   PEER     REMOTE      STATE    SINCE   REASON     PREFIXES   BFD
n1-router-0   n1     router   192.0.2.1   Active   DAYS    WrongASN   0          Down
""",
}


def test_kubectl_get_prints_the_known_tables(api: Bare) -> None:
    api.kubectl("apply", "-f", "-", input=WALKTHROUGH + STATES)
    status = {"node": "n1", "serviceName": "svc1", "serviceNamespace": "default"}
    write_status(api.rest, place("ServiceL2Status", "l2-abcde"), status)
    write_status(api.rest, place("ServiceBGPStatus", "bgp-abcde"), status)
    verdict = {"result": "Invalid", "errorSummary": "no good"}
    write_status(api.rest, place("ConfigurationState", "speaker-n1"), verdict)
    for resource, table in TABLES.items():
        printed = api.kubectl("get", resource, "-n", NAMESPACE).stdout
        shown = [re.sub(r" +(AGE|\d+s)?$", "", line) for line in printed.splitlines()]
        shown = [re.sub(r"(?<=Active   )\d+d +", "DAYS    ", line) for line in shown]
        assert shown == table.splitlines()
    named = api.kubectl("get", "communities", "-n", NAMESPACE).stdout
    assert named.split()[:3] == ["NAME", "AGE", "my-names"]
    wide = api.kubectl("get", "l2advertisements,bgpadvertisements", "-n", NAMESPACE, "-o", "wide")
    assert wide.stdout.count("NODE SELECTORS") == 2


@pytest.mark.parametrize("kind", ["ServiceL2Status", "ServiceBGPStatus"])
def test_a_status_stays_with_its_service(api: Bare, kind: str) -> None:
    api.rest.post(place(kind), parsed(kind, "{}", "fixed"))
    for key in ("node", "serviceName", "serviceNamespace"):
        write_status(api.rest, place(kind, "fixed"), {key: "a"})
        sentence = rf"status\.{key}: Invalid value: .*Value is immutable: it cannot be changed once"
        with pytest.raises(ApiError, match=sentence):
            write_status(api.rest, place(kind, "fixed"), {key: "b"})
    api.rest.request("DELETE", place(kind, "fixed"))


def write_status(rest: Rest, where: str, status: Json) -> None:
    rest.request("PATCH", f"{where}/status", {"status": status}, MERGE)


EXPLAINED = [
    ("ipaddresspools.metallb.io", "A stock of addresses that Services of type LoadBalancer"),
    ("ipaddresspools.spec.addresses", "Each entry is a CIDR such as"),
    ("l2advertisements.spec.preferredNodeSelectors.weight", "How much it counts, from 1 to 100."),
    ("servicel2statuses.status.node", "The node that answers."),
    ("bgpadvertisements.spec.communities", "a name that a Community object gives"),
    ("bgppeers", "A router that nodes speak BGP with."),
    ("bgppeers.spec.holdTime", "before it gives the other up, for example 90s."),
    ("bfdprofiles.spec.detectMultiplier", "None: 3."),
    ("communities.spec.communities.value", "such as 65000:100 (RFC 1997)"),
    ("servicebgpstatuses.status.peers", "Names of the BGPPeers"),
    ("bgpsessions.status.negotiated.holdTime", "Seconds without a message, after which"),
    ("bgpsessions.status.lastNotification.direction", "sent, by this node, or received"),
    ("configurationstates.status.result", "Valid if the whole configuration is in force"),
    ("annslice.spec.announcements.term", "the higher term holds."),
]


@pytest.mark.parametrize(("field", "text"), EXPLAINED)
def test_kubectl_explains(api: Bare, field: str, text: str) -> None:
    said = api.kubectl("explain", field).stdout
    assert text in " ".join(said.split())


@pytest.mark.parametrize("version", sorted({*GROUPS.values(), "metallb.io/v1beta1"}))
def test_every_field_is_explained(api: Bare, version: str) -> None:
    schemas = api.rest.get(f"/openapi/v3/apis/{version}")["components"]["schemas"]
    start = ".".join(reversed(version.split("/")[0].split("."))) + "."
    ours = {name: item for name, item in schemas.items() if name.startswith(start)}
    kinds = {name.rsplit(".", 1)[1] for name in ours if not name.endswith("List")}
    assert kinds >= {kind for kind, group in GROUPS.items() if group == version}
    assert [text for name in ours for text in unexplained(name, ours[name])] == []


def unexplained(name: str, schema: Json) -> list[str]:
    """The paths of what `kubectl explain` has no word about."""
    found = [] if schema.get("description") else [name]
    for key, item in schema.get("properties", {}).items():
        if "allOf" not in item or not item.get("description"):  # metadata is the server's own
            found += unexplained(f"{name}.{key}", item)
    inner = schema.get("items") or schema.get("additionalProperties")
    if inner and "properties" in inner:
        found += unexplained(name + "[]", inner)
    return found


def test_a_spec_of_nothing_but_addresses_has_the_defaults(api: Bare) -> None:
    text = manifest("IPAddressPool", pool("10.0.0.0/8"))
    done = api.kubectl("create", "--dry-run=server", "-o", "yaml", "-f", "-", input=text)
    assert yaml.safe_load(done.stdout)["spec"] == {
        "addresses": ["10.0.0.0/8"],
        "autoAssign": True,
        "avoidBuggyIPs": False,
    }


def test_the_api_server_finds_nothing_wrong_with_the_crds(api: Bare) -> None:
    bodies = api.rest.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")["items"]
    assert len(bodies) == len(GROUPS)
    for body in bodies:
        states = {item["type"]: item["status"] for item in body["status"]["conditions"]}
        assert states == {"NamesAccepted": "True", "Established": "True"}, body["metadata"]["name"]


# --- what a speaker may write ---------------------------------------------------------------------

REPORTS, STATUSES = place("SpeakerReport"), place("ServiceL2Status")
BGP_STATUSES, CONFIGURATION_STATES = place("ServiceBGPStatus"), place("ConfigurationState")
SESSIONS = place("BGPSessionStatus")
OF_N1, OF_N2 = "{metallb.io/node: n1}", "{metallb.io/node: n2}"
WRONG_REPORT = 'the speaker of node "n1" may write only the SpeakerReport of that name'
WRONG_STATUS = (
    'the speaker of node "n1" may write only ServiceL2Statuses with the label metallb.io/node=n1'
)
WRONG_BGP_STATUS = WRONG_STATUS.replace("ServiceL2Statuses", "ServiceBGPStatuses")
WRONG_SESSION = WRONG_STATUS.replace("ServiceL2Statuses", "BGPSessionStatuses")
WRONG_STATE = 'the speaker of node "n1" may write only the ConfigurationState speaker-n1'
WRONG_NODE = 'the speaker of node "n1" may not write the status of node "n2"'


def report(name: str) -> Json:
    return parsed("SpeakerReport", "{version: 1}", name)


def l2_status(name: str, labels: str) -> Json:
    return parsed("ServiceL2Status", "{}", name, labels)


def bgp_status(name: str, labels: str) -> Json:
    return parsed("ServiceBGPStatus", "{}", name, labels)


def session(name: str, labels: str, node: str = "n1") -> Json:
    return parsed("BGPSessionStatus", f"{{node: {node}, state: Idle}}", name, labels)


def state(name: str) -> Json:
    return parsed("ConfigurationState", "{}", name)


def labels(node: str) -> Json:
    return {"metadata": {"labels": {"metallb.io/node": node}}}


VERDICT: Json = {"status": {"result": "Valid"}}

# By the speaker of n1, in this order. Others wrote what `things` has.
WRITES: list[tuple[str, str, Json | None, str]] = [
    ("POST", REPORTS, report("n1"), ""),
    ("PATCH", f"{REPORTS}/n1", {"status": {"bootID": "b"}}, ""),
    ("POST", REPORTS, report("n3"), WRONG_REPORT),
    ("PATCH", f"{REPORTS}/n2", {"status": {"bootID": "b"}}, WRONG_REPORT),
    ("DELETE", f"{REPORTS}/n1", None, "cannot delete resource"),
    ("POST", STATUSES, l2_status("mine", OF_N1), ""),
    ("POST", STATUSES, l2_status("another", OF_N2), WRONG_STATUS),
    ("POST", STATUSES, l2_status("another", "{}"), WRONG_STATUS),
    ("PATCH", f"{STATUSES}/n1", {"metadata": {"labels": {"a": "b"}}}, ""),
    ("PATCH", f"{STATUSES}/n1", labels("n2"), WRONG_STATUS),
    ("PATCH", f"{STATUSES}/n2", labels("n1"), WRONG_STATUS),
    ("PATCH", f"{STATUSES}/n1/status", {"status": {"node": "n2"}}, WRONG_NODE),
    ("PATCH", f"{STATUSES}/n1/status", {"status": {"node": "n1"}}, ""),
    ("PATCH", f"{STATUSES}/n2/status", {"status": {"node": "n1"}}, WRONG_STATUS),
    ("DELETE", f"{STATUSES}/n2", None, WRONG_STATUS),
    ("DELETE", f"{STATUSES}/n1", None, ""),
    ("POST", BGP_STATUSES, bgp_status("mine", OF_N1), ""),
    ("POST", BGP_STATUSES, bgp_status("another", OF_N2), WRONG_BGP_STATUS),
    ("PATCH", f"{BGP_STATUSES}/n2/status", {"status": {"peers": ["p"]}}, WRONG_BGP_STATUS),
    ("PATCH", f"{BGP_STATUSES}/mine/status", {"status": {"node": "n2"}}, WRONG_NODE),
    ("PATCH", f"{BGP_STATUSES}/mine/status", {"status": {"node": "n1", "peers": ["p"]}}, ""),
    ("DELETE", f"{BGP_STATUSES}/n2", None, WRONG_BGP_STATUS),
    ("DELETE", f"{BGP_STATUSES}/mine", None, ""),
    ("POST", SESSIONS, session("mine", OF_N1), ""),
    ("POST", SESSIONS, session("another", OF_N2), WRONG_SESSION),
    ("POST", SESSIONS, session("another", OF_N1, node="n2"), WRONG_NODE),
    ("PATCH", f"{SESSIONS}/mine", {"status": {"state": "Active"}}, ""),
    ("PATCH", f"{SESSIONS}/mine", {"status": {"node": "n2"}}, WRONG_NODE),
    ("PATCH", f"{SESSIONS}/n2", {"status": {"state": "Established"}}, WRONG_SESSION),
    ("PATCH", f"{SESSIONS}/n2", labels("n1"), WRONG_SESSION),
    ("DELETE", f"{SESSIONS}/n2", None, WRONG_SESSION),
    ("PATCH", f"{SESSIONS}/bare-n1", {"status": {"state": "Active"}}, WRONG_SESSION),
    ("PATCH", f"{SESSIONS}/bare-n1", labels("n1"), ""),  # somebody had taken the label away
    ("PATCH", f"{SESSIONS}/bare-n2", labels("n1"), WRONG_SESSION),
    ("DELETE", f"{SESSIONS}/bare-n2", None, WRONG_SESSION),
    ("DELETE", f"{SESSIONS}/mine", None, ""),
    ("POST", CONFIGURATION_STATES, state("speaker-n1"), ""),
    ("POST", CONFIGURATION_STATES, state("speaker-n3"), WRONG_STATE),
    ("POST", CONFIGURATION_STATES, state("n1"), WRONG_STATE),
    ("PATCH", f"{CONFIGURATION_STATES}/controller", {"metadata": {"labels": {}}}, WRONG_STATE),
    ("PATCH", f"{CONFIGURATION_STATES}/controller/status", VERDICT, WRONG_STATE),
    ("PATCH", f"{CONFIGURATION_STATES}/speaker-n1/status", VERDICT, ""),
    ("DELETE", f"{CONFIGURATION_STATES}/speaker-n1", None, "cannot delete resource"),
]


@pytest.fixture(scope="module")
def things(api: Bare) -> None:
    """What the others wrote, and a policy that is in force."""
    api.kubectl("delete", "configurationstates", "--all", "-n", NAMESPACE)
    statuses = [l2_status("n1", OF_N1), l2_status("n2", OF_N2), bgp_status("n2", OF_N2)]
    sessions = [session(f"bare-{node}", "{}", node) for node in ("n1", "n2")]
    sessions.append(session("n2", OF_N2, "n2"))
    api.apply([report("n2"), *statuses, *sessions, state("controller")])
    speaker = hand(api, "n1")
    until(lambda: "denied" in answer(speaker, "POST", REPORTS, report("n3")), "the policy", 10)


def test_a_speaker_writes_only_what_is_its_nodes(api: Bare, things: None) -> None:
    speaker = hand(api, "n1")
    for method, path, body, sentence in WRITES:
        said = answer(speaker, method, path, body)
        assert sentence in said if sentence else said == "", (method, path, body)


def test_a_token_that_is_no_nodes_writes_nothing(api: Bare, things: None) -> None:
    said = answer(hand(api, None), "PATCH", f"{REPORTS}/n2", {"status": {"bootID": "b"}})
    assert said.endswith("a speaker's token must be bound to a node")


def test_the_policy_concerns_speakers_alone(api: Bare, things: None) -> None:
    controller = hand(api, None, "bellmetal-controller")
    assert answer(controller, "DELETE", f"{STATUSES}/n2", None) == ""
    assert "cannot delete" in answer(
        controller, "DELETE", f"{REPORTS}/n2", None
    )  # nothing needs it
    assert answer(controller, "DELETE", f"{BGP_STATUSES}/n2", None) == ""
    assert answer(controller, "DELETE", f"{SESSIONS}/n2", None) == ""
    assert answer(controller, "PATCH", f"{CONFIGURATION_STATES}/controller/status", VERDICT) == ""


ABLE = [
    ("controller", "patch", "services --subresource=status", "default", "yes"),
    ("controller", "patch", "services", "default", "no"),
    ("controller", "list", "secrets", NAMESPACE, "yes"),
    ("controller", "list", "secrets", "default", "no"),
    ("controller", "patch", "secrets/bellmetal-bgp-passwords", NAMESPACE, "yes"),
    ("controller", "patch", "secrets/memberlist", NAMESPACE, "no"),
    ("controller", "delete", "secrets/bellmetal-bgp-passwords", NAMESPACE, "no"),
    ("controller", "update", "ipaddresspools.metallb.io", NAMESPACE, "no"),
    ("controller", "patch", "ipaddresspools.metallb.io", NAMESPACE, "no"),
    ("controller", "patch", "ipaddresspools.metallb.io --subresource=status", NAMESPACE, "yes"),
    ("controller", "watch", "bgppeers.metallb.io", NAMESPACE, "yes"),
    ("controller", "watch", "bgppeers.metallb.io", "default", "no"),
    ("controller", "create", "servicebgpstatuses.metallb.io", NAMESPACE, "no"),
    ("controller", "update", "leases.coordination.k8s.io/another", NAMESPACE, "no"),
    ("speaker", "watch", "announcementslices.bellmetal.io", NAMESPACE, "yes"),
    ("speaker", "list", "services", "default", "no"),
    ("speaker", "get", "secrets/memberlist", NAMESPACE, "no"),
    ("speaker", "list", "pods", NAMESPACE, "no"),
    ("speaker", "get", "bgppeers.metallb.io", NAMESPACE, "no"),
    ("speaker", "patch", "bgpsessionstatuses.bellmetal.io", NAMESPACE, "yes"),
    ("controller", "patch", "bgpsessionstatuses.bellmetal.io", NAMESPACE, "no"),
]


@pytest.mark.parametrize(("name", "verb", "resource", "namespace", "expected"), ABLE)
def test_rights(
    api: Bare, name: str, verb: str, resource: str, namespace: str, expected: str
) -> None:
    user = f"--as=system:serviceaccount:{NAMESPACE}:bellmetal-{name}"
    asked = ("auth", "can-i", verb, *resource.split(), "-n", namespace, user)
    assert api.kubectl(*asked, check=False).stdout.strip() == expected


# --- an installation's life; last, because it ends what the others use ----------------------------


def test_pools_outlive_an_upgrade_and_an_uninstall(api: Bare) -> None:
    api.kubectl("apply", "-f", "-", input=manifest("IPAddressPool", pool("10.0.0.0/8"), "kept"))
    api.helm("upgrade", "bellmetal", CHART, "-n", NAMESPACE, "--set", "controller.replicas=2")
    api.helm("uninstall", "bellmetal", "-n", NAMESPACE)
    assert "kubectl describe service NAME" in install(api)
    assert "kept" in api.kubectl("get", "ipaddresspools", "-n", NAMESPACE).stdout
