"""The files of a run: their names, whether they may be written, and opening them."""

from __future__ import annotations

import errno
import functools
import hashlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wsgn.errors import OutputError
from wsgn.support.files import name_problem, no_empty_folder, require_present
from wsgn.support.mirrors import Mirror, is_there, note_file, own_mirror, remove_file

from ..events import Event, RunEvent
from ..report.names import INDEX_NAME, PAGE_FORMAT
from ..source_run import SourceRun
from ..writers import ResultFile, SourceResult, Writer, open_writer, result_errors
from .joined import (
    JOINED_FORMATS,
    JOINED_NAME,
    difference_of_run,
    earlier_result,
    write_joined,
)
from .options import OutputOptions
from .shard_records import (
    DONE,
    FAILED,
    NOT_RUN,
    ShardPlan,
    ShardSource,
    record_path,
    write_record,
)
from .sources import Job, video_of

if TYPE_CHECKING:
    from ..report.document import FrameScores
    from ..report.pages import PageWriter

# What the operating system says of one name and not of the disk or the folder.
_OF_ONE_NAME = {
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.EILSEQ,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ELOOP,
    errno.EACCES,
    errno.EPERM,
}
_FORMULA = ("=", "+", "-", "@")
# The most that is put behind a name.
_LONGEST_SUFFIX = ".scores.partial.npz"
_USUAL_NAME_BYTES = 255


class SourceOutputError(OutputError):
    """The results of one source cannot be written, while those of others can."""

    code = "output"


