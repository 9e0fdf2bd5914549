"""What kubeadm and kube-proxy were told: ConfigMaps and flags; and the Services' networks.

May live here: reading these, and their form. May not: judgement (`bellmetal.preflight`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from bellmetal.api import ApiError, Client
from bellmetal.preflight import objects
from bellmetal.preflight.seen import KubeProxy

SYSTEM = "/api/v1/namespaces/kube-system/configmaps"
SERVICE_CIDRS = "/apis/networking.k8s.io/v1/servicecidrs"
ON = ("true", "strict")  # cilium-config, kube-proxy-replacement; strict until 1.14


async def read_kube_proxy(client: Client) -> KubeProxy | None:
    """As its ConfigMap says; None: there is none. Raises ApiError."""
    found = await _config_map(client, "kube-proxy")
    if found is not None:
        return parse_kube_proxy(found.data.get("config.conf", ""))
    cilium = await _config_map(client, "cilium-config")
    if cilium is not None and cilium.data.get("kube-proxy-replacement", "").lower() in ON:
        return KubeProxy(replaced_by="Cilium")
    return None


def parse_kube_proxy(text: str) -> KubeProxy:
    """KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1); no mode is the default's."""
    body, fault = _mapping(text)
    if fault:
        return KubeProxy(fault=f"config.conf {fault}")
    ipvs = body.get("ipvs") or {}
    ports = body.get("nodePortAddresses") or ()
    if not isinstance(ipvs, dict) or not isinstance(ports, list | tuple):
        return KubeProxy(fault="config.conf: ipvs or nodePortAddresses is of another form")
    mode = str(body.get("mode") or "iptables")
    return KubeProxy(mode, bool(ipvs.get("strictARP")), tuple(map(str, ports)))


def kube_proxy_of_flags(workloads: Iterable[objects.Workload]) -> KubeProxy | None:
    """As its command line says, where there is no ConfigMap; None: it is not seen to run."""
    for workload in workloads:
        for container in workload.containers:
            words = [*container.command, *container.args]
            if container.name != "kube-proxy" or any(_is_file(word) for word in words):
                continue
            flags = dict(word.lstrip("-").partition("=")[::2] for word in words)
            strict = flags.get("ipvs-strict-arp", "false") in ("", "true")
            ports = _listed(flags.get("nodeport-addresses"))
            return KubeProxy(flags.get("proxy-mode") or "iptables", strict, ports)
    return None


def _is_file(word: str) -> bool:
    """Flags count for nothing where there is a file of configuration."""
    return word.startswith("--config")


async def read_networks(client: Client) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """CIDRs of pods and of Services, as far as anybody says. Raises ApiError."""
    pods, services = parse_kubeadm(await _config_map(client, "kubeadm-config"))
    try:
        found, _ = await client.list(objects.ServiceCIDR, SERVICE_CIDRS)
    except ApiError as error:
        if not error.gone and error.code != 403:
            raise
        found = []
    told = [cidr for item in found for cidr in item.spec.cidrs]
    return pods, tuple(dict.fromkeys([*told, *services]))


def parse_kubeadm(body: objects.ConfigMap | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """ClusterConfiguration's networking: podSubnet and serviceSubnet, both with commas."""
    text = body.data.get("ClusterConfiguration", "") if body else ""
    networking = _mapping(text)[0].get("networking") or {}
    if not isinstance(networking, dict):
        return (), ()
    return _listed(networking.get("podSubnet")), _listed(networking.get("serviceSubnet"))


async def _config_map(client: Client, name: str) -> objects.ConfigMap | None:
    try:
        return await client.get(objects.ConfigMap, f"{SYSTEM}/{name}")
    except ApiError as error:
        if error.gone:
            return None
        raise


def _mapping(text: str) -> tuple[dict[str, Any], str]:
    """A YAML mapping, and what is wrong with the text if it is none."""
    try:
        body = yaml.safe_load(text) if text else {}
    except yaml.YAMLError:
        return {}, "is no YAML"
    return (body, "") if isinstance(body, dict) else ({}, "is no mapping")


def _listed(value: object) -> tuple[str, ...]:
    return tuple(part.strip() for part in str(value or "").split(",") if part.strip())
