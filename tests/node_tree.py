"""A /proc and /sys as a kernel shows them, in a directory: links by what they are made of.

The shapes are those of real kernels: which files a kind of link has, which flags, which types.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bellmetal.node_files import NodeFiles

UP, BROADCAST, RUNNING, NO_ARP, PROMISCUOUS, MASTER = 0x1, 0x2, 0x40, 0x80, 0x100, 0x400
GOOD = UP | BROADCAST | RUNNING | 0x1000
SETTINGS = ("rp_filter", "arp_ignore", "arp_filter")
# The columns of /proc/net/route as they are used: Iface, Destination, Gateway, …, Mask
ROUTE = "{}\t{}\t00000000\t0001\t0\t0\t0\t{}\t0\t0\t0"


@dataclass
class Tree:
    """Rooted at a directory; `files` reads it."""

    root: Path

    def __post_init__(self) -> None:
        self.write("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n")
        self.write("proc/sys/net/ipv4/ip_forward", "1\n")
        self.write("proc/net/route", "Iface\tDestination\tGateway\n")
        self.write("proc/net/if_inet6", "")
        self.settings("all")
        self.link("lo", flags=UP | 0x8, kind_number=772)

    @property
    def files(self) -> NodeFiles:
        return NodeFiles(self.root / "proc", self.root / "sys")

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def append(self, path: str, line: str) -> None:
        file = self.root / path
        file.write_text(f"{file.read_text()}{line}\n")

    def settings(self, name: str, **values: int) -> None:
        for setting in SETTINGS:
            path = f"proc/sys/net/ipv4/conf/{name}/{setting}"
            self.write(path, f"{values.get(setting, 0)}\n")

    def link(
        self,
        name: str,
        *directories: str,
        flags: int = GOOD,
        kind_number: int = 1,
        type_name: str = "",
        peer: int = 0,
        carrier: str = "1\n",
    ) -> None:
        """``directories``: what it has besides the files of every link, a trailing name without a
        slash is a file."""
        where, index = f"sys/class/net/{name}", 2 + len(list(self._links()))
        self.write(f"{where}/flags", f"{flags:#x}\n")
        self.write(f"{where}/type", f"{kind_number}\n")
        self.write(f"{where}/ifindex", f"{index}\n")
        self.write(f"{where}/iflink", f"{peer or index}\n")
        self.write(f"{where}/carrier", carrier)
        said = f"DEVTYPE={type_name}\n" if type_name else ""
        self.write(f"{where}/uevent", f"{said}INTERFACE={name}\nIFINDEX={index}\n")
        for item in directories:
            (self.root / where / item).mkdir(parents=True)
        self.settings(name)

    def driver(self, name: str, driver: str) -> None:
        """It is a device, with that driver."""
        device = self.root / f"sys/class/net/{name}/device"
        device.mkdir(parents=True, exist_ok=True)
        (device / "driver").symlink_to(f"../../../../bus/virtio/drivers/{driver}")

    def route(self, name: str, destination: str = "0000FFC6", mask: str = "00FFFFFF") -> None:
        self.append("proc/net/route", ROUTE.format(name, destination, mask))

    def address6(self, name: str, address: str, scope: str = "00") -> None:
        self.append("proc/net/if_inet6", f"{address} 02 40 {scope} 80 {name:>8}")

    def _links(self) -> list[Path]:
        folder = self.root / "sys/class/net"
        return list(folder.iterdir()) if folder.exists() else []
