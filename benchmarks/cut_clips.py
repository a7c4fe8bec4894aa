"""Clips: whether they hold the frames that they should, and what they cost.

    python -m benchmarks.cut_clips -o runs/cut_clips --videos VIDEO ...

Made videos whose frames carry their numbers are cut anywhere, and the numbers in the clips held
against exact arithmetic; of videos that are named, times of frames are counted as PyAV decodes the
whole file. Costs are processor seconds on videos of moving shapes.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.results import ROOT, add_output, describe_machine, publish
from benchmarks.tables import NOTHING, table
from wsgn.errors import WsgnError
from wsgn.localization.segments import Segment
from wsgn.runtime.clips.copied import copied_ending, write_copy
from wsgn.runtime.clips.exact import Draw, write_exact
from wsgn.runtime.clips.labels import LabelFont, LabelPainter
from wsgn.runtime.clips.part import CutPart, Part
from wsgn.support.command import run_command
from wsgn.video.opened_video import OpenedVideo

sys.path.append(str(ROOT / "tests"))

from coded_clips import number_in
from made_streams import FLV, MKV, MP4, TS, Container, made

_KINDS: tuple[tuple[str, Container, Fraction, int], ...] = (
    ("MP4, 25/s", MP4, Fraction(25), 2),
    ("MP4, 30000/1001", MP4, Fraction(30000, 1001), 0),
    ("Matroska, 30/s (clock of ms)", MKV, Fraction(30), 2),
    ("FLV, 24/s (clock of ms)", FLV, Fraction(24), 2),
    ("MPEG-TS, 50/s (no seeking)", TS, Fraction(50), 2),
)
_NUM_FRAMES = 250
_SIZES = ((320, 240), (1280, 720))
_CUT_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Clips of one kind of video."""

    video: str
    clips: int
    frames: int
    # Clips with a frame too many, one too few or another one.
    wrong: int
    # The same of copies: of the part that was asked for, frames that are not there.
    copies_missing: int | None
    # How much before its start a copy begins on average, and behind its end it ends.
    copies_early_seconds: float | None
    copies_late_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Processor seconds of one second of a clip at 25 frames per second."""

    size: str
    exact: float
    annotated: float
    copied: float


def main(argv: Sequence[str] | None = None) -> int:
    """Cut, count, measure; print and write two tables."""

    def work() -> int:
        parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
        parser.add_argument("--videos", nargs="*", type=Path, default=[], metavar="VIDEO")
        parser.add_argument("--clips", type=int, default=40, metavar="N", help="of each video")
        add_output(parser)
        words = parser.parse_args(argv)
        machine = describe_machine()
        with tempfile.TemporaryDirectory() as folder:
            counted = [count_made(Path(folder), kind, words.clips) for kind in _KINDS]
            counted += [count_real(Path(folder), video, words.clips) for video in words.videos]
            costs = [measure(Path(folder), *size) for size in _SIZES]
        publish(
            words.output,
            {"counted": [asdict(one) for one in counted], "costs": [asdict(one) for one in costs]},
            f"{_counts(counted)}\n\n{_costs(costs)}",
            machine=machine,
        )
        return 0

    return run_command("benchmarks.cut_clips", work)


def _counts(rows: Sequence[Counted]) -> str:
    def seconds(value: float | None) -> str:
        return NOTHING if value is None else f"{value:.2f}"

    heading = ("video", "clips", "frames", "wrong clips", "missing in copies", "s early", "s late")
    return table(
        heading,
        [
            (
                row.video,
                row.clips,
                row.frames,
                row.wrong,
                NOTHING if row.copies_missing is None else row.copies_missing,
                seconds(row.copies_early_seconds),
                seconds(row.copies_late_seconds),
            )
            for row in rows
        ],
    )


def _costs(rows: Sequence[Cost]) -> str:
    heading = ("CPU s for 1 s of a clip", "exact", "with labels", "copied")
    return table(
        heading,
        [
            (row.size, *(f"{one:.3f}" for one in (row.exact, row.annotated, row.copied)))
            for row in rows
        ],
    )


def spans(length: float, number: int) -> list[tuple[float, float]]:
    """Parts anywhere, some of them with ends to the hundredth of a second."""
    chance = random.Random(0)
    found = []
    for place in range(number):
        start = chance.uniform(0, 0.95 * length)
        end = min(length, start + chance.uniform(0.1, 2.0))
        digits = 2 if place % 2 else 9
        found.append((round(start, digits), round(end, digits)))
    return found


def count_made(folder: Path, kind: tuple[str, Container, Fraction, int], number: int) -> Counted:
    """Clips of a video whose right frames are known by construction."""
    name, container, rate, num_b_frames = kind
    data = made(list(range(_NUM_FRAMES)), container, rate=rate, num_b_frames=num_b_frames)
    video = folder / f"made.{container.suffix}"
    video.write_bytes(data)

    def expected(start: float, end: float) -> list[int]:
        # A clock of milliseconds has rounded the times by up to half of one.
        near = Fraction(1, 1000) if container in (MKV, FLV) else Fraction(0)
        begin, stop = Fraction(str(start)) - near, Fraction(str(end)) - near
        return [n for n in range(_NUM_FRAMES) if begin <= rounded(n) < stop]

    def rounded(n: int) -> Fraction:
        is_rounded = container in (MKV, FLV)
        return Fraction(round(n / rate * 1000), 1000) if is_rounded else n / rate

    return _counted(
        folder, name, video, spans(float(_NUM_FRAMES / rate), number), expected, numbers_of
    )


def numbers_of(path: Path) -> list[int]:
    """The numbers that the frames of a clip show."""
    with av.open(str(path)) as container:
        images: list[Any] = [one.to_ndarray(format="rgb24") for one in container.decode(video=0)]
    return [number_in(image) for image in images]


def count_real(folder: Path, video: Path, number: int) -> Counted:
    """Clips of any video, by the times of all of its frames."""
    with OpenedVideo(video, None) as opened:
        slack = opened.timeline.tolerance_seconds
    with av.open(str(video)) as container:
        stream: Any = container.streams.video[0]
        times = [float(one.pts * stream.time_base) for one in container.decode(stream)]
    times = [one - times[0] for one in times]

    def expected(start: float, end: float) -> list[int]:
        return [n for n, one in enumerate(times) if start - slack <= one < end - slack]

    def counted(path: Path) -> list[int]:
        with av.open(str(path)) as container:
            return list(range(sum(1 for _ in container.decode(video=0))))

    return _counted(folder, video.name, video, spans(times[-1], number), expected, counted)


def _counted(
    folder: Path,
    name: str,
    video: Path,
    parts: Sequence[tuple[float, float]],
    expected: Callable[[float, float], list[int]],
    shown: Callable[[Path], list[int]],
) -> Counted:
    num_clips = num_frames = num_wrong = num_missing = 0
    early, late = [], []
    by_number = shown is numbers_of
    for start, end in parts:
        wanted = expected(start, end)
        # Where no frame begins in a part, the one that is on show stands for it.
        if not wanted:
            continue
        part = Part(segment=None, start_seconds=start, end_seconds=end)
        write_exact(video, part, folder / "exact.mp4")
        found = shown(folder / "exact.mp4")
        num_clips += 1
        num_frames += len(found)
        num_wrong += found != wanted if by_number else len(found) != len(wanted)
        copy = folder / f"copy{copied_ending(video)}"
        try:
            cut = write_copy(video, part, copy)
        except WsgnError:
            continue
        early.append(start - cut.begins_seconds)
        late.append(cut.ends_seconds - end)
        if by_number:
            num_missing += len(set(wanted) - set(shown(copy)))
    return Counted(
        video=name,
        clips=num_clips,
        frames=num_frames,
        wrong=num_wrong,
        copies_missing=num_missing if by_number else None,
        copies_early_seconds=sum(early) / len(early) if early else None,
        copies_late_seconds=sum(late) / len(late) if late else None,
    )


def measure(folder: Path, width: int, height: int) -> Cost:
    """What a clip out of the middle of a video costs, which is opened for it."""
    video = folder / f"{width}.mp4"
    _draw(video, width, height)
    segment = Segment(label="wave", start_seconds=3.0, end_seconds=3.0 + _CUT_SECONDS, score=0.5)
    part = Part(segment=segment, start_seconds=3.0, end_seconds=3.0 + _CUT_SECONDS)
    paint: Draw = LabelPainter([segment], part, LabelFont(None, ["wave"])).paint
    target = folder / "clip.mp4"
    ways: tuple[Callable[[], CutPart], ...] = (
        lambda: write_exact(video, part, target),
        lambda: write_exact(video, part, target, paint),
        lambda: write_copy(video, part, target),
    )
    return Cost(
        size=f"{width} x {height}",
        **dict(zip(("exact", "annotated", "copied"), map(_cost, ways), strict=True)),
    )


def _cost(way: Callable[[], CutPart]) -> float:
    before = time.process_time()
    way()
    return (time.process_time() - before) / _CUT_SECONDS


def _draw(path: Path, width: int, height: int) -> None:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(250):
            waves = np.sin(x / 9 + number / 5) + np.sin(y / 13 - number / 7)
            image = np.repeat(((waves + 2) * 60).astype(np.uint8)[..., None], 3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())


if __name__ == "__main__":
    sys.exit(main())
