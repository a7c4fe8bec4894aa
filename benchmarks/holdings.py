"""What a process holds while it runs, and whether that grows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.tables import table
from wsgn.errors import UsageError, WsgnError

# What an allocator still takes after its first minutes; a leak of 100 bytes a frame is found in
# three hours.
_MOST_GROWTH_MEGABYTES = 16.0
_NAMES = ("megabytes", "descriptors", "threads")


@dataclass(frozen=True, kw_only=True)
class Holding:
    """What a process held at one moment."""

    # How far it was then, in a unit of the caller's.
    at: float
    # Resident.
    megabytes: float
    descriptors: int
    threads: int
    # Of all its threads, since it began.
    processor_seconds: float


class GrowthError(WsgnError):
    """A process grew, or lost something of what it was to see."""


def require_proc() -> None:
    """Raises `UsageError` where no process can be looked at."""
    if not Path("/proc/self/status").is_file():
        raise UsageError("what a process holds is read from /proc, which only Linux has.")


def look(process: int, at: float) -> Holding:
    """At a process by its number."""
    folder = Path(f"/proc/{process}")
    status = (folder / "status").read_text()
    facts = dict(line.split(":", 1) for line in status.splitlines())
    return Holding(
        at=at,
        megabytes=1024 * int(facts["VmRSS"].split()[0]) / 1e6,
        descriptors=len(list((folder / "fd").iterdir())),
        threads=int(facts["Threads"]),
        processor_seconds=processor_seconds(process),
    )


def processor_seconds(process: int) -> float:
    """Of all threads of a process, since it began."""
    # The name, in brackets, may hold anything.
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def proportional_megabytes(process: int) -> float:
    """What it holds, of pages that others hold too only its share (PSS)."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(1024 * int(line.split()[1]) / 1e6 for line in lines if line.startswith("Pss:"))


def growth_table(holdings: Sequence[Holding]) -> str:
    """The second quarter beside the last."""
    second, last = _quarters(holdings)
    rows = [(name, f"{a:.0f}", f"{b:.0f}") for name, a, b in zip(_NAMES, second, last, strict=True)]
    return table(("", "second quarter", "last quarter"), rows)


def require_flat(holdings: Sequence[Holding]) -> None:
    """Raises `GrowthError` where the last quarter holds more than the second."""
    second, last = _quarters(holdings)
    most = (_MOST_GROWTH_MEGABYTES, 0.0, 0.0)
    for name, before, after, allowed in zip(_NAMES, second, last, most, strict=True):
        if after > before + allowed:
            raise GrowthError(f"{name} grew from {before:.0f} to {after:.0f}.")


def _quarters(holdings: Sequence[Holding]) -> tuple[list[float], list[float]]:
    """Medians of megabytes, descriptors and threads in the second quarter and in the last."""
    size = len(holdings)
    columns = np.array([(h.megabytes, h.descriptors, h.threads) for h in holdings], dtype=float)
    second, last = columns[size // 4 : max(size // 2, 1)], columns[3 * size // 4 :]
    return np.median(second, axis=0).tolist(), np.median(last, axis=0).tolist()
