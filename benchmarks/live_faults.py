"""Faults of live sources: after how long each is noticed, and when pictures come again.

    python -m benchmarks.live_faults -o runs/live_faults

Every fault has a camera of its own on the loopback interface. They are repaired as soon as they
were noticed; the waits before attempts are those of every run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.results import ROOT, add_output, describe_machine, publish
from benchmarks.tables import NOTHING, table
from wsgn.errors import UsageError
from wsgn.support.command import run_command
from wsgn.video.live.backoff import Backoff
from wsgn.video.live.items import Status

sys.path.append(str(ROOT / "tests" / "live"))

from clips import drawn_clip
from fault_rows import LOST, NEVER_SEEN, Case, Row, read_all

# Tried once a minute: nothing is to be learned from waiting for that.
_LONG_WAIT = "unauthorized"
_SHORTEST_TIMEOUT_SECONDS = 0.5
# So that none waits for its turn among the openings of a process.
_NUM_GROUPS = 5


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault, so many times."""

    name: str
    # Before the first picture, or behind it.
    never_seen: bool
    causes: tuple[str, ...]
    noticed_seconds: list[float]
    # From the repair; empty where that was not waited for.
    recovered_seconds: list[float]


def main(argv: Sequence[str] | None = None) -> int:
    """Have the faults, and report."""
    return run_command("benchmarks.live_faults", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.live_faults", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--timeout", type=float, default=2.0, metavar="S",
                        help="of opening and of reading (default: %(default)s)")  # fmt: skip
    parser.add_argument("--repeats", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--faults", nargs="+", metavar="NAME", help="only these")
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    if not arguments.timeout >= _SHORTEST_TIMEOUT_SECONDS:
        raise UsageError(
            f"--timeout must be at least {_SHORTEST_TIMEOUT_SECONDS:g}, got {arguments.timeout:g}."
        )
    if arguments.repeats < 1:
        raise UsageError(f"--repeats must be at least 1, got {arguments.repeats}.")
    cases = _chosen(arguments.faults)
    machine = describe_machine()
    faults = _measured(cases, arguments.timeout, arguments.repeats)
    words = (
        f"Timeout {arguments.timeout:g} s, {arguments.repeats} times each: median (longest) "
        f"seconds.\n\n{_table(faults)}"
    )
    document: dict[str, Any] = {
        "timeout_seconds": arguments.timeout,
        "repeats": arguments.repeats,
        "faults": [asdict(fault) for fault in faults],
    }
    publish(arguments.output, document, words, machine)
    return 0


def _chosen(names: Sequence[str] | None) -> dict[str, Case]:
    cases = NEVER_SEEN | LOST
    for name in names or ():
        if name not in cases:
            known = ", ".join(f"'{one}'" for one in cases)
            raise UsageError(f"'{name}' is no fault: there are {known}.")
    return {name: case for name, case in cases.items() if names is None or name in names}


def _measured(cases: Mapping[str, Case], timeout: float, repeats: int) -> list[Fault]:
    clip = drawn_clip()
    options = {"timeout_seconds": timeout, "open_timeout_seconds": timeout}
    runs: dict[str, list[Row]] = {name: [] for name in cases}
    groups = [list(cases)[begin::_NUM_GROUPS] for begin in range(_NUM_GROUPS)]
    for group in groups * repeats:
        chosen = {name: cases[name] for name in group}
        with read_all(chosen, clip, make_backoff=Backoff, **options) as rows:
            for name, row in rows.items():
                _wait(row, cases[name])
                runs[name].append(row)
    return [
        Fault(
            name=name,
            never_seen=name in NEVER_SEEN,
            causes=case.causes,
            noticed_seconds=[row.noticed_seconds() for row in runs[name]],
            recovered_seconds=[
                row.recovered_seconds() for row in runs[name] if _LONG_WAIT not in case.causes
            ],
        )
        for name, case in cases.items()
    ]


def _wait(row: Row, case: Case) -> None:
    reading = row.reading
    if _LONG_WAIT in case.causes:
        reading.wait(lambda: _LONG_WAIT in [status.cause for status in reading.of(Status)])
        return
    reading.wait_for_end()


def _table(faults: Sequence[Fault]) -> str:
    heading = ["fault", "cause", "noticed after", "pictures again after"]
    return table(
        heading,
        [
            [
                f"{fault.name}, never seen before" if fault.never_seen else fault.name,
                ", ".join(fault.causes),
                _shown(fault.noticed_seconds),
                _shown(fault.recovered_seconds) if fault.recovered_seconds else NOTHING,
            ]
            for fault in faults
        ],
    )


def _shown(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.2f} ({max(seconds):.2f})"


if __name__ == "__main__":
    sys.exit(main())
