"""Image archives in the OCI layout, from directory trees: the same trees, the same digest."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
TYPE = "application/vnd.oci.image"


def layer(tree: Path) -> bytes:
    """One uncompressed layer: owner 0:0, times 0, names sorted."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder, folders, files in os.walk(tree):
            folders.sort()
            for name in sorted(folders + files):
                path = Path(folder, name)
                tar.add(path, str(path.relative_to(tree)), recursive=False, filter=_plain)
    return data.getvalue()


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


class _Blobs:
    """What an archive holds, by digest."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def add(self, data: bytes, kind: str) -> dict[str, Any]:
        """Keep it; how it is referred to."""
        digest = hashlib.sha256(data).hexdigest()
        self.kept[digest] = data
        return {"mediaType": f"{TYPE}.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    def add_json(self, content: Mapping[str, Any], kind: str) -> dict[str, Any]:
        """The same for JSON."""
        return self.add(_json(content), kind)


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def write(out: Path, name: str, trees: Sequence[Path], config: Mapping[str, Any]) -> None:
    """Write the archive of an image `name:tag` with a layer for each tree."""
    machine = platform.machine()
    where = {"architecture": ARCHITECTURES.get(machine, machine), "os": "linux"}
    blobs = _Blobs()
    layers = [blobs.add(layer(tree), "layer.v1.tar") for tree in trees]
    file_systems = {"type": "layers", "diff_ids": [found["digest"] for found in layers]}
    description = {**where, "config": dict(config), "rootfs": file_systems}
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{TYPE}.manifest.v1+json",
        "config": blobs.add_json(description, "config.v1+json"),
        "layers": layers,
    }
    names = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name.rpartition(":")[2],
    }
    entry = blobs.add_json(manifest, "manifest.v1+json")
    index = {
        "schemaVersion": 2,
        "mediaType": f"{TYPE}.index.v1+json",
        "manifests": [{**entry, "platform": where, "annotations": names}],
    }
    with tarfile.open(out, "w") as tar:
        _put(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _put(tar, "index.json", _json(index))
        for digest, data in sorted(blobs.kept.items()):
            _put(tar, f"blobs/sha256/{digest}", data)


def _put(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = _plain(tarfile.TarInfo(name))
    entry.size = len(data)
    entry.mode = 0o644
    tar.addfile(entry, io.BytesIO(data))
