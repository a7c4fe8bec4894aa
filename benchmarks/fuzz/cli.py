"""Hostile and damaged input on every surface, one process for each case, and how they end.

    python -m benchmarks.fuzz --cases 20000 --jobs 2 -o runs/fuzz
    python -m benchmarks.fuzz --replay runs/fuzz/ONNX-bytes-17

A case is what a surface's own damage makes of what is not damaged; the seed decides it. It is bad
where it ends in a traceback, in "this is a bug" or by a signal, takes more than 30 s of the
processor (or waits for as long) or 2 GB, prints or writes what is no finite number, or gives a
wrong result without a word. Such cases are kept in the folder STEM.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.results import add_output, describe_machine, publish
from benchmarks.tables import table
from wsgn.errors import UsageError, WsgnError
from wsgn.support.command import run_command, say

if TYPE_CHECKING:
    from benchmarks.fuzz.case import Surface
    from benchmarks.fuzz.runner import Found, Tally

_NAME = "benchmarks.fuzz"


class FoundError(WsgnError):
    """Cases ended as none may."""


def main(argv: Sequence[str] | None = None) -> int:
    """Damage, run, report; 1 where anything was found."""
    return run_command(_NAME, lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {_NAME}", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--surface", nargs="+", metavar="NAME", default=[], help="only these")
    parser.add_argument(
        "--cases", type=int, default=500, help="of all surfaces together (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument(
        "--jobs", type=int, default=1, help="cases at a time (default: %(default)s)"
    )
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run a case that was kept")
    parser.add_argument("--list", action="store_true", help="name the surfaces")
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    if not hasattr(os, "fork"):
        raise UsageError("a case is forked, which takes Linux or macOS.")
    for name in ("cases", "jobs"):
        if getattr(arguments, name) < 1:
            raise UsageError(f"--{name} must be at least 1, got {getattr(arguments, name)}.")
    # Before it is loaded: threads of several processes would only wait for each other.
    os.environ["OMP_NUM_THREADS"] = "1"
    from benchmarks.fuzz.surfaces import SURFACES

    if arguments.list:
        print("\n".join(SURFACES))
        return 0
    unknown = [name for name in arguments.surface if name not in SURFACES]
    if unknown:
        raise UsageError(f"'{unknown[0]}' is no surface: there are {', '.join(SURFACES)}.")
    if arguments.replay is not None:
        return _replay(arguments.replay, SURFACES)
    surfaces = [SURFACES[name] for name in arguments.surface or SURFACES]
    return _search(arguments, surfaces)


def _search(arguments: argparse.Namespace, surfaces: list[Surface]) -> int:
    from benchmarks.fuzz.runner import Found, Runner, Tally, keep
    from benchmarks.fuzz.surfaces import numbers_of_cases

    machine, tallies, found = describe_machine(), [], []
    counts = numbers_of_cases(surfaces, arguments.cases)
    with tempfile.TemporaryDirectory(prefix="wsgn-fuzz-") as folder:
        runner = Runner(surfaces, Path(folder))
        for surface in surfaces:
            tally = Tally(surface=surface.name)
            tallies.append(tally)
            numbers = range(counts[surface.name])
            for case in runner.run(surface, numbers, arguments.seed, arguments.jobs):
                tally.add(case.ending)
                if not case.ending.is_bad:
                    continue
                one = Found(
                    surface=surface.name, number=case.number, change=case.change,
                    verdict=case.ending.verdict, said=case.ending.said, folder=None,
                )  # fmt: skip
                if arguments.output is not None:
                    target = (
                        arguments.output
                        / f"{re.sub('[^a-z0-9]+', '-', surface.name.lower())}-{case.number}"
                    )
                    keep(case.place, target, case.ending)
                    one = replace(one, folder=str(target))
                found.append(one)
                say(_NAME, _sentence(one))
    document = {
        "seed": arguments.seed,
        "surfaces": [asdict(tally) for tally in tallies],
        "found": [asdict(one) for one in found],
    }
    publish(arguments.output, document, _table(tallies), machine)
    if found:
        raise FoundError(f"{len(found)} of {sum(counts.values())} cases ended as none may.")
    return 0


def _table(tallies: Sequence[Tally]) -> str:
    heading = ("surface", "cases", "ran", "refused", "bad", "kinds", "most s", "most MB")
    rows = [
        (t.surface, t.cases, t.ran, t.refused, sum(t.bad.values()),
         ", ".join(f"{count} {kind}" for kind, count in t.bad.items()) or "none",
         f"{t.most_processor_seconds:.1f}", f"{t.most_megabytes:.0f}")
        for t in tallies
    ]  # fmt: skip
    sums = [sum(row[column] for row in rows) for column in range(1, 5)]  # type: ignore[misc]
    return table(heading, [*rows, ("all", *sums, "", "", "")])


def _sentence(found: Found) -> str:
    last = (found.said.strip().splitlines() or ["nothing"])[-1]
    return f"{found.surface} {found.number} ({found.change}): {found.verdict}; it said: {last}"


def _replay(path: Path, surfaces: dict[str, Surface]) -> int:
    from benchmarks.fuzz.runner import Runner, read_kept

    document, files = read_kept(path)
    surface = surfaces[document["surface"]]
    with tempfile.TemporaryDirectory(prefix="wsgn-fuzz-") as folder:
        ending = Runner([surface], Path(folder)).replay(surface, document["words"], files)
    print(f"{ending.verdict}\n{ending.said}".rstrip())
    if ending.is_bad:
        raise FoundError(f"{path} still ends as none may.")
    return 0
