"""`wsgn-run export`: results as files of other people's tools."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsgn.data.video_folder import VideoFolder
from wsgn.errors import InputError, OutputError, UsageError
from wsgn.interchange.exported import ExportedVideo, media_name
from wsgn.interchange.formats import EXPORTS, NEED_RATE
from wsgn.remote.arguments import input_path, local_path, output_folder
from wsgn.support.counts import MOST_SECONDS
from wsgn.support.credentials import without_credentials
from wsgn.support.files import new_folder
from wsgn.support.mirrors import is_there
from wsgn.support.parser import CommandParser, finite_number
from wsgn.support.terminal import printable, without_surrogates
from wsgn.video import probe
from wsgn.video.addresses import is_elsewhere

from ..report.results import found_results
from ..results import StoredResult
from ..writers import ResultFile
from .console import print_result

_DESCRIPTION = """\
Write results as files of the tools that people look at videos and correct labels with.

  eaf          ELAN: a file per video, with a tier for each class
  labelstudio  Label Studio: tasks with predictions, and the configuration of their project
  otio         OpenTimelineIO: a timeline per video, with markers
  edl          CMX 3600: an edit list per video, each segment an event
  via          VGG Image Annotator 3: one project

Corrected files of ELAN, Label Studio and VIA are annotations, wherever a command takes those."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What a command line asks for."""

    results: tuple[Path, ...]
    # One of EXPORTS.
    kind: str
    directory: Path
    # Where the videos lie; None where only their names are known.
    videos: Path | None
    # Frames per second, in place of those of the videos.
    frame_rate: float | None
    # What stands before the names of the videos in the files.
    prefix: str | None
    min_score: float | None
    overwrite: bool


def export(arguments: Sequence[str]) -> int:
    """Run the subcommand; the exit code."""
    options = _parse(arguments)
    folder = None if options.videos is None else VideoFolder(options.videos)
    videos = [_exported(stored, folder, options) for stored in _stored(options.results)]
    texts = EXPORTS[options.kind](videos)
    paths = {options.directory / name: text for name, text in texts.items()}
    _refuse_existing(paths, options)
    with new_folder(options.directory):
        for path, text in paths.items():
            _write(path, text)
    for path in paths:
        print_result(f"{printable(str(path))}\n")
    return 0


def _parse(arguments: Sequence[str]) -> ExportOptions:
    parser = CommandParser(prog="wsgn-run export", description=_DESCRIPTION)
    parser.add_argument(
        "results",
        nargs="+",
        type=input_path,
        metavar="RESULT",
        help=".jsonl and .json files of wsgn-run -o, or folders of them",
    )
    parser.add_argument("--to", required=True, choices=tuple(EXPORTS), help="the tool, see above")
    parser.add_argument(
        "-o", "--output", required=True, type=output_folder, metavar="DIR", help="for the files"
    )
    parser.add_argument(
        "--videos", type=local_path, metavar="DIR", help="for their places and frame rates"
    )
    parser.add_argument(
        "--frame-rate",
        type=float,
        metavar="R",
        help="frames per second that labelstudio, otio and edl count (default: those of the video)",
    )
    parser.add_argument(
        "--media-prefix",
        metavar="TEXT",
        help="what the files call the videos: this and the name of their file, such as an address",
    )
    parser.add_argument(
        "--min-score",
        type=finite_number,
        metavar="X",
        help="only segments that score at least this",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    words = parser.parse_args(arguments)
    rate: float | None = words.frame_rate
    if rate is not None and not (0 < rate <= 1000 and math.isfinite(rate)):
        raise UsageError(f"--frame-rate must be over 0 and at most 1000, got {rate:g}.")
    return ExportOptions(
        results=tuple(words.results),
        kind=words.to,
        directory=words.output,
        videos=words.videos,
        frame_rate=rate,
        prefix=words.media_prefix,
        min_score=words.min_score,
        overwrite=words.overwrite,
    )


def _stored(paths: Sequence[Path]) -> Iterator[StoredResult]:
    """The results of all files, each video once."""
    places: dict[str, Path] = {}
    for found in found_results(paths):
        name = found.stored.result.name
        if name in places:
            raise UsageError(
                f"'{printable(str(found.file))}' and '{printable(str(places[name]))}' both hold "
                f"results of '{printable(name)}': name one of them."
            )
        places[name] = found.file
        yield found.stored


def _exported(
    stored: StoredResult, folder: VideoFolder | None, options: ExportOptions
) -> ExportedVideo:
    # Of several that overlap the one that scores most: people correct one.
    result = stored.result.clearest()
    found = None if folder is None else folder.find(result.name)
    rate, duration = stored.frame_rate, result.duration_seconds
    if found is not None and options.kind in NEED_RATE and (rate is None or duration is None):
        facts = probe(found)
        rate, duration = rate or facts.frame_rate, duration or facts.duration_seconds
    media = _media(stored, found)
    last = max((one.end_seconds for one in result.segments), default=0.0)
    if max(last, result.start_offset_seconds, duration or 0.0) > MOST_SECONDS:
        raise InputError(f"'{printable(result.name)}' goes on for {last:g} s: that is no video.")
    least = -math.inf if options.min_score is None else options.min_score
    return ExportedVideo(
        name=result.name,
        segments=tuple(one for one in result.segments if one.score >= least),
        media=media,
        address=""
        if options.prefix is None
        else options.prefix + (media_name(media) or result.name),
        start_offset_seconds=result.start_offset_seconds,
        duration_seconds=duration,
        frame_rate=options.frame_rate or rate,
    )


def _media(stored: StoredResult, found: Path | None) -> str:
    """How a tool finds the video: its path where that is known, else the name of its file."""
    if found is not None:
        return without_surrogates(str(found.absolute()))
    source = stored.source or ""
    if is_elsewhere(source):
        return without_credentials(source)
    return str(Path(source).absolute()) if Path(source).is_file() else media_name(source)


def _refuse_existing(paths: dict[Path, str], options: ExportOptions) -> None:
    existing = [path for path in paths if is_there(path)]
    if existing and not options.overwrite:
        raise OutputError(
            f"'{printable(str(existing[0]))}' exists already: add --overwrite to replace it, or "
            "choose another --output."
        )


def _write(path: Path, text: str) -> None:
    file = ResultFile(path)
    try:
        file.write(text)
        file.commit()
    finally:
        file.discard()
