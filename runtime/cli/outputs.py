"""The files of a run: their names, whether they may be written, and opening them."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wsgn.errors import InputError, OutputError
from wsgn.support.json_input import read_object
from wsgn.support.terminal import json_text

from ..events import Event
from ..pipeline import Detection
from ..writers import ResultFile, SourceResult, Writer, json_document, open_writer, output_errors
from .options import OutputOptions
from .sources import Job, display_name

# The results of all sources of a run in one document, beside those of each.
MERGED_NAME = "detections"


class Outputs:
    """Where the results of a run go; with no options, nowhere."""

    def __init__(self, options: OutputOptions | None) -> None:
        self._options = options
        self._merged: dict[str, SourceResult] = {}

    def paths(self, job: Job) -> list[Path]:
        """The files of a source."""
        if self._options is None:
            return []
        paths = [self._path(job, kind) for kind in self._options.formats]
        return [*paths, self._path(job, "scores.npz")] if self._options.save_scores else paths

    def check(self, jobs: Sequence[Job]) -> None:
        """Raise `OutputError` for what would fail after hours of decoding."""
        options = self._options
        if options is None:
            return
        with output_errors(options.directory):
            options.directory.mkdir(parents=True, exist_ok=True)
        ResultFile(options.directory / "writable").discard()
        if options.overwrite or options.resume:
            return
        wanted = [path for job in jobs for path in self.paths(job)]
        existing = [path for path in [*wanted, *self._merged_path(jobs)] if path.exists()]
        if existing:
            others = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
            raise OutputError(
                f"'{existing[0]}'{others} exists already: add --overwrite to replace, --resume to "
                "skip what is done, or choose another --output."
            )

    def is_done(self, job: Job) -> bool:
        """Whether --resume may skip the source."""
        if self._options is None or not self._options.resume or job.problem is not None:
            return False
        return all(path.exists() for path in self.paths(job))

    def open(self, job: Job) -> SourceFiles:
        """The files of one source, open under temporary names."""
        if self._options is None:
            return SourceFiles([], None)
        return SourceFiles(
            [
                open_writer(kind, self._path(job, kind), display_name(job.output_name))
                for kind in self._options.formats
            ],
            self._path(job, "scores.npz") if self._options.save_scores else None,
        )

    def add(self, result: SourceResult) -> None:
        """Take a finished source into the merged document."""
        self._merged[result.name] = result

    def write_merged(self, jobs: Sequence[Job]) -> None:
        """Write the results of all sources into one document, if the run has several."""
        for path in self._merged_path(jobs):
            document = json_document(self._merged.values())
            for job in jobs:
                if display_name(job.output_name) not in self._merged and self.is_done(job):
                    document["results"] |= _earlier_results(self._path(job, "json"))
            file = ResultFile(path)
            try:
                file.write(json_text(document, indent=1) + "\n")
                file.commit()
            finally:
                file.discard()

    def _merged_path(self, jobs: Sequence[Job]) -> list[Path]:
        if self._options is None or "json" not in self._options.formats or len(jobs) < 2:
            return []
        return [self._options.directory / f"{MERGED_NAME}.json"]

    def _path(self, job: Job, suffix: str) -> Path:
        assert self._options is not None
        return self._options.directory / f"{job.output_name}.{suffix}"


class SourceFiles:
    """The open files of one source."""

    def __init__(self, writers: list[Writer], scores_path: Path | None) -> None:
        self._writers = writers
        self._scores_path = scores_path

    def write(self, event: Event) -> None:
        """Give an event to every file."""
        for writer in self._writers:
            writer.write(event)

    def commit(self, detection: Detection, *, partial: bool) -> None:
        """Finish every file."""
        if self._scores_path is not None:
            _save_scores(detection, self._scores_path, partial=partial)
        for writer in self._writers:
            writer.commit(partial=partial)

    def discard(self) -> None:
        """Leave nothing behind of what was not committed."""
        for writer in self._writers:
            writer.discard()


def _save_scores(detection: Detection, path: Path, *, partial: bool) -> None:
    """Frame scores and times, and what they are of."""
    scores = detection.frame_scores()
    start_seconds, epoch = detection.snippet_times()
    classes = np.array(detection.classes)
    if scores is None:
        scores = np.empty((0, len(classes)))
    contents = io.BytesIO()
    np.savez(contents, scores=scores, start_seconds=start_seconds, epoch=epoch, classes=classes)
    file = ResultFile(path)
    try:
        file.write(contents.getvalue())
        file.commit(partial=partial)
    finally:
        file.discard()


def _earlier_results(path: Path) -> dict[str, object]:
    try:
        return dict(read_object(path)["results"])
    except (InputError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"the earlier result '{os.fspath(path)}' cannot be read: remove it, or add --overwrite."
        ) from error
