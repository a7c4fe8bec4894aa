"""`wsgn-run clips`: what was found as files of their own."""

from __future__ import annotations

import math
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from av.error import FFmpegError

from wsgn.data.video_folder import VideoFolder
from wsgn.errors import InputError, OutputError, UsageError
from wsgn.localization.segments import Segment
from wsgn.remote.arguments import input_name, input_path, output_folder
from wsgn.support.arrays import UInt8Array
from wsgn.support.command import failure_code
from wsgn.support.credentials import without_credentials
from wsgn.support.file_names import different
from wsgn.support.files import AtomicFile, new_folder, require_file
from wsgn.support.mirrors import is_there
from wsgn.support.parser import CommandParser, finite_number
from wsgn.support.signals import HANG_UPS, exit_on_termination, handle_signals
from wsgn.support.terminal import json_text, printable, quoted, without_surrogates
from wsgn.video import VideoError
from wsgn.video.addresses import is_network
from wsgn.video.files import without_video_suffix

from ..clips.copied import copied_ending, write_copy
from ..clips.exact import ENDING, Draw, write_exact
from ..clips.labels import LabelFont, LabelPainter
from ..clips.names import clip_stem
from ..clips.part import WHOLE, CutPart, Part, padded
from ..report.results import found_results
from ..results import StoredResult
from ..writers.files import result_errors
from .console import Console, print_result
from .options import split_labels

_DESCRIPTION = """\
Cut what was found out of the video: one file for each segment, with the first frame that lies in
it, the last one, and no other. Of folders, results and videos go together by their names."""

_LONGEST_PADDING_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True)
class ClipsOptions:
    """What a command line asks for."""

    results: Path
    # A file, or a folder of them.
    videos: Path
    directory: Path
    padding_seconds: float
    min_score: float | None
    # As they were typed; None for all.
    labels: tuple[str, ...] | None
    # Without encoding anew.
    copy: bool
    annotate: bool
    # None for the one that comes with Pillow.
    font: Path | None
    # One file of the whole video, and not one per segment.
    whole: bool
    overwrite: bool


@dataclass(frozen=True, kw_only=True)
class Job:
    """One file to be made."""

    video: Path
    part: Part
    target: Path
    # Of that video, for labels in the picture.
    segments: tuple[Segment, ...]


def run_clips(arguments: Sequence[str]) -> int:
    """Make the clips; the exit code."""
    options = _parse(arguments)
    console = Console(progress=True)
    jobs, num_failed = _jobs(options, console)
    _refuse_existing([job.target for job in jobs], options)
    if not jobs:
        console.say("there is nothing to cut: no segment is left by what was chosen.")
        return failure_code(num_failed, 1)
    font = None
    if options.annotate:
        font = LabelFont(options.font, {one.label for job in jobs for one in job.segments})
    num_done = 0
    unreadable: set[Path] = set()
    said: set[str] = set()
    with exit_on_termination(), _exit_on_hang_up(), new_folder(options.directory):
        for job in jobs:
            if job.video in unreadable:
                num_failed += 1
                continue
            try:
                cut = _make(job, font, console, copy=options.copy)
            except InputError as error:
                # What is so of a video as a whole would be said of each of its clips.
                if str(error) not in said:
                    console.error(str(error))
                    said.add(str(error))
                num_failed += 1
                if isinstance(error, VideoError):
                    unreadable.add(job.video)
                continue
            num_done += 1
            _tell(job, cut, console, copy=options.copy)
    return failure_code(num_failed, num_done)


