"""`wsgn-run report`: pages of results that exist, and their index; nothing is detected again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from wsgn.data.annotations import Annotations
from wsgn.data.layouts import read_annotations
from wsgn.data.video_folder import VideoFolder
from wsgn.errors import InputError, UsageError
from wsgn.localization.segments import Segment
from wsgn.remote.addresses import is_address
from wsgn.remote.arguments import input_path, local_path, output_folder
from wsgn.remote.cache import is_copy
from wsgn.support.credentials import without_credentials
from wsgn.support.files import input_errors, new_folder
from wsgn.support.parser import CommandParser
from wsgn.video.addresses import is_network
from wsgn.video.files import video_files

from ..report.document import (
    VideoReport,
    links_of,
    render_report,
    report_summary,
)
from ..report.index import IndexEntry, render_index
from ..report.names import INDEX_NAME
from ..report.pages import page_names, write_page
from ..report.results import FoundResult, found_results, stored_scores
from ..report.video import NOT_KEPT, ShownVideo, shown_video
from .console import Console, print_result

_DESCRIPTION = """\
Make pages of results that exist: one file for each video, with the video, its scores and its
segments, and an index of several. They open from disk and fetch nothing."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What `wsgn-run report` is asked for."""

    results: tuple[Path, ...]
    # None: beside the results.
    folder: Path | None = None
    # Where the videos are; None: where the lines of events say.
    videos: Path | None = None
    # Annotations, for lanes of what is true.
    truth: Path | None = None
    # Whether small copies of the videos go into the pages.
    embed: bool = False


def run_report(arguments: Sequence[str]) -> int:
    """Write the pages and print which one to open; the exit code."""
    parser = CommandParser(prog="wsgn-run report", description=_DESCRIPTION)
    parser.add_argument(
        "results", nargs="+", type=input_path, metavar="RESULTS", help=".jsonl and .json files of "
        "wsgn-run -o, or folders of them; NAME.scores.npz beside them are drawn too"
    )  # fmt: skip
    parser.add_argument("--videos", type=local_path, metavar="DIR", help="where the videos are")
    parser.add_argument(
        "--truth", type=input_path, metavar="FILE", help="annotations, for a second row of bars"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=output_folder,
        metavar="DIR",
        help="where the pages go (default: beside the results); pages of this name are replaced",
    )
    parser.add_argument(
        "--embed", action="store_true", help="put a small copy of each video into its page"
    )
    words = parser.parse_args(arguments)
    if words.output is None and is_copy(words.results[0]):
        raise UsageError("the pages of results at an address need a folder: add --output DIR.")
    options = ReportOptions(
        results=tuple(words.results),
        folder=words.output,
        videos=words.videos,
        truth=words.truth,
        embed=words.embed,
    )
    print_result(f"{write_reports(options, Console())}\n")
    return 0


def write_reports(options: ReportOptions, console: Console) -> Path:
    """Write the pages, one after the other; the one to open first."""
    found = found_results(options.results)
    truth = None if options.truth is None else _Truth(options.truth)
    if truth is not None and not any(truth.of(one.stored.result.name) for one in found):
        raise UsageError(
            f"'{options.truth}' names none of these videos: the names have to be those of the "
            "results."
        )
    videos = None if options.videos is None else _Videos(options.videos)
    first = options.results[0]
    folder = options.folder or (first if first.is_dir() else first.parent)
    titles = _titles(found)
    names = page_names(titles)
    entries = []
    with new_folder(folder):
        for place, (name, one) in enumerate(zip(names, found, strict=True)):
            result = one.stored.result
            shown = _shown(one, videos, folder / name, embed=options.embed)
            if shown.note:
                console.say(f"{result.name}: {shown.note}")
            report = VideoReport(
                result=replace(result, name=titles[place]),
                video=shown,
                scores=stored_scores(one),
                truth=None if truth is None else truth.of(result.name),
                links=links_of(names, place),
            )
            beside = None if shown.beside is None else (shown.beside_name, shown.beside)
            write_page(folder / name, render_report(report), beside=beside)
            entries.append(IndexEntry(page=name, summary=report_summary(report)))
        if len(entries) > 1:
            write_page(folder / INDEX_NAME, render_index(f"{len(entries)} videos", entries))
    return folder / (INDEX_NAME if len(entries) > 1 else names[0])


def _titles(found: Sequence[FoundResult]) -> list[str]:
    """What pages are called: the source, and the file where several are of one, such as by day."""
    counts = Counter(one.stored.result.name for one in found)
    titles = []
    for one in found:
        name, stem = one.stored.result.name, one.file.stem
        titles.append(stem if counts[name] > 1 and stem.startswith(name) else name)
    return titles


class _Truth:
    """Annotations, by whatever results call a video."""

    def __init__(self, path: Path) -> None:
        annotations: Annotations = read_annotations(path)
        self._videos = {video.name: video for video in annotations.videos}
        self._by_stem = {Path(video.name).stem: video for video in annotations.videos}

    def of(self, name: str) -> tuple[Segment, ...] | None:
        """What is true of a video; None where no times are known."""
        video = self._videos.get(name) or self._by_stem.get(Path(name).stem)
        if video is None or (video.labels and not video.segments):
            return None
        return tuple(
            Segment(label=label, start_seconds=start, end_seconds=end, score=1.0)
            for label, start, end in video.segments
        )


class _Videos:
    """A folder of videos, or one of them, in which a result's video may be."""

    def __init__(self, place: Path) -> None:
        self._only = place if place.is_file() else None
        folder = place if self._only is None else place.parent
        if self._only is None:
            with input_errors(f"'{place}'"):
                has_videos = bool(video_files(place).videos)
            if not has_videos:
                raise InputError(f"'{place}' holds no videos: name the folder that they are in.")
        self._folder = VideoFolder(folder)

    def find(self, names: Sequence[str]) -> Path | None:
        """The one video that has one of these names; None where there is none, or two."""
        for name in names:
            with suppress(InputError):
                path = self._folder.find(name)
                if self._only is None or path.samefile(self._only):
                    return path
        return None


def _shown(found: FoundResult, videos: _Videos | None, page: Path, *, embed: bool) -> ShownVideo:
    source = _source(found, videos)
    if source is None and found.stored.result.start_unix_seconds is not None:
        return NOT_KEPT
    return shown_video(source, page, embed=embed)


def _source(found: FoundResult, videos: _Videos | None) -> Path | str | None:
    """Where the video of a result is."""
    source, name = found.stored.source, found.stored.result.name
    if videos is not None:
        names = [name, *([] if source is None else [source, Path(source).name])]
        if (path := videos.find(names)) is not None:
            return path
    if source is None:
        return None
    if is_address(source):
        return source
    if is_network(source):
        return without_credentials(source)
    return Path(source) if Path(source).is_file() else None
