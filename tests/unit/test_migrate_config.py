"""MetalLB's configuration of before 0.13 → objects of today: which field becomes which."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from bellmetal.cli.files import FileError
from bellmetal.cli.migrate.config import fetch, main, show, tell
from bellmetal.cli.migrate.conversion import Conversion, convert, without_faults
from bellmetal.cli.migrate.legacy import parse, read_source
from bellmetal.moving import MigrateConfigSettings
from small_api import SmallApi

Json = dict[str, Any]
POOL = "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}"
ROUTED = "{name: r, protocol: bgp, addresses: [192.0.2.0/28]}"
PEER = "{my-asn: 64500, peer-asn: 64501, peer-address: 10.0.0.1}"


def converted(text: str) -> Conversion:
    return convert(parse(yaml.load(text, yaml.BaseLoader)), "metallb-system")


def objects(text: str) -> dict[str, Json]:
    """By kind and name; the input must be without a fault."""
    found = converted(text)
    assert found.faults == ()
    return {f"{item.kind}/{item.name}": item.body for item in found.made}


def faults(text: str) -> list[str]:
    return [str(item) for item in converted(text).faults]


def peers(*fields: str) -> str:
    return f"peers: [{', '.join(fields)}]"


def pools(*fields: str) -> str:
    return f"address-pools: [{', '.join(fields)}]"


def more(given: str, fields: str) -> str:
    """An object of the input, with more fields."""
    return f"{given[:-1]}, {fields}}}"


# --- pools ---------------------------------------------------------------------------------------


def test_a_pool_of_layer_2_gets_an_advertisement_of_its_name() -> None:
    found = objects(pools(POOL))
    assert found["IPAddressPool/lan"] == {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": {"name": "lan", "namespace": "metallb-system"},
        "spec": {"addresses": ["192.0.2.0/28"]},
    }
    assert found["L2Advertisement/lan"]["spec"] == {"ipAddressPools": ["lan"]}
    assert len(found) == 2


def test_what_a_pool_says_besides() -> None:
    text = "{name: a, protocol: layer2, addresses: [192.0.2.5-192.0.2.9, 2001:db8::/120],"
    text += " avoid-buggy-ips: true, auto-assign: false}"
    assert objects(pools(text))["IPAddressPool/a"]["spec"] == {
        "addresses": ["192.0.2.5-192.0.2.9", "2001:db8::/120"],
        "autoAssign": False,
        "avoidBuggyIPs": True,
    }


def test_a_routed_pool_without_advertisements_is_announced_all_the_same() -> None:
    found = objects(pools(ROUTED) + "\n" + peers(PEER))
    assert found["BGPAdvertisement/r"]["spec"] == {"ipAddressPools": ["r"]}
    assert not [name for name in found if name.startswith("L2")]


def test_each_advertisement_of_a_pool_is_an_object() -> None:
    text = "{name: r, protocol: bgp, addresses: [192.0.2.0/24], bgp-advertisements: ["
    text += "{aggregation-length: 32, localpref: 100, communities: [mine, 1:2]},"
    text += "{aggregation-length: 24, aggregation-length-v6: 64}]}"
    found = objects(f'{pools(text)}\n{peers(PEER)}\nbgp-communities: {{mine: "3:4"}}')
    assert found["BGPAdvertisement/r-1"]["spec"] == {
        "ipAddressPools": ["r"],
        "aggregationLength": 32,
        "localPref": 100,
        "communities": ["mine", "1:2"],
    }
    assert found["BGPAdvertisement/r-2"]["spec"] == {
        "ipAddressPools": ["r"],
        "aggregationLength": 24,
        "aggregationLengthV6": 64,
    }
    assert found["Community/communities"]["spec"] == {
        "communities": [{"name": "mine", "value": "3:4"}]
    }


def test_a_name_that_no_object_may_have_becomes_another_and_is_told() -> None:
    found = converted(
        pools(
            POOL.replace("lan", "My_Pool"),
            POOL.replace("lan, ", "my-pool, ").replace("192.0.2", "198.51.100"),
        )
    )
    names = [item.name for item in found.made if item.kind == "IPAddressPool"]
    assert names == ["my-pool", "my-pool-x"]
    assert next(note for item in found.made for note in item.notes) == (
        'address-pools[0].name: "My_Pool" cannot be the name of an object; it is called my-pool'
        " now; Services that ask for it by the annotation address-pool have to be changed"
    )


# --- peers ---------------------------------------------------------------------------------------


def test_a_peer_with_everything() -> None:
    text = (
        "{my-asn: 64500, peer-asn: 64501, peer-address: 10.0.0.1, source-address: 10.0.0.9,"
        " peer-port: 1179, hold-time: 120s, keepalive-time: 40s, router-id: 10.10.10.10,"
        " bfd-profile: Fast, ebgp-multihop: true, password: 0123,"
        " node-selectors: [{match-labels: {rack: a}},"
        " {match-expressions: [{key: k, operator: NotIn, values: [v]},"
        " {key: e, operator: Exists}]}]}"
    )
    found = objects(
        peers(text) + "\nbfd-profiles: [{name: Fast, minimum-ttl: 200, echo-mode: true}]"
    )
    assert found["BGPPeer/peer-1"] == {
        "apiVersion": "metallb.io/v1beta2",
        "kind": "BGPPeer",
        "metadata": {"name": "peer-1", "namespace": "metallb-system"},
        "spec": {
            "myASN": 64500,
            "peerASN": 64501,
            "peerAddress": "10.0.0.1",
            "sourceAddress": "10.0.0.9",
            "peerPort": 1179,
            "holdTime": "120s",
            "keepaliveTime": "40s",
            "routerID": "10.10.10.10",
            "nodeSelectors": [
                {"matchLabels": {"rack": "a"}},
                {
                    "matchExpressions": [
                        {"key": "k", "operator": "NotIn", "values": ["v"]},
                        {"key": "e", "operator": "Exists"},
                    ]
                },
            ],
            "passwordSecret": {"name": "bgp-peer-1"},
            "bfdProfile": "fast",
            "ebgpMultiHop": True,
        },
    }
    assert found["BFDProfile/fast"]["spec"] == {"minimumTtl": 200, "echoMode": True}
    secret = found["Secret/bgp-peer-1"]
    assert (secret["type"], secret["stringData"]) == (
        "kubernetes.io/basic-auth",
        {"password": "0123"},
    )


def test_a_password_is_in_its_secret_and_nowhere_else() -> None:
    found = converted(peers(more(PEER, "password: s3cret-w0rd")))
    (secret,) = [item for item in found.made if item.kind == "Secret"]
    rest = [item.body for item in found.made if item.kind != "Secret"]
    assert secret.body["stringData"] == {"password": "s3cret-w0rd"}
    said = io.StringIO()
    tell(found, said)
    assert "s3cret-w0rd" not in f"{json.dumps(rest)} {found} {said.getvalue()}"


def test_the_help_for_what_has_no_counterpart() -> None:
    inside = PEER.replace("64501", "64500")
    text = f"{peers(inside)}\n{pools(ROUTED)}"
    notes = converted(f"{text}\npeer-autodiscovery: {{from-labels: []}}").notes
    assert [note.partition(":")[0] for note in notes] == ["peer-autodiscovery", "peers"]
    alone = converted(pools(ROUTED)).notes
    assert alone == (
        "address-pools: some are announced by BGP, and there are no peers to announce them to",
    )


# --- what is wrong -------------------------------------------------------------------------------

WRONG = [
    (pools(POOL.replace("2.0/28", "2.300/28")), 'address-pools[0].addresses[0]: "192.0.2.300/28"'),
    (
        pools(POOL, "{name: b, protocol: layer2, addresses: [192.0.2.8/29]}"),
        'address-pools[1].addresses[0]: "192.0.2.8-192.0.2.15" overlaps with IPAddressPool/lan',
    ),
    (pools(POOL.replace("layer2", "arp")), 'address-pools[0].protocol: "arp" is neither'),
    (pools("{name: a, addresses: [192.0.2.0/28]}"), "address-pools[0].protocol: is missing"),
    (pools("{protocol: layer2, addresses: [192.0.2.0/28]}"), "address-pools[0].name: is missing"),
    (pools(POOL, POOL.replace("2.0", "3.0")), 'address-pools[1].name: "lan" stands there twice'),
    (
        pools(POOL.replace("addresses", "adresses")),
        'address-pools[0].adresses: unknown field; did you mean "addresses"?',
    ),
    (
        pools(more(POOL, "bgp-advertisements: [{localpref: 1}]")),
        'address-pools[0].bgp-advertisements: goes with protocol "bgp" alone',
    ),
    (
        pools(more(ROUTED, "bgp-advertisements: [{aggregation-length: 33}]")),
        "address-pools[0].bgp-advertisements[0].aggregation-length: ",
    ),
    (
        pools(more(ROUTED, "bgp-advertisements: [{communities: [no]}]")),
        "address-pools[0].bgp-advertisements[0].communities[0]: ",
    ),
    (pools(more(POOL, "auto-assign: maybe")), "address-pools[0].auto-assign: cannot be read"),
    (peers("{my-asn: 64500, peer-asn: 1}"), "peers[0].peer-address: "),
    (peers(more(PEER, "hold-time: 90")), "peers[0].hold-time: "),
    (peers(more(PEER, "bfd-profile: none")), "peers[0].bfd-profile: there is no BFDProfile"),
    (
        peers(more(PEER, "node-selectors: [{match-expressions: [{key: a, operator: Is}]}]")),
        "peers[0].node-selectors[0].match-expressions[0].operator: ",
    ),
    (peers(more(PEER, f"password: {'x' * 81}")), "peers[0].password: has more than 80 bytes"),
    ("bgp-communities: {mine: abc}", "bgp-communities.mine: invalid community format"),
    ("bfd-profiles: [{name: a, receive-interval: 1}]", "bfd-profiles[0].receive-interval: "),
    ("peers: {a: b}", "peers: is an object, not a list"),
    ("config-inline: {}", "config-inline: unknown field; there are peers, address-pools"),
]


@pytest.mark.parametrize(("text", "beginning"), WRONG)
def test_what_is_wrong_is_said_by_its_path_in_the_input(text: str, beginning: str) -> None:
    said = faults(text)
    assert [line for line in said if line.startswith(beginning)], said


def test_of_a_profile_that_cannot_be_read_its_peers_are_not_blamed() -> None:
    text = f"{peers(more(PEER, 'bfd-profile: a'))}\nbfd-profiles: [{{name: a, echo-mode: yes}}]"
    assert faults(text) == [
        "bfd-profiles[0].echo-mode: cannot be read: expected bool | null, got str"
    ]


def test_with_a_fault_nothing_is_there_to_apply() -> None:
    found = without_faults(converted(pools(POOL, "{}")))
    assert found.made == ()
    out = io.StringIO()
    show(found, "yaml", out)
    assert out.getvalue() == ""


# --- where it is read from -----------------------------------------------------------------------

CONFIG_MAP = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "config"}}

SOURCES = [
    yaml.safe_dump(yaml.safe_load(pools(POOL))),
    yaml.safe_dump({**CONFIG_MAP, "data": {"config": pools(POOL)}}),
    json.dumps({**CONFIG_MAP, "data": {"config": pools(POOL)}}),
    yaml.safe_dump(
        {
            "kind": "List",
            "apiVersion": "v1",
            "items": [
                {"kind": "ConfigMap", "metadata": {"name": "other"}, "data": {"a": "b"}},
                {**CONFIG_MAP, "data": {"config": pools(POOL)}},
            ],
        }
    ),
]


@pytest.mark.parametrize("text", SOURCES)
def test_bare_in_its_config_map_and_in_a_list(text: str, tmp_path: Path) -> None:
    file = tmp_path / "old.yaml"
    file.write_text(text)
    assert parse(read_source(str(file))).pools[0].name == "lan"


UNREADABLE = [
    ("{}\n---\n{}", "document 1 and {file}, document 2: both have a configuration"),
    ("", "{file}: no configuration of MetalLB in it"),
    ("kind: Pod", "document 1: is a Pod; a ConfigMap or what stands in it is expected"),
    ("kind: ConfigMap\ndata: {a: b}", 'document 1: ConfigMap data: has no key "config"'),
    ("- a", "document 1: is a list, not an object"),
    ("kind: ConfigMap\ndata: {config: 'a: [s3cret'}", "data.config, document 1: line 1, column"),
]


@pytest.mark.parametrize(("text", "sentence"), UNREADABLE)
def test_what_cannot_be_read(text: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "old.yaml"
    file.write_text(text)
    with pytest.raises(FileError) as error:
        read_source(str(file))
    assert sentence.format(file=file) in str(error.value)
    assert "s3cret" not in str(error.value)


SETTINGS = MigrateConfigSettings("metallb-system", "", True, "config", "yaml")


async def test_out_of_the_cluster() -> None:
    api = SmallApi()
    with pytest.raises(FileError, match="the cluster has none; --namespace and --config-map"):
        await fetch(api, SETTINGS)
    path = "/api/v1/namespaces/metallb-system/configmaps/config"
    api.put(path, {**CONFIG_MAP, "data": {"config": pools(POOL)}})
    assert parse(await fetch(api, SETTINGS)).pools[0].name == "lan"


# --- what is printed, and exit statuses ----------------------------------------------------------


def run(tmp_path: Path, text: str, output: str = "yaml") -> int:
    file = tmp_path / "old.yaml"
    file.write_text(text)
    return main(MigrateConfigSettings("metallb-system", str(file), False, "config", output))


def test_exit_statuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, pools(POOL)) == 0
    assert run(tmp_path, pools("{}")) == 4
    assert run(tmp_path, "kind: Pod") == 2
    captured = capsys.readouterr()
    assert captured.out.count("kind: IPAddressPool") == 1
    assert "bellmetal migrate config: nothing is converted while there are problems" in captured.err


def test_the_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, f"{pools(POOL)}\n{peers(more(PEER, 'password: x'))}", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [item["kind"] for item in found["objects"]] == [
        "Secret", "BGPPeer", "IPAddressPool", "L2Advertisement",
    ]  # fmt: skip
    assert found["notes"] == ["peers[0].password: stands in the Secret bgp-peer-1 now"]
    assert (found["version"], found["problems"]) == (1, [])


def test_notes_stand_above_the_object_that_they_are_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, peers(more(PEER, "password: x")))
    documents = capsys.readouterr().out.split("---\n")
    assert documents[2].startswith("# peers[0].password: stands in the Secret bgp-peer-1 now\n")
    assert yaml.safe_load(documents[2])["kind"] == "BGPPeer"
