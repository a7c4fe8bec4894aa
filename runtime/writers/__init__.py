"""Writers: a source's events to one result file each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ..events import Event
from .documents import render_csv, render_json, render_srt, render_vtt
from .files import ResultFile, result_errors
from .jsonl import LineNumbers
from .result import ResultCollector, SourceResult

__all__ = [
    "FORMATS",
    "LineNumbers",
    "ResultCollector",
    "ResultFile",
    "SourceResult",
    "Writer",
    "open_writer",
    "render_csv",
    "render_json",
    "result_errors",
]

_DOCUMENTS: dict[str, Callable[[SourceResult], str]] = {
    "json": lambda result: render_json([result]),
    "csv": lambda result: render_csv([result]),
    "vtt": render_vtt,
    "srt": render_srt,
}
# What -f takes; each is also the suffix of its files.
FORMATS = ("jsonl", *_DOCUMENTS)


class Writer(Protocol):
    """One result file of one source."""

    def write(self, event: Event) -> None:
        """Take the next event."""
        ...

    def commit(self, *, partial: bool) -> None:
        """Finish the file; what a signal cut short gets the name of a partial result."""
        ...

    def discard(self) -> None:
        """Leave nothing behind."""
        ...


def open_writer(kind: str, path: Path, name: str) -> Writer:
    """A writer of one of FORMATS, for the results of the source `name`. Raises `OutputError`."""
    file = ResultFile(path)
    return JsonLinesWriter(file) if kind == "jsonl" else DocumentWriter(file, kind, name)


class JsonLinesWriter:
    """Every event as a line, on the disk as soon as it is known."""

    def __init__(self, file: ResultFile) -> None:
        self._file = file
        self._numbers = LineNumbers()

    def write(self, event: Event) -> None:
        """Write the event's line."""
        self._file.write(self._numbers.line(event))

    def commit(self, *, partial: bool) -> None:
        """Finish the file."""
        self._file.commit(partial=partial)

    def discard(self) -> None:
        """Leave nothing behind."""
        self._file.discard()


class DocumentWriter:
    """The final segments as one document, written at the end."""

    def __init__(self, file: ResultFile, kind: str, name: str) -> None:
        self._file = file
        self._render = _DOCUMENTS[kind]
        self._collector = ResultCollector(name)

    def write(self, event: Event) -> None:
        """Follow the event."""
        self._collector.push(event)

    def commit(self, *, partial: bool) -> None:
        """Write the document."""
        self._file.write(self._render(self._collector.result()))
        self._file.commit(partial=partial)

    def discard(self) -> None:
        """Leave nothing behind."""
        self._file.discard()
