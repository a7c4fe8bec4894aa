"""How far a run is: in the chosen part of a source, and in all its sources."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..events import ProgressEvent
from ..pipeline import DetectOptions


def done_and_total(event: ProgressEvent, options: DetectOptions) -> tuple[float, float | None]:
    """Seconds of the part between --start and --end that are done, and that there are.

    None where neither the container nor the user says where it ends.
    """
    begin = options.start_seconds or 0.0
    ends = [end for end in (event.duration_seconds, options.end_seconds) if end is not None]
    total = max(0.0, min(ends) - begin) if ends else None
    return max(0.0, event.at_seconds - begin), total


# Less than this part of all sources tells nothing about the rest.
_LEAST_PART = 0.02


class WholeRun:
    """How long all sources may still take, by the sizes of their files."""

    def __init__(self, sources: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        sizes = [_size(source) for source in sources]
        known = [size for size in sizes if size is not None]
        # A source of unknown size counts as a usual one.
        usual = sum(known) / len(known) if known else 1.0
        self._sizes = [usual if size is None else float(size) for size in sizes]
        self._all = sum(self._sizes)
        self._done = 0.0
        # How much of those that are at work is done.
        self._parts: dict[int, float] = {}
        self._clock = clock
        self._began = clock()

    def skip(self, number: int) -> None:
        """A source that an earlier run has done takes no time."""
        self._all -= self._sizes[number]

    def end(self, number: int) -> None:
        """A source has ended."""
        self._done += self._sizes[number]
        self._parts.pop(number, None)

    def words(self, number: int, part: float) -> str:
        """` (all in about 3 min)` when so large a part of a source is done.

        Nothing while there is too little to judge by.
        """
        self._parts[number] = part * self._sizes[number]
        done = self._done + sum(self._parts.values())
        if len(self._sizes) < 2 or done < _LEAST_PART * self._all:
            return ""
        seconds = (self._all - done) * (self._clock() - self._began) / done
        return f" (all in about {rough(seconds)})"


def rough(seconds: float) -> str:
    """A time to wait, no more exact than such a guess is."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def _size(source: str) -> int | None:
    try:
        return Path(source).stat().st_size or None
    # An address, a pipe, or a name that no file can have; its turn will tell.
    except (OSError, ValueError):
        return None
