"""What a run prints on stdout: tables for people, JSON lines for programs."""

from __future__ import annotations

import sys
from typing import Protocol

from ..events import Event, RunEvent
from ..writers import LineNumbers, SourceResult
from .console import print_result
from .tables import result_table


class Report(Protocol):
    """Takes everything that a run says, in order."""

    def begin_run(self, event: RunEvent) -> None:
        """The run starts."""
        ...

    def write(self, event: Event) -> None:
        """A source says something."""
        ...

    def end_source(self, source: str, result: SourceResult) -> None:
        """A source has ended well."""
        ...


def open_report() -> Report:
    """Tables where stdout is a terminal, else JSON lines."""
    if sys.stdout is not None and sys.stdout.isatty():
        return TableReport()
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8")
    return JsonLinesReport()


class JsonLinesReport:
    """Every event as a line, numbered through the whole run."""

    def __init__(self) -> None:
        self._numbers = LineNumbers()

    def begin_run(self, event: RunEvent) -> None:
        """Write the first line."""
        print_result(self._numbers.line(event))

    def write(self, event: Event) -> None:
        """Write the event's line."""
        line = self._numbers.line(event)
        if line:
            print_result(line)

    def end_source(self, source: str, result: SourceResult) -> None:
        """Nothing: the source's `end` event has said it."""


class TableReport:
    """A table of segments per source."""

    def begin_run(self, event: RunEvent) -> None:
        """Nothing: people know what they started."""

    def write(self, event: Event) -> None:
        """Nothing: segments are shown when they are final."""

    def end_source(self, source: str, result: SourceResult) -> None:
        """Print the table."""
        encoding = (sys.stdout.encoding or "").lower()
        print_result(result_table(source, result, unicode=encoding.startswith("utf")))
