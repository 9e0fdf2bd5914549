"""Every benchmark after the other: JSON, a table in Markdown, curves, and what has changed since.

``python -m bench.suite [--runs N] [--only NAME,…] [--out DIR]``, with PYTHONPATH=tests, as root
(``make bench``). NAME is a row's, or that of a part: curves, nodes, layer2, bgp, scale. What is
written into DIR: ``TIME.json``, ``TIME.md``, ``curves-….svg``, ``history.jsonl``.

The benchmarks that have no rows of their own are told at the end; run them by themselves.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import bgp, curves, drawing, history, layer2, many_nodes, scale, thousands
from bench.play import Bench, Result, report
from bench.rows import Row
from bench.table import Figure

PARTS: dict[str, tuple[Row, ...]] = {
    "scale": scale.ROWS,
    "layer2": layer2.ROWS,
    "bgp": bgp.ROWS,
}
SINGLE = ("curves", "nodes")
ALONE = {
    "bench.service": "one Service on a quiet cluster",
    "bench.explain": "explain and status as programs",
    "bench.rest": "what is asked and written when nothing happens",
    "bench.soak": "memory, files, objects in an hour in which all comes and goes",
    "bench.replies": "answers to ARP and NDP against the kernel's",
    "bench.upgrade": "helm upgrade and rollback under clients",
    "bench.membership": "200 nodes on a simulated LAN",
    "bench.bfd": "BFD under load",
    "bench.full_table": "a million prefixes from a router",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if all that was wished came true, 1 if not, 130 after Ctrl-C."""
    options = _options(arguments)
    chosen = set(options.only.split(",")) if options.only else {*PARTS, *SINGLE}
    rows = [row for name, part in PARTS.items() for row in part if {name, row.name} & chosen]
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)

    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    machine = _machine()
    pages, body = [_in_words(machine)], {"machine": machine}
    if "curves" in chosen:
        pages += _curves(out, body, say)
    if "nodes" in chosen:
        pages.append(_nodes(body, say))
    bench, interrupted = Bench(rows, options.runs, say), False
    try:
        bench.play()
    except KeyboardInterrupt:
        interrupted = True
        say("interrupted; this is what was measured")
    table = report(bench.results, "table")
    body["rows"] = json.loads(report(bench.results, "json"))
    _keep(out, body, [*pages, table], bench.results)
    print(f"{table}\n\nwritten into {out}")
    if interrupted:
        return 130
    figures = [figure for result in bench.results for figure in result.figures.values()]
    broken = any(result.problems for result in bench.results)
    return int(broken or any(figure.met is False for figure in figures))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.suite", description=__doc__)
    names = [*SINGLE, *PARTS, *(row.name for part in PARTS.values() for row in part)]
    parser.add_argument("--runs", type=int, default=20, help="of the most important rows")
    parser.add_argument("--only", default="", help=f"some of {','.join(names)}")
    parser.add_argument("--out", default="build/bench", help="default: %(default)s")
    options = parser.parse_args(arguments)
    if unknown := sorted({*filter(None, options.only.split(","))} - {*names}):
        parser.error(f"no {', '.join(unknown)}: there are {', '.join(names)}")
    return options


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "services": thousands.MOST,
        "started": thousands.START or "bellmetal",
    }


def _in_words(it: Mapping[str, Any]) -> str:
    words = f"{it['cores']} cores, Linux {it['kernel']}, Python {it['python']}"
    return f"{words}; load {it['load']:.1f} when it began."


def _curves(out: Path, body: dict[str, Any], say: Callable[[str], None]) -> list[str]:
    say("curves: Services, nodes, pools")
    found = curves.all_curves()
    body["curves"] = found
    for of, lines in found.items():
        name = f"curves-{of.lower()}.svg"
        (out / name).write_text(drawing.draw(f"What decisions cost with {of}", of, lines))
    return [curves.table(lines, of) for of, lines in found.items()]


def _nodes(body: dict[str, Any], say: Callable[[str], None]) -> str:
    say("3,000 nodes, simulated")
    found = many_nodes.costs(3000, 10000)
    body["nodes"] = [vars(item) for item in found]
    lines = [many_nodes.HEAD, f"|{'---|' * 6}", *(item.row for item in found)]
    return "\n".join(lines)


def _keep(out: Path, body: dict[str, Any], pages: Sequence[str], results: Iterable[Result]) -> None:
    """Writes it all, and what has changed since the last run."""
    when = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime())
    medians = {
        f"{result.row.name}: {figure.wish.what}": value
        for result in results
        for figure in result.figures.values()
        if (value := _median(figure)) is not None
    }
    run, file = history.Run(when, body["machine"], medians), out / "history.jsonl"
    known = [before for before in history.read(file) if before.figures and before.like(run)]
    changes = history.since(known[-1] if known else None, run)
    rows = [f"| {name} | {times:.2f} |" for name, times in sorted(changes.items())]
    told = ["| against the run before | times |", "|---|---|", *rows] if rows else []
    history.append(file, run)
    alone = [f"- `python -m {name}`: {what}" for name, what in ALONE.items()]
    last = "\n".join([*told, "", "Not played here:", *alone])
    (out / f"{when}.json").write_text(json.dumps(body, indent=1, ensure_ascii=False))
    (out / f"{when}.md").write_text("\n\n".join([*pages, last, ""]))


def _median(figure: Figure) -> float | None:
    found: float | None = figure.json()["p50"]
    return found


if __name__ == "__main__":
    sys.exit(main())
