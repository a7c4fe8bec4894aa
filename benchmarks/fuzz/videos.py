"""Video files: a cut of the packaged sample in every container, damaged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
from av.video.stream import VideoStream

from benchmarks.fuzz.case import (
    BASES,
    Case,
    Draw,
    Place,
    SilentlyWrongError,
    Surface,
    json_lines,
    run,
)
from benchmarks.fuzz.damage import damaged_bytes
from benchmarks.results import ROOT

DEMO = ROOT / "runtime" / "demo"
WIDTH, HEIGHT, FRAME_RATE, NUM_FRAMES = 128, 96, 15, 60
# Ending of the file, container and codecs of which the first that is there is taken.
_KINDS = (
    ("mp4", "mp4", ("libx264",)),
    ("hevc.mp4", "mp4", ("libx265", "libx264")),
    ("mkv", "matroska", ("libx264",)),
    ("ts", "mpegts", ("libx264",)),
    ("avi", "avi", ("mpeg4",)),
    ("mov", "mov", ("mpeg4",)),
    ("webm", "webm", ("libvpx", "libvpx-vp9")),
)
_FOLDER = "videos"
# A file that plays this many times longer than the undamaged one says so in a warning.
_FAR_TOO_LONG = 10


def run_words(engine: str, *videos: str) -> tuple[str, ...]:
    """Words of wsgn-run for some videos."""
    return (*videos, "--engine", engine, "--threads", "1", "-q")


def read_events(place: Place, words: Sequence[str]) -> int:
    """What wsgn-run prints is lines of JSON, numbered, each source with one end."""
    code = run("wsgn.runtime.cli.main", words)
    events = json_lines(place.printed())
    if [event["seq"] for event in events] != list(range(len(events))):
        raise SilentlyWrongError("the lines are not numbered in turn")
    if code == 0 and [event["type"] for event in events].count("end") != 1:
        raise SilentlyWrongError("a source has no end, or two")
    return code


def _prepare(bases: Path) -> None:
    (bases / _FOLDER).mkdir()
    with av.open(str(DEMO / "demo.mp4")) as source:
        frames = [
            frame.reformat(width=WIDTH, height=HEIGHT, format="yuv420p").to_ndarray()
            for frame, _ in zip(source.decode(video=0), range(NUM_FRAMES), strict=False)
        ]
    for ending, container, codecs in _KINDS:
        codec = next(name for name in codecs if name in av.codecs_available)
        with av.open(str(bases / _FOLDER / f"base.{ending}"), "w", format=container) as target:
            stream = target.add_stream(codec, rate=FRAME_RATE)
            assert isinstance(stream, VideoStream)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            stream.options = {"x265-params": "log-level=none:pools=1"} if "265" in codec else {}
            stream.thread_count = 1
            for frame in frames:
                target.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="yuv420p")))
            target.mux(stream.encode(None))


def _whole(bases: Path) -> Case:
    return _case((bases / _FOLDER / "base.mp4").read_bytes(), "mp4", "nothing")


def _damaged(draw: Draw, bases: Path) -> Case:
    ending = draw.choice(_KINDS)[0]
    data = (bases / _FOLDER / f"base.{ending}").read_bytes()
    if draw.random() < 0.3:
        # The tail holds the index of most containers.
        cut = max(len(data) - 4096, 0)
        damaged = data[:cut] + damaged_bytes(draw, data[cut:])
    else:
        damaged = damaged_bytes(draw, data, most=8)
    return _case(damaged, ending, f"bytes of a .{ending}")


def _case(data: bytes, ending: str, change: str) -> Case:
    words = run_words(f"{BASES}/demo.onnx", f"video.{ending}")
    return Case(files={f"video.{ending}": data}, words=words, change=change)


def _read(place: Place, words: Sequence[str]) -> int:
    code = read_events(place, words)
    events = json_lines(place.printed())
    limit = _FAR_TOO_LONG * NUM_FRAMES / FRAME_RATE
    for event in events:
        if event["type"] == "segment" and event["end_seconds"] > limit:
            named = {event["type"] for event in events} & {"warning", "gap"}
            if not named and all(event.get("complete", True) for event in events):
                raise SilentlyWrongError(f"a segment ends at {event['end_seconds']} s")
    return code


def link_demo(bases: Path) -> None:
    """The packaged engine and its sample among the bases."""
    for name in ("demo.onnx", "demo.mp4"):
        (bases / name).symlink_to(DEMO / name)


SURFACES = (
    Surface(
        name="video files", share=80, whole=_whole, damaged=_damaged, read=_read, prepare=_prepare
    ),
)