@contextmanager
def _exit_on_hang_up() -> Iterator[None]:
    """Let a terminal that is closed end the block in order too, with 129; not under nohup."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    with handle_signals(leave, HANG_UPS, ignored_too=False):
        yield


def _parse(arguments: Sequence[str]) -> ClipsOptions:
    parser = CommandParser(prog="wsgn-run clips", description=_DESCRIPTION)
    parser.add_argument(
        "results",
        type=input_path,
        metavar="RESULT",
        help="a .jsonl or .json file of wsgn-run -o, or a folder of them",
    )
    parser.add_argument(
        "videos",
        type=input_name,
        metavar="VIDEO",
        help="the video, or the folder of the videos; of one at an address a copy is made",
    )
    parser.add_argument(
        "-o", "--output", required=True, type=output_folder, metavar="DIR", help="for the clips"
    )
    parser.add_argument(
        "--padding",
        type=float,
        default=0.0,
        metavar="S",
        help="seconds before and behind each segment",
    )
    parser.add_argument(
        "--min-score",
        type=finite_number,
        metavar="X",
        help="only segments that score at least this",
    )
    parser.add_argument(
        "--labels", action="append", metavar="NAMES", help="only these, with commas between them"
    )
    _add_kinds(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    return _options(parser.parse_args(arguments))


def _add_kinds(parser: CommandParser) -> None:
    """How the clips are made."""
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--copy",
        action="store_true",
        help="encode nothing anew: quick, but a clip begins at the keyframe before its start",
    )
    kinds.add_argument(
        "--annotate",
        action="store_true",
        help="burn labels and scores into the picture (the extra view)",
    )
    parser.add_argument(
        "--font", type=input_path, metavar="FILE", help="for other letters than English ones"
    )
    parser.add_argument(
        "--whole",
        action="store_true",
        help="with --annotate: one file of the whole video, and not one per segment",
    )


def _options(words: Namespace) -> ClipsOptions:
    if not 0 <= words.padding <= _LONGEST_PADDING_SECONDS:
        raise UsageError(
            f"--padding must be 0 to {_LONGEST_PADDING_SECONDS:g} s, got {words.padding:g}."
        )
    if is_network(words.videos):
        raise UsageError(
            f"clips are cut out of files: download {without_credentials(words.videos)} first."
        )
    if not words.annotate and (words.whole or words.font is not None):
        option = "--whole" if words.whole else "--font"
        raise UsageError(f"{option} is for pictures with labels: add --annotate.")
    if words.whole and words.padding:
        raise UsageError("--whole and --padding exclude each other.")
    return ClipsOptions(
        results=words.results,
        videos=Path(words.videos),
        directory=words.output,
        padding_seconds=words.padding,
        min_score=words.min_score,
        labels=None if words.labels is None else tuple(words.labels),
        copy=words.copy,
        annotate=words.annotate,
        font=words.font,
        whole=words.whole,
        overwrite=words.overwrite,
    )


def _jobs(options: ClipsOptions, console: Console) -> tuple[list[Job], int]:
    """What is to be made, checked before anything is written; and how many videos are missing."""
    found = [one.stored for one in found_results([options.results])]
    pairs = _paired(found, options.videos, console)
    chosen = _chosen_labels(options, [stored for stored, _ in pairs])
    endings = {video: copied_ending(video) if options.copy else ENDING for _, video in pairs}
    wanted: list[tuple[str, Path, Part, tuple[Segment, ...]]] = []
    for stored, video in pairs:
        segments = _segments(stored, options.min_score, chosen)
        parts = [padded(one, options.padding_seconds) for one in segments]
        for part in [WHOLE] if options.whole else parts:
            wanted.append((clip_stem(stored.result.name, part), video, part, segments))
    names = different(stem for stem, *_ in wanted)
    jobs = [
        Job(
            video=video,
            part=part,
            target=options.directory / f"{name}{endings[video]}",
            segments=segments,
        )
        for name, (_, video, part, segments) in zip(names, wanted, strict=True)
    ]
    return jobs, len(found) - len(pairs) if options.videos.is_dir() else 0


def _paired(
    found: Sequence[StoredResult], videos: Path, console: Console
) -> list[tuple[StoredResult, Path]]:
    """Each result with its video."""
    if not videos.exists():
        raise InputError(f"there is no file {printable(str(videos))}.")
    if videos.is_dir():
        folder = VideoFolder(videos)
        pairs: list[tuple[StoredResult, Path]] = []
        missing: list[InputError] = []
        for stored in found:
            try:
                pairs.append((stored, folder.find(stored.result.name)))
            except InputError as error:
                missing.append(error)
        if missing and not pairs:
            raise missing[0]
        for lack in missing:
            console.error(str(lack))
        return pairs
    require_file(videos, printable(str(videos)))
    own = {videos.name, without_video_suffix(videos.name)}
    same = [stored for stored in found if _last_name(stored.result.name) in own]
    if len(same) == 1:
        return [(same[0], videos)]
    names = [stored.result.name for stored in found]
    if len(found) > 1:
        raise InputError(
            f"which of {quoted(names)} is {printable(videos.name)}? Name the results of one "
            "video, or the folder of all the videos."
        )
    console.say(f"the results are called '{printable(names[0])}', and the video is not.")
    return [(found[0], videos)]


def _last_name(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


def _chosen_labels(options: ClipsOptions, results: Sequence[StoredResult]) -> frozenset[str] | None:
    if options.labels is None:
        return None
    known = sorted({one.label for stored in results for one in stored.result.segments})
    names = [name for words in options.labels for name in split_labels(words, known)]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        what = quoted(unknown) if unknown else "nothing"
        raise UsageError(f"--labels names {what}, and the results have {quoted(known)}.")
    return frozenset(names)


def _segments(
    stored: StoredResult, min_score: float | None, labels: frozenset[str] | None
) -> tuple[Segment, ...]:
    least = -math.inf if min_score is None else min_score
    # Of several that overlap the one that scores most: one cut of a thing is enough.
    return tuple(
        one
        for one in stored.result.clearest().segments
        if one.score >= least and (labels is None or one.label in labels)
    )


def _refuse_existing(targets: Sequence[Path], options: ClipsOptions) -> None:
    existing = [path for path in targets if is_there(path)]
    if existing and not options.overwrite:
        raise OutputError(
            f"'{printable(str(existing[0]))}' exists already: add --overwrite to replace it, or "
            "choose another --output."
        )


def _make(job: Job, font: LabelFont | None, console: Console, *, copy: bool) -> CutPart:
    """Write one clip, which is there whole or not at all."""
    draw = None if font is None else _drawing(job, font, console)
    file = AtomicFile(job.target)
    try:
        with result_errors(job.target):
            file.open()
            try:
                if copy:
                    cut = write_copy(job.video, job.part, file.temporary)
                else:
                    cut = write_exact(job.video, job.part, file.temporary, draw)
            except FFmpegError as error:
                raise _unwritten(job.target, error) from error
            file.commit()
        return cut
    finally:
        console.end_progress()
        file.discard()


def _drawing(job: Job, font: LabelFont, console: Console) -> Draw:
    """What burns the labels in, and moves the bar of a whole video."""
    paint = LabelPainter(job.segments, job.part, font).paint
    if job.part.segment is not None:
        return paint

    def draw(image: UInt8Array, seconds: float, end_seconds: float) -> UInt8Array:
        console.progress(seconds, end_seconds if math.isfinite(end_seconds) else None)
        return paint(image, seconds, end_seconds)

    console.start_progress(job.target.name)
    return draw


def _unwritten(target: Path, error: Exception) -> OutputError:
    reason = getattr(error, "strerror", None) or type(error).__name__
    return OutputError(
        f"cannot write '{printable(str(target))}' ({reason.lower()}): free or choose another "
        "place with --output."
    )


def _tell(job: Job, cut: CutPart, console: Console, *, copy: bool) -> None:
    """A line for programs, or for people."""
    earlier = max(0.0, job.part.start_seconds - cut.begins_seconds)
    if cut.remark:
        console.say(f"{job.target.name}: {cut.remark}.")
    if sys.stdout is not None and sys.stdout.isatty():
        words = f"{cut.ends_seconds - cut.begins_seconds:.2f} s, {cut.num_frames} frames"
        if copy:
            words += f", begins {earlier:.2f} s early"
        print_result(f"{printable(str(job.target))}  {words}\n")
        return
    segment = job.part.segment
    document: dict[str, Any] = {
        "file": without_surrogates(str(job.target)),
        "video": without_surrogates(str(job.video)),
        "label": None if segment is None else segment.label,
        "score": None if segment is None else segment.score,
        "segment": None if segment is None else [segment.start_seconds, segment.end_seconds],
        "begins_seconds": round(cut.begins_seconds, 6),
        "ends_seconds": round(cut.ends_seconds, 6),
        "frames": cut.num_frames,
        "sound": cut.has_sound,
    }
    if copy:
        document["earlier_seconds"] = round(earlier, 6)
    print_result(json_text(document) + "\n")
