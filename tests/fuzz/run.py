"""`python -m fuzz.run --seconds 60 [target …]`: coverage-guided, with atheris (libFuzzer).

What it finds is kept in build/fuzz; `--keep` puts the fewest inputs with the same coverage into
the corpus. An input that breaks something goes into the corpus by hand, with its mending.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from lab.arguments import count

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "fuzz"
MOST_KEPT = 80  # inputs of a target in the corpus
LONGEST = 600  # bytes of one that is kept
OURS = ("bellmetal_layer2", "bellmetal_bgp", "bellmetal")  # whose ways through the code count
FOLDERS = ("announcers/bellmetal_layer2", "announcers/bellmetal_bgp", "operator/bellmetal")

Arc = tuple[tuple[str, int], tuple[str, int]]


def main() -> int:
    """The exit status: 1 if a target found something."""
    if sys.argv[1:2] == ["--inside"]:
        _inside(sys.argv[2], sys.argv[3:])
    from fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="fuzz.run", description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(sorted(TARGETS))}; default: all")
    parser.add_argument("--seconds", type=count, default=60, help="in all; default: %(default)s")
    parser.add_argument("--keep", action="store_true", help="write the corpus anew")
    args = parser.parse_args()
    if unknown := sorted({*args.targets} - {*TARGETS}):
        parser.error(f"no target {', '.join(unknown)}: there are {' '.join(sorted(TARGETS))}")
    targets = args.targets or [*TARGETS]
    each = max(1, args.seconds // len(targets))
    failed = [name for name in targets if not _fuzz(name, each)]
    if args.keep:
        for name in targets:
            _keep(name)
    print(f"fuzzed: {', '.join(targets)}; found something: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def _fuzz(name: str, seconds: int) -> bool:
    from fuzz.targets import read_corpus

    folder = WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    for item in read_corpus(name):
        (folder / hashlib.sha1(item).hexdigest()).write_bytes(item)
    flags = [f"-max_total_time={seconds}", f"-artifact_prefix={WORK}/{name}-", "-max_len=1600"]
    return _libfuzzer(name, [*flags, "-print_final_stats=1", str(folder)]) == 0


def _keep(name: str) -> None:
    """The smallest inputs that still take each way through the code that any of them takes."""
    from fuzz.targets import TARGETS, write_corpus

    found = [path.read_bytes() for path in (WORK / name).iterdir()]
    kept, seen = [], set[Arc]()
    for item in sorted(found, key=lambda item: (len(item), item)):
        arcs = _arcs(TARGETS[name], item) if len(item) <= LONGEST else set()
        if arcs - seen and len(kept) < MOST_KEPT:
            kept.append(item)
            seen |= arcs
    write_corpus(name, kept)


def _arcs(target: Callable[[bytes], None], item: bytes) -> set[Arc]:
    """From which line to which line of our code it goes."""
    arcs, last = set[Arc](), [("", 0)]

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., object] | None:
        file = frame.f_code.co_filename
        if not any(name in file for name in FOLDERS):
            return None
        if event == "line":
            here = file, frame.f_lineno
            arcs.add((last[0], here))
            last[0] = here
        return trace

    sys.settrace(trace)
    try:
        target(item)
    finally:
        sys.settrace(None)
    return arcs


def _libfuzzer(name: str, flags: list[str]) -> int:
    command = [sys.executable, "-m", "fuzz.run", "--inside", name, *flags]
    return subprocess.run(command, cwd=ROOT).returncode


def _inside(name: str, flags: list[str]) -> None:
    """The process that libFuzzer takes over."""
    import atheris

    with atheris.instrument_imports(include=[*OURS]):
        from fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *flags], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
