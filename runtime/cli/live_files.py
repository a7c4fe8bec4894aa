"""The files of a live run: a full disk takes lines, and never the detection with it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from wsgn.errors import OutputError

from ..events import Event, ProgressEvent, RunEvent, WarningEvent
from ..writers.rotating import RotatingLines
from .console import Console

# After a failure, when writing is tried again.
_RETRY_SECONDS = 60.0


class LiveFiles:
    """One series of files per source; nothing where `folder` is None."""

    def __init__(
        self,
        folder: Path | None,
        rotation: str,
        run: RunEvent,
        console: Console,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._rotation = rotation
        self._run = run
        self._console = console
        self._monotonic = monotonic
        self._series: dict[str, RotatingLines] = {}
        # Lines that no file holds, by source.
        self._lost: Counter[str] = Counter()
        self._off_until: float | None = None
        # Whether a line was ever lost.
        self.has_lost = False

    def open(self, source: str) -> None:
        """Begin the file of a source. Raises `OutputError`, for the start of a run."""
        if self._folder is None:
            return
        series = self._of(source)
        try:
            series.open()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise OutputError(
                f"cannot write '{series.path}' ({reason.lower()}): free or choose another place "
                "with --output."
            ) from error

    def write(self, source: str, event: Event) -> None:
        """Write an event into the file of its source, if that can be."""
        if self._folder is None or isinstance(event, ProgressEvent):
            return
        if self._off_until is not None and self._monotonic() < self._off_until:
            self._lost[source] += 1
            return
        series = self._of(source)
        try:
            if lost := self._lost[source]:
                series.write(_lost_lines(source, lost))
                del self._lost[source]
            series.write(event)
        except OSError as error:
            self._turn_off(series, error)
            self._lost[source] += 1
            return
        if self._off_until is not None:
            self._off_until = None
            self._console.say("the results can be written to files again.")

    def close(self, source: str) -> None:
        """Let go of the file of a source that has ended: another run may write into it."""
        series = self._series.pop(source, None)
        if series is not None:
            series.close()

    def close_all(self) -> None:
        """Let go of all files."""
        for source in list(self._series):
            self.close(source)

    def _of(self, source: str) -> RotatingLines:
        assert self._folder is not None
        if source not in self._series:
            self._series[source] = RotatingLines(self._folder, source, self._rotation, self._run)
        return self._series[source]

    def _turn_off(self, series: RotatingLines, error: OSError) -> None:
        if self._off_until is None:
            reason = (error.strerror or str(error)).lower()
            self._console.error(
                f"cannot write '{series.path}' ({reason}): detection goes on, and writing is tried "
                "again each minute."
            )
        self.has_lost = True
        self._off_until = self._monotonic() + _RETRY_SECONDS


def _lost_lines(source: str, number: int) -> WarningEvent:
    lines = "line" if number == 1 else "lines"
    return WarningEvent(
        source=source,
        at_unix_seconds=time.time(),
        code="lost_lines",
        message=f"{number} {lines} before this one could not be written here.",
    )