class Outputs:
    """Where the results of a run go; with no options, nowhere."""

    def __init__(self, options: OutputOptions | None, plan: ShardPlan | None = None) -> None:
        self._options = options
        # None where the run has all its sources.
        self._plan = plan
        self._finished: dict[str, SourceResult] = {}
        self._written: list[Path] = []
        # Whether pages have an index to link to.
        self._has_index = False
        # In a worker: where the files go from the folder that they are given names in.
        self.mirror: Mirror | None = None

    def for_worker(self) -> Outputs:
        """The same places, for another process."""
        outputs = Outputs(self._options, self._plan)
        outputs._has_index = self._has_index
        if self._options is not None:
            outputs.mirror = own_mirror(self._options.directory)
        return outputs

    def folder(self) -> AbstractContextManager[None]:
        """For the whole run: where nothing comes into a new folder, it does not stay."""
        return nullcontext() if self._options is None else no_empty_folder(self._options.directory)

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
        with result_errors(options.directory):
            options.directory.mkdir(parents=True, exist_ok=True)
        ResultFile(options.directory / "writable").discard()
        # A store that does not answer says so here.
        _exists(options.directory / "writable")
        num_all = len(jobs) if self._plan is None else self._plan.num_all
        self._has_index = PAGE_FORMAT in options.formats and num_all > 1
        if options.overwrite or options.resume:
            return
        wanted = [path for job in jobs for path in self.paths(job)]
        wanted += self._joined_paths(jobs).values()
        if self._plan is not None:
            wanted.append(record_path(options.directory, self._plan.shard))
        existing = [path for path in wanted if _exists(path)]
        if existing:
            others = f" and {len(existing) - 1} more exist" if len(existing) > 1 else " exists"
            raise OutputError(
                f"'{existing[0]}'{others} already: add --overwrite to replace, --resume to "
                "skip what is done, or choose another --output."
            )

    def formulas(self, jobs: Sequence[Job], labels: Sequence[str]) -> list[str]:
        """Names in CSV files that a spreadsheet would compute; other readers need them as are."""
        if self._options is None or "csv" not in self._options.formats:
            return []
        return [name for name in (*labels, *(job.key for job in jobs)) if name[:1] in _FORMULA]

    def is_done(self, job: Job) -> bool:
        """Whether --resume may skip the source."""
        if self._options is None or not self._options.resume or job.problem is not None:
            return False
        return all(map(_exists, self.paths(job)))

    def require_same_run(self, jobs: Sequence[Job], run: RunEvent) -> None:
        """Raise `OutputError` where --resume would leave files of another run beside this one's.

        A .jsonl says which run has made it, and one is looked at. Other formats do not.
        """
        options = self._options
        if options is None or not options.resume or "jsonl" not in options.formats:
            return
        done = next(filter(self.is_done, jobs), None)
        if done is None:
            return
        path = self._path(done, "jsonl")
        if difference := difference_of_run(path, run):
            raise OutputError(
                f"'{path}' was made with {difference}, and --resume would leave it as it is: "
                "choose another --output, or --overwrite in its place."
            )

    def problem(self, job: Job) -> SourceOutputError | None:
        """Why the results of a source cannot have their names, if so."""
        for path in self.paths(job):
            if reason := name_problem(path):
                return SourceOutputError(
                    f"cannot write '{path}' ({reason}): give the video another name, or choose "
                    "another place with --output."
                )
        return None

    def open(self, job: Job) -> SourceFiles:
        """The files of one source, open under temporary names."""
        if self._options is None:
            return SourceFiles([], [], None)
        scores = self._path(job, "scores.npz") if self._options.save_scores else None
        writers: list[Writer] = []
        pages: list[PageWriter] = []
        try:
            for kind in self._options.formats:
                path = self._path(job, kind)
                if kind == PAGE_FORMAT:
                    pages.append(self._page(job, path))
                else:
                    writers.append(open_writer(kind, path, job.key))
        except OutputError as error:
            SourceFiles(writers, pages, scores).discard()
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in _OF_ONE_NAME:
                raise SourceOutputError(str(error)) from error
            raise
        return SourceFiles(writers, pages, scores)

    def add(self, job: Job, result: SourceResult) -> None:
        """Take a finished source into the documents of all."""
        self._finished[result.name] = result
        paths = self.paths(job)
        self._written += paths
        for path in paths:
            note_file(path)

    def require_present(self) -> None:
        """Raise `OutputError` where files of finished sources are gone."""
        require_present(self._written)

    def write_joined(self, jobs: Sequence[Job]) -> None:
        """Write the results of all sources into one document a format, if the run has several."""
        for kind, path in self._joined_paths(jobs).items():
            if kind == PAGE_FORMAT:
                from ..report.index import write_index

                pages = [self._path(job, kind) for job in jobs]
                write_index(path, [page for page in pages if _exists(page)])
                continue
            # In the order of the sources, whichever of them an earlier run has done.
            results = []
            for job in jobs:
                if job.key in self._finished:
                    results.append(self._finished[job.key])
                elif self.is_done(job):
                    results.append(earlier_result(self._path(job, kind), kind, job.key))
            write_joined(path, kind, results)

    def begin(self) -> None:
        """Take back the record of an earlier run: until this one ends there is nothing to merge."""
        if self._options is not None and self._plan is not None:
            path = record_path(self._options.directory, self._plan.shard)
            with result_errors(path):
                remove_file(path)

    def write_record(
        self, jobs: Sequence[Job], run: RunEvent, failed: Mapping[str, str], num_tried: int
    ) -> None:
        """Write what became of a shard's sources, of which the first `num_tried` had their turn.

        `failed` says by their name in results why some failed. Nothing without a shard or a folder.
        """
        if self._options is None or self._plan is None:
            return
        directory, plan = self._options.directory, self._plan
        sources = []
        for number, (position, job) in enumerate(
            zip(plan.shard.positions(plan.num_all), jobs, strict=True)
        ):
            state = NOT_RUN if number >= num_tried else FAILED if job.key in failed else DONE
            page = ""
            if PAGE_FORMAT in self._options.formats and state == DONE:
                page = str(self._path(job, PAGE_FORMAT).relative_to(directory))
            problem = failed.get(job.key, "")
            sources.append(
                ShardSource(
                    position=position, name=job.key, state=state, page=page, problem=problem
                )
            )
        path = record_path(directory, plan.shard)
        write_record(
            path,
            plan,
            run,
            formats=self._options.formats,
            documents=self._joined_paths(jobs),
            sources=sources,
        )

    def _joined_paths(self, jobs: Sequence[Job]) -> dict[str, Path]:
        """By format."""
        if self._options is None:
            return {}
        if self._plan is not None:
            # An index has all pages, and `wsgn-run merge` makes it.
            stem = f"{JOINED_NAME}.{self._plan.shard.name}"
            names = {kind: f"{stem}.{kind}" for kind in JOINED_FORMATS}
        elif len(jobs) < 2:
            return {}
        else:
            names = {kind: f"{JOINED_NAME}.{kind}" for kind in JOINED_FORMATS}
            names[PAGE_FORMAT] = INDEX_NAME
        return {
            kind: self._options.directory / names[kind]
            for kind in self._options.formats
            if kind in names
        }

    def _page(self, job: Job, path: Path) -> PageWriter:
        """The page of a source, with the address of the index in it, where there is one."""
        # What makes pages is loaded for runs that want some.
        from ..report.document import page_address
        from ..report.pages import PageWriter

        assert self._options is not None
        name = str(path.relative_to(self._options.directory))
        index = page_address(INDEX_NAME, name) if self._has_index else None
        source = video_of(job) if job.features is None else None
        return PageWriter(path, job.key, source, index)

    def _path(self, job: Job, suffix: str) -> Path:
        assert self._options is not None
        return self._options.directory / f"{self._short(job.output_name)}.{suffix}"

    def _short(self, output_name: str) -> str:
        """The name, or its beginning and a hash of it where files cannot have names so long."""
        folder, name = os.path.split(output_name)
        room = self._most_bytes - len(_LONGEST_SUFFIX)
        try:
            whole = os.fsencode(name)
        # `problem` says so.
        except UnicodeEncodeError:
            return output_name
        if len(whole) <= room:
            return output_name
        mark = f"~{hashlib.sha256(whole).hexdigest()[:8]}"
        begin = whole[: room - len(mark)].decode(sys.getfilesystemencoding(), "ignore")
        return os.path.join(folder, begin + mark)  # noqa: PTH118

    @functools.cached_property
    def _most_bytes(self) -> int:
        """Bytes of a file's name in the folder of results."""
        assert self._options is not None
        try:
            return os.pathconf(self._options.directory, "PC_NAME_MAX")
        # Not every system or folder says it.
        except (AttributeError, OSError, ValueError):
            return _USUAL_NAME_BYTES


