"""``bellmetal migrate config``: MetalLB's old ConfigMap → objects that can be applied today."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, TextIO

import msgspec
import yaml

from bellmetal.addresses import printable
from bellmetal.api import ApiError, Client, find_access
from bellmetal.cli.files import FileError
from bellmetal.cli.migrate.conversion import Conversion, Made, convert, without_faults
from bellmetal.cli.migrate.legacy import parse, read_config_map, read_source
from bellmetal.cli.voice import failed
from bellmetal.moving import MigrateConfigSettings
from bellmetal.settings import SettingsError

VERSION = 1  # of the JSON
INVALID = 4


def main(settings: MigrateConfigSettings) -> int:
    """Prints the objects, and notes on stderr; the exit status is in the help."""
    try:
        source = asyncio.run(_fetch(settings)) if settings.live else read_source(settings.file)
        found = without_faults(convert(parse(source), settings.namespace))
    except FileError as error:
        return failed("migrate config", error, 2)
    except (SettingsError, ApiError, OSError) as error:
        return failed("migrate config", error, 1)
    show(found, settings.output, sys.stdout)
    tell(found, sys.stderr)
    return INVALID if found.faults else 0


async def _fetch(settings: MigrateConfigSettings) -> Any:
    async with Client(find_access()) as client:
        return await fetch(client, settings)


async def fetch(client: Client, settings: MigrateConfigSettings) -> Any:
    """The configuration out of the cluster's ConfigMap; raises ApiError and FileError."""
    path = f"/api/v1/namespaces/{settings.namespace}/configmaps/{settings.config_map}"
    place = f"ConfigMap {settings.namespace}/{settings.config_map}"
    try:
        body = msgspec.json.decode(await client.request("GET", path))
    except ApiError as error:
        if error.gone:
            hint = "--namespace and --config-map say where it is"
            raise FileError(f"{place}: the cluster has none; {hint}") from error
        raise
    return read_config_map(place, body)


def show(found: Conversion, output: str, out: TextIO) -> None:
    """The objects, as YAML with notes as comments or as JSON."""
    if output == "json":
        print(_as_json(found), file=out)
        return
    for item in found.made:
        print("---", file=out)
        for note in item.notes:
            print(f"# {printable(note)}", file=out)
        out.write(yaml.safe_dump(item.body, sort_keys=False, allow_unicode=True))


def tell(found: Conversion, out: TextIO) -> None:
    """Notes and faults, for people."""
    for note in (*found.notes, *_notes(found.made)):
        print(f"note: {printable(note)}", file=out)
    for fault in found.faults:
        print(f"problem: {printable(str(fault))}", file=out)
    if found.faults:
        print("bellmetal migrate config: nothing is converted while there are problems", file=out)


def _notes(made: tuple[Made, ...]) -> list[str]:
    return [note for item in made for note in item.notes]


def _as_json(found: Conversion) -> str:
    body = {
        "version": VERSION,
        "objects": [item.body for item in found.made],
        "notes": [*found.notes, *_notes(found.made)],
        "problems": [{"path": item.path, "message": item.message} for item in found.faults],
    }
    return json.dumps(body, indent=2, ensure_ascii=False)
