"""What is written on a node's disk before it boots: containerd, CNI and kubelet configuration."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import netns, network
from lab.errors import LabError

PAUSE = "lab.local/pause:1"
CNI_PLUGINS = "/usr/lib/cni"  # Debian's place for them

# Values of whole-machine sysctls that a kubelet wants to set and must only believe to be set.
SYSCTLS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}

CONTAINERD = """version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.erofs", "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{pause}"
[plugins."io.containerd.cri.v1.runtime"]
  # root without CAP_SYS_RESOURCE may not lower an oom_score_adj, and no sandbox would start
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{cni}"]
    conf_dir = "/var/lib/cni/net.d"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      BinaryName = "{runc}"
      SystemdCgroup = false
"""


@dataclass(frozen=True)
class Files:
    """The files of one node, on its disk `dir`."""

    dir: Path
    name: str
    address: str
    address6: str
    index: int

    @property
    def containerd(self) -> Path:
        """containerd's configuration."""
        return self.dir / "containerd.toml"

    @property
    def kubelet(self) -> Path:
        """The kubelet's configuration."""
        return self.dir / "kubelet.json"

    @property
    def resolver(self) -> Path:
        """The resolv.conf that pods get."""
        return self.dir / "resolv.conf"

    def hosts(self) -> str:
        """The node's /etc/hosts."""
        return f"127.0.0.1 localhost\n{self.address} {self.name}\n"

    def write(self, ca: Path) -> None:
        """Write them all; what is on the disk already stays."""
        runc = shutil.which("runc", path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
        if runc is None or not Path(CNI_PLUGINS, "bridge").exists():
            raise LabError("runc or the CNI plug-ins are missing: `python -m lab.cli build`")
        for folder in ("lib/kubelet", "lib/containerd", "lib/cni/net.d", "log/pods", "tmp"):
            (self.dir / "var" / folder).mkdir(parents=True, exist_ok=True)
        (self.dir / "var/log/containers").mkdir(exist_ok=True)
        if not (self.dir / "var/run").is_symlink():
            (self.dir / "var/run").symlink_to("/run")
        for folder in ("etc.upper", "etc.work", "sysctl"):
            (self.dir / folder).mkdir(exist_ok=True)
        for key, value in SYSCTLS.items():
            (self.dir / "sysctl" / key.replace("/", ".")).write_text(f"{value}\n")
        self.resolver.write_text("nameserver 127.0.0.1\n")
        text = CONTAINERD.format(pause=PAUSE, cni=CNI_PLUGINS, runc=runc)
        self.containerd.write_text(text)
        network_file = self.dir / "var/lib/cni/net.d/10-lab.conflist"
        network_file.write_text(json.dumps(self._network()))
        self.kubelet.write_text(json.dumps(self._kubelet(ca), indent=1))

    def _network(self) -> dict[str, Any]:
        ranges = [[{"subnet": f"{network.pods(self.index)}.0/24"}]]
        routes = [{"dst": "0.0.0.0/0"}]
        if netns.has_ipv6():
            ranges.append([{"subnet": f"{network.pods6(self.index)}/64"}])
            routes.append({"dst": "::/0"})
        bridge = {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "ipMasq": False,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "ranges": ranges,
                "routes": routes,
                "dataDir": "/run/cni-ipam",
            },
        }
        return {"cniVersion": "1.0.0", "name": "lab", "plugins": [bridge]}

    def _kubelet(self, ca: Path) -> dict[str, Any]:
        nothing = {"nodefs.available": "0%", "nodefs.inodesFree": "0%"}
        nothing |= {"imagefs.available": "0%", "imagefs.inodesFree": "0%"}
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "failCgroupV1": False,
            "cgroupDriver": "cgroupfs",
            "failSwapOn": False,
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "enforceNodeAllocatable": [],
            "localStorageCapacityIsolation": False,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(ca)},
            },
            "authorization": {"mode": "Webhook"},
            "resolvConf": str(self.resolver),
            "clusterDNS": ["10.96.0.10"],  # nobody is there; it spares each pod a warning event
            "imageGCHighThresholdPercent": 100,  # no registry: a collected image is lost
            "evictionHard": {"memory.available": "100Mi", **nothing},
            "nodeStatusUpdateFrequency": "2s",
            "nodeLeaseDurationSeconds": 8,
            "syncFrequency": "10s",
            "registryPullQPS": 0,
            "eventRecordQPS": 0,
        }