class SourceFiles:
    """The open files of one source."""

    def __init__(
        self, writers: list[Writer], pages: list[PageWriter], scores_path: Path | None
    ) -> None:
        self._writers = [*writers, *pages]
        # Those of them that draw frame scores.
        self._pages = pages
        self._scores_path = scores_path

    def write(self, event: Event) -> None:
        """Give an event to every file."""
        for writer in self._writers:
            writer.write(event)

    def commit(self, detection: SourceRun, *, partial: bool) -> None:
        """Finish every file."""
        if self._scores_path is not None:
            _save_scores(detection, self._scores_path, partial=partial)
        for page in self._pages:
            page.scores = frame_scores(detection)
        for writer in self._writers:
            writer.commit(partial=partial)

    def discard(self) -> None:
        """Leave nothing behind of what was not committed."""
        for writer in self._writers:
            writer.discard()


def frame_scores(detection: SourceRun) -> FrameScores | None:
    """What a page draws; None unless in exact mode."""
    from ..report.document import FrameScores

    scores = detection.frame_scores()
    if scores is None:
        return None
    centre_seconds = detection.snippet_times()[0] + detection.snippet_seconds / 2
    return FrameScores(classes=detection.classes, scores=scores, centre_seconds=centre_seconds)


def _save_scores(detection: SourceRun, path: Path, *, partial: bool) -> None:
    """Frame scores and times, and what they are of."""
    scores = detection.frame_scores()
    start_seconds, epoch = detection.snippet_times()
    classes = np.array(detection.classes)
    if scores is None:
        scores = np.empty((0, len(classes)))
    contents = io.BytesIO()
    np.savez(
        contents,
        scores=scores,
        start_seconds=start_seconds,
        epoch=epoch,
        classes=classes,
        snippet_seconds=detection.snippet_seconds,
    )
    file = ResultFile(path)
    try:
        file.write(contents.getvalue())
        file.commit(partial=partial)
    finally:
        file.discard()


def _exists(path: Path) -> bool:
    try:
        return is_there(path)
    # A name that no file can have; `problem` says so.
    except (OSError, ValueError):
        return False
