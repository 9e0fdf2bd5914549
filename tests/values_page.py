"""docs/values.md, made of the chart's own files: values.yaml and its comments, MetalLB's values.

A comment belongs to the key below it, at the same indentation. What is written in one line with
braces is one value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from lab.paths import CHART

HEAD = """\
# Values of the chart

Made of the comments in [values.yaml](../helm/bellmetal/values.yaml) by `make golden`.
Names are MetalLB's where the meaning is the same: a file that was written for its chart installs.
`helm install` refuses a key that is not here, and a value of the wrong type.
"""
METALLB = """
## Values of MetalLB's chart that have no counterpart

These are taken, and nothing comes of them; what `helm install` prints says so.
(`key=value`: only if it is set to that.)

| key | here |
|---|---|
"""
REFUSED = """
These end `helm install` with the sentence, as what they ask for would not be had.
So does an image of MetalLB's in `controller.image` or `speaker.image`.

| key | why, and what to write |
|---|---|
"""


@dataclass(frozen=True)
class Value:
    """One value of the chart; a section that only has values in it has no default."""

    key: str
    default: str | None
    comment: str

    @property
    def row(self) -> str:
        """A line of a table."""
        default = "" if self.default is None else f"`{self.default}`"
        return f"| `{self.key}` | {default} | {_cell(self.comment)} |\n"


def page() -> str:
    """The whole page."""
    table = yaml.safe_load((CHART / "files" / "metallb-values.yaml").read_text())
    parts = [HEAD, *_sections(list(values()))]
    parts += [METALLB, *(_row(item) for item in table["noted"].items())]
    parts += [REFUSED, *(_row(item) for item in table["refused"].items())]
    return "".join(parts)


def values() -> Iterator[Value]:
    """All values of the chart and the sections that have a comment, in order."""
    text = (CHART / "values.yaml").read_text()
    root = yaml.compose(text)
    assert isinstance(root, yaml.MappingNode)
    yield from _values(root, text.splitlines(), "")


def _values(node: yaml.MappingNode, lines: list[str], above: str) -> Iterator[Value]:
    for name, value in node.value:
        key, comment = f"{above}{name.value}", _comment(lines, name.start_mark)
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            yield Value(key, None, comment)
            yield from _values(value, lines, f"{key}.")
        else:
            yield Value(key, _default(value), comment)


def _comment(lines: list[str], mark: yaml.Mark) -> str:
    """What stands directly above a key."""
    start = " " * mark.column + "# "
    found: list[str] = []
    for line in reversed(lines[: mark.line]):
        if not line.startswith(start):
            break
        found.insert(0, line.removeprefix(start))
    return " ".join(found)


def _default(node: yaml.Node) -> str:
    value = yaml.safe_load(yaml.serialize(node))
    if value == "":
        return '""'
    text = yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False)
    return text.removesuffix("...\n").strip()


def _sections(found: list[Value]) -> Iterator[str]:
    """A table for each section at the top, after one for all that stands alone."""
    top = [item for item in found if "." not in item.key]
    large = [item for item in top if item.default is None and item.comment]
    alone = [item for item in found if not any(_within(item, section) for section in large)]
    yield _table([item for item in alone if item.default is not None])
    for section in large:
        yield f"\n## `{section.key}`\n\n{section.comment}\n"
        rows = [item for item in found if _within(item, section) and item is not section]
        yield _table([item for item in rows if item.default is not None or item.comment])


def _within(item: Value, section: Value) -> bool:
    return item.key.split(".")[0] == section.key


def _table(rows: list[Value]) -> str:
    return "\n| key | default | meaning |\n|---|---|---|\n" + "".join(item.row for item in rows)


def _row(item: tuple[str, str]) -> str:
    key, sentence = item
    return f"| `{key}` | {_cell(sentence)} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
