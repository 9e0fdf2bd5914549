"""Curves as SVG: both axes logarithmic, so that what is linear is a straight line of slope 1."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, BOTTOM, RIGHT, TOP = 720, 420, 70, 40, 210, 30
COLOURS = (
    "#1b6ca8", "#c2452d", "#3a7d44", "#8a5a9e", "#b8860b", "#2e8b8b", "#a0446e", "#5b5b5b",
    "#6b8e23", "#d2691e",
)  # fmt: skip


def draw(title: str, of: str, curves: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """One picture; ``curves``: by name, how many and how many seconds."""
    sizes = [size for points in curves.values() for size, _ in points]
    times = [seconds for points in curves.values() for _, seconds in points]
    across = _scale(min(sizes), max(sizes), LEFT, WIDTH - RIGHT)
    up = _scale(min(times), max(times), HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-size="14">{escape(title)}</text>',
        *_marks(min(sizes), max(sizes), across, True),
        *_marks(min(times), max(times), up, False),
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}">{escape(of)}</text>',
    ]
    for number, (name, points) in enumerate(curves.items()):
        parts += _line(number, name, [(across(x), up(y)) for x, y in points])
    return "\n".join([*parts, "</svg>\n"])


def _scale(low: float, high: float, start: float, end: float):  # type: ignore[no-untyped-def]
    first, last = math.log10(low), math.log10(max(high, low * 1.01))

    def place(value: float) -> float:
        return start + (math.log10(value) - first) / (last - first) * (end - start)

    return place


def _marks(low: float, high: float, place, level: bool) -> list[str]:  # type: ignore[no-untyped-def]
    """A line and its number at each power of ten."""
    found = []
    for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1):
        at, value = place(10.0**power), 10.0**power
        text = f"{value:,.0f}" if level else _time(value)
        ends = (at, TOP, at, HEIGHT - BOTTOM) if level else (LEFT, at, WIDTH - RIGHT, at)
        x, y = (at - 10, HEIGHT - BOTTOM + 14) if level else (8, at + 4)
        found.append(
            f'<line x1="{ends[0]:.1f}" y1="{ends[1]:.1f}" x2="{ends[2]:.1f}" y2="{ends[3]:.1f}"'
            f' stroke="#ddd"/><text x="{x:.1f}" y="{y:.1f}" fill="#555">{text}</text>'
        )
    return found


def _time(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1e3:g} ms"


def _line(number: int, name: str, places: Sequence[tuple[float, float]]) -> list[str]:
    colour = COLOURS[number % len(COLOURS)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in places)
    y = TOP + 10 + 18 * number
    return [
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>',
        f'<g fill="{colour}">{dots}<rect x="{WIDTH - RIGHT + 12}" y="{y - 8}" width="10"'
        ' height="10"/></g>',
        f'<text x="{WIDTH - RIGHT + 28}" y="{y + 1}">{escape(name)}</text>',
    ]
