"""The files of pages: their names, writing them, and the writer of `wsgn-run -f html`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wsgn.errors import OutputError
from wsgn.page.shell import is_page
from wsgn.support.file_names import file_stems
from wsgn.support.files import write_whole_file

from ..events import Event, RunEvent, SourceEvent
from ..writers.files import ResultFile
from ..writers.result import ResultCollector
from .document import FrameScores, Links, VideoReport, render_report
from .names import INDEX_NAME
from .video import shown_video


def page_names(names: Iterable[str]) -> list[str]:
    """File names of pages, relative to their folder, each once, whatever the videos are called.

    Names come out of files that others wrote: none of these leads out of the folder.
    """
    stems = file_stems(names, taken=[Path(INDEX_NAME).stem])
    return [f"{stem}.html" for stem in stems]


def write_page(path: Path, page: str, *, beside: tuple[str, bytes] | None = None) -> None:
    """Write a page, and the copy of its video that lies beside it.

    Raises `OutputError`, also where the name is that of something that is no page of wsgn.
    """
    if path.exists() and not is_page(path):
        raise OutputError(f"'{path}' is there and no page of wsgn's: choose another --output.")
    if beside is not None:
        name, data = beside
        write_whole_file(path.with_name(name), data, what="the video")
    write_whole_file(path, page.encode(), what="the page")


class PageWriter:
    """The page of one source of a run, written at its end."""

    def __init__(
        self, path: Path, name: str, source: Path | str | None, index: str | None = None
    ) -> None:
        self._file = ResultFile(path)
        self._path = path
        self._source = source
        self._collector = ResultCollector(name)
        self._facts: list[tuple[str, str]] = []
        self._index = index
        # Given before `commit` where they are known.
        self.scores: FrameScores | None = None

    def write(self, event: Event) -> None:
        """Follow the event."""
        self._collector.push(event)
        if isinstance(event, RunEvent):
            self._facts.append(("engine", event.engine))
        elif isinstance(event, SourceEvent):
            # Features have no pixels.
            size = f"{event.width} x {event.height}, " if event.width else ""
            self._facts.append(("video", f"{size}{event.codec}"))

    def commit(self, *, partial: bool) -> None:
        """Write the page."""
        report = VideoReport(
            result=self._collector.result(),
            # Who stops a run does not want to wait for a copy.
            video=shown_video(self._source, self._path, copies=not partial),
            scores=self.scores,
            facts=tuple(self._facts),
            links=Links(index=self._index),
        )
        if report.video.beside is not None:
            beside = self._path.with_name(report.video.beside_name)
            write_whole_file(beside, report.video.beside, what="the video")
        self._file.write(render_report(report))
        self._file.commit(partial=partial)

    def discard(self) -> None:
        """Leave nothing behind."""
        self._file.discard()
