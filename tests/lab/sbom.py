"""What is in the image, by the image itself: a CycloneDX list of its packages, and their sizes.

    python -m lab.sbom build        (reads build/bellmetal-VERSION.tar, writes …-VERSION.cdx.json)

Python packages are found by their METADATA, Debian's by what dpkg keeps. The same image gives the
same list, so it has neither a date nor a serial number.
"""

from __future__ import annotations

import email
import json
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from lab.make_image import build_image, version

STATUS, STATUS_FOLDER = "var/lib/dpkg/status", "var/lib/dpkg/status.d"
SITE = "site-packages"
SHOWN = 12  # of the largest parts


class Package(NamedTuple):
    """One package of the image; ``kind`` as package URLs have it: pypi or deb."""

    kind: str
    name: str
    version: str
    license: str = ""

    @property
    def purl(self) -> str:
        """Its package URL."""
        space = "debian/" if self.kind == "deb" else ""
        return f"pkg:{self.kind}/{space}{self.name}@{self.version}"


def files(image: Path) -> Iterator[tuple[str, int, bytes | None]]:
    """Path, size and, where it tells of packages, content of every file of a `docker save`."""
    with tarfile.open(image) as archive:
        (manifest,) = json.load(_member(archive, "manifest.json"))
        for name in manifest["Layers"]:
            with tarfile.open(fileobj=_member(archive, name)) as layer:
                for item in layer:
                    path = item.name.lstrip("./")
                    if item.isfile():
                        content = _member(layer, item.name).read() if _tells(path) else None
                        yield path, item.size, content


def _member(archive: tarfile.TarFile, name: str) -> Any:
    found = archive.extractfile(name)
    if found is None:
        raise ValueError(f"{name} is no file of the image")
    return found


def _tells(path: str) -> bool:
    folder = PurePosixPath(path).parent
    return (
        path == STATUS
        or str(folder) == STATUS_FOLDER
        or (folder.suffix == ".dist-info" and path.endswith("/METADATA"))
    )


def packages(image: Path) -> list[Package]:
    """All packages of an image, in the order of their URLs."""
    found = {
        package
        for path, _, content in files(image)
        if content is not None
        for package in _packages(path, content.decode())
    }
    return sorted(found, key=lambda package: package.purl)


def _packages(path: str, text: str) -> Iterator[Package]:
    if path.endswith("/METADATA"):
        meta = email.message_from_string(text)
        name = meta["Name"].lower().replace("_", "-").replace(".", "-")
        yield Package("pypi", name, meta["Version"], _license(meta))
        return
    for paragraph in filter(str.strip, text.split("\n\n")):
        meta = email.message_from_string(paragraph)
        yield Package("deb", meta["Package"], meta["Version"])


def _license(meta: Message) -> str:
    """A word for it: a long text under "License" is no word."""
    said = str(meta["License-Expression"] or meta["License"] or "")
    if said and "\n" not in said and len(said) < 64:
        return said
    classified = [str(item) for item in meta.get_all("Classifier", []) if "License ::" in str(item)]
    return classified[0].rpartition(" :: ")[2] if classified else ""


def document(image: Path) -> dict[str, Any]:
    """The list as CycloneDX has it."""
    subject = {"type": "container", "name": "bellmetal", "version": version()}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": subject | {"bom-ref": f"bellmetal@{version()}"}},
        "components": [_component(package) for package in packages(image)],
    }


def _component(package: Package) -> dict[str, Any]:
    licenses = [{"license": {"name": package.license}}] if package.license else []
    found = {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
    }
    return found | ({"licenses": licenses} if licenses else {})


def sizes(image: Path) -> Counter[str]:
    """Bytes by part: a Python package's folder, or the first folders of the path."""
    found: Counter[str] = Counter()
    for path, size, _ in files(image):
        parts = path.split("/")
        part = parts[parts.index(SITE) + 1] if SITE in parts[:-1] else "/".join(parts[:3])
        found[part] += size
    return found


def main(folder: Path) -> None:
    """Writes the list, and says what takes room."""
    image = build_image(folder / f"bellmetal-{version()}.tar")
    out = folder / f"bellmetal-{version()}.cdx.json"
    body = document(image)
    out.write_text(json.dumps(body, indent=1) + "\n")
    found = sizes(image)
    print(f"{out.name}: {len(body['components'])} packages, {found.total() / 1e6:.1f} MB")
    for part, size in found.most_common(SHOWN):
        print(f"{size / 1e6:7.1f} MB  {part}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m lab.sbom FOLDER")
    main(Path(sys.argv[1]).resolve())
