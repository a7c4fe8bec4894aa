"""Cameras that film the packaged sample without end, what is to be found there, and live runs."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import IO, Any, Self

import av
import numpy as np
from av.video.stream import VideoStream

from benchmarks.measuring import WSGN_RUN, run_measured
from benchmarks.results import ROOT
from wsgn.errors import WsgnError
from wsgn.support.arrays import UInt8Array

sys.path.append(str(ROOT / "tests" / "live"))

from clips import RTP_CLOCK, Clip, Picture, encoded_clip
from rtsp_server import Camera, RtspServer
from servers import free_port, stood_seconds

__all__ = [
    "DEMO", "RTP_CLOCK", "Camera", "Clip", "LiveRun", "RtspServer", "Span", "Truth",
    "free_port", "read_number", "sample_clip", "source_name", "stood_seconds",
]  # fmt: skip

DEMO = ROOT / "runtime" / "demo" / "demo.onnx"
_RATE, _WIDTH, _HEIGHT = 25, 320, 240
# Of the packaged engine, seconds between its snippets. A loop, and the time between keyframes, at
# which connections begin, are whole numbers of them: so every loop gives the same snippets.
_STRIDE = 0.4
_KEYFRAME_SECONDS = 2.0
# Bits of a picture's number, rows of its bars in a picture of full height, and their two grays.
_NUMBER_BITS, _CODE_ROWS, _GRAYS = 10, 10, (122, 134)
# Behind the window of live runs nothing is left of how a stream began.
_SETTLED_SECONDS = 125.0
# Segments close to the end of a run may have been open there.
END_SECONDS = 5.0
_STOP_SECONDS = 30.0


class LiveError(WsgnError):
    """A live run did not do what it must."""


@cache
def sample_clip(*, numbered: bool = False) -> Clip:
    """The packaged sample at 320x240 and 25/s, encoded as cameras do; its length is 30 s.

    Its pictures may carry their numbers: `read_number`.
    """
    images = _images(ROOT / "runtime" / "demo" / "demo.mp4")
    clip = encoded_clip(
        map(_numbered, itertools.count(), images) if numbered else images,
        rate=_RATE,
        keyframes=round(_KEYFRAME_SECONDS * _RATE),
        bar_code=False,
    )
    loops = clip.period_seconds / _STRIDE
    assert abs(loops - round(loops)) < 1e-9, clip.period_seconds
    return clip


def _numbered(number: int, image: UInt8Array) -> UInt8Array:
    """The picture with a bar code of its number that engines for motion do not mind.

    Of a Gray code one bar changes from one picture to the next, and a little.
    """
    drawn = np.array(image)
    code = number ^ number >> 1
    for bit in range(_NUMBER_BITS):
        drawn[:_CODE_ROWS, _bar(bit, _WIDTH)] = _GRAYS[code >> bit & 1]
    return drawn


def read_number(image: UInt8Array) -> int:
    """The number in a picture (H, W, 3), which may have been scaled."""
    height, width, _ = image.shape
    row = image[_CODE_ROWS * height // _HEIGHT // 2].astype(float).mean(axis=-1)
    number = 0
    for bit in reversed(range(_NUMBER_BITS)):
        bar = row[_bar(bit, width)]
        # A bar's edges run into its neighbours.
        is_set = bar[len(bar) // 4 : -(len(bar) // 4) or None].mean() > sum(_GRAYS) / 2
        number |= (int(is_set) ^ (number >> bit + 1 & 1)) << bit
    return number


def _bar(bit: int, width: int) -> slice:
    return slice(width * bit // _NUMBER_BITS, width * (bit + 1) // _NUMBER_BITS)


def _images(path: Path) -> Iterator[UInt8Array]:
    """The picture (H, W, 3) that a file shows at each time of the rate."""
    with av.open(str(path)) as container:
        number = 0
        for frame in container.decode(video=0):
            assert frame.time is not None
            image = frame.reformat(_WIDTH, _HEIGHT, "rgb24").to_ndarray()
            rate = container.streams.video[0].average_rate
            assert rate is not None
            while number / _RATE < frame.time + 1 / rate - 1e-6:
                yield np.asarray(image, dtype=np.uint8)
                number += 1


def source_name(camera: Camera) -> str:
    """What `wsgn-run` calls it."""
    return f"127-0-0-1_{camera.name}"


@dataclass(frozen=True, kw_only=True)
class Span:
    """A segment of a stream, in its media time."""

    label: str
    start_seconds: float
    end_seconds: float

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Self:
        """Of a line `segment`."""
        return cls(
            label=event["label"],
            start_seconds=event["start_seconds"],
            end_seconds=event["end_seconds"],
        )

    @classmethod
    def by_wall_clock(cls, event: Mapping[str, Any], zero: float) -> Self:
        """Of a line `segment` of a live run, in seconds since `zero` on the wall clock."""
        return cls(
            label=event["label"],
            start_seconds=event["start_unix_seconds"] - zero,
            end_seconds=event["end_unix_seconds"] - zero,
        )

    def meets(self, begin: float, end: float) -> bool:
        """Whether some of it lies between two times."""
        return self.start_seconds < end and self.end_seconds > begin

    def later(self, seconds: float) -> Span:
        """The same after so many seconds."""
        return Span(
            label=self.label,
            start_seconds=self.start_seconds + seconds,
            end_seconds=self.end_seconds + seconds,
        )

    def distance(self, other: Span) -> float:
        """The larger of the distances of their ends."""
        return max(
            abs(self.start_seconds - other.start_seconds), abs(self.end_seconds - other.end_seconds)
        )


class Truth:
    """What `wsgn-run` finds in a file of the same pictures, with the scores of live runs."""

    def __init__(self, clip: Clip, engine: Path, folder: Path, longest_seconds: float) -> None:
        self._clip = clip
        self._engine = engine
        self._folder = folder
        # Beyond this, every loop is the one before.
        self._seconds = min(longest_seconds, _SETTLED_SECONDS + clip.period_seconds + END_SECONDS)
        # By the place in the loop at which a connection begins, in keyframes.
        self._found: dict[int, list[Span]] = {}

    def spans(self, first_seconds: float, seconds: float) -> list[Span]:
        """Segments of a stream that began so far behind a loop's beginning, over its length."""
        period = self._clip.period_seconds
        keyframe = round(first_seconds % period / _KEYFRAME_SECONDS)
        if keyframe not in self._found:
            self._found[keyframe] = self._find(keyframe * _KEYFRAME_SECONDS)
        found = self._found[keyframe]
        end = seconds - END_SECONDS
        begin = _SETTLED_SECONDS
        spans = [span for span in found if span.start_seconds < begin]
        loop = [span for span in found if begin <= span.start_seconds < begin + period]
        for number in itertools.count() if loop else ():
            spans += (more := [span.later(number * period) for span in loop])
            if more[0].start_seconds > end:
                break
        return [span for span in spans if span.end_seconds < end]

    def _find(self, first_seconds: float) -> list[Span]:
        path = self._folder / f"from{first_seconds:g}.ts"
        _write_loops(self._clip, first_seconds, self._seconds, path)
        words = [str(path), "-e", str(self._engine), "--scores", "window", "--window", "120", "-q"]
        lines = run_measured([*WSGN_RUN, *words], what="the run over a file").lines
        path.unlink()
        events = map(json.loads, lines)
        return [Span.of(event) for event in events if event["type"] == "segment"]


def _write_loops(clip: Clip, first_seconds: float, seconds: float, path: Path) -> None:
    """The pictures of a connection that begins at a keyframe, as a file."""
    with path.open("wb") as file, TransportStream(file, clip) as stream:
        for sent, shown, picture in clip.from_keyframe(first_seconds - 1e-6):
            if sent - first_seconds >= seconds:
                return
            stream.write(picture, shown - first_seconds, sent - first_seconds)


class TransportStream:
    """Pictures of a clip as MPEG-TS, into a file or a pipe."""

    def __init__(self, target: IO[bytes], clip: Clip) -> None:
        self._container = av.open(target, "w", format="mpegts", options={"flush_packets": "1"})
        stream = self._container.add_stream("h264", rate=round(clip.rate))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, "yuv420p"
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def write(self, picture: Picture, shown_seconds: float, sent_seconds: float) -> None:
        """One picture."""
        packet = av.Packet(picture.annexb)
        packet.stream = self._stream
        packet.time_base = Fraction(1, RTP_CLOCK)
        packet.dts, packet.pts = round(sent_seconds * RTP_CLOCK), round(shown_seconds * RTP_CLOCK)
        packet.is_keyframe = picture.is_key
        self._container.mux(packet)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What was to be found beside what was."""

    expected: int
    # Of them those that meet a stretch of which the run said that it was lost.
    excused: int
    missing: tuple[Span, ...]
    # Found and not expected, outside of these stretches.
    extra: tuple[Span, ...]
    # Of the ends of those that were found.
    largest_difference_seconds: float


def compare(
    expected: Sequence[Span],
    found: Iterable[Span],
    lost: Sequence[tuple[float, float]] = (),
    tolerance: float = 0.75,
) -> Compared:
    """Each expected segment with the nearest of its label, but for those of lost stretches."""

    def is_lost(span: Span) -> bool:
        return any(span.meets(begin, end) for begin, end in lost)

    left, missing, differences, excused = list(found), [], [0.0], 0
    for span in expected:
        near = min(
            (other for other in left if other.label == span.label),
            key=span.distance,
            default=None,
        )
        if near is not None and span.distance(near) <= tolerance:
            differences.append(span.distance(near))
            left.remove(near)
        elif is_lost(span):
            excused += 1
        else:
            missing.append(span)
    last = max((span.end_seconds for span in expected), default=0.0)
    return Compared(
        expected=len(expected),
        excused=excused,
        missing=tuple(missing),
        extra=tuple(span for span in left if span.end_seconds < last and not is_lost(span)),
        largest_difference_seconds=max(differences),
    )


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a run's output."""

    # On the monotonic clock.
    came: float
    event: dict[str, Any]


class LiveRun:
    """A command over live sources, in a process of its own; its lines as they come."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        folder: Path,
        command: Sequence[str] = WSGN_RUN,
        **popen: Any,
    ) -> None:
        # On the monotonic clock.
        self.began = time.monotonic()
        self.lines: list[Line] = []
        self._changed = threading.Condition()
        self._errors = folder / "errors.txt"
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [*command, *words], stdout=subprocess.PIPE, stderr=errors,
                env=os.environ | {"OMP_NUM_THREADS": "1"}, **popen,
            )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()

    @property
    def number(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def stdin(self) -> Any:
        """The writing end of its standard input, where that is a pipe."""
        return self._process.stdin

    def of(self, *types: str, source: str | None = None) -> list[dict[str, Any]]:
        """Its events so far, of some types, and perhaps of one source."""
        return [
            line.event
            for line in list(self.lines)
            if line.event["type"] in types and source in (None, line.event.get("source"))
        ]

    def require_running(self) -> None:
        """Raises `LiveError` where it has ended."""
        if self._process.poll() is not None:
            raise LiveError(f"wsgn-run ended with {self._process.returncode}: {self.said()}")

    def wait_for(self, holds: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Until something holds that lines bring about. Raises `LiveError`."""
        until = time.monotonic() + seconds
        with self._changed:
            while not holds():
                self.require_running()
                if time.monotonic() > until:
                    raise LiveError(f"{what} did not come in {seconds:.0f} s: {self.said()}")
                self._changed.wait(0.5)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit code."""
        self._process.send_signal(number)
        try:
            code = self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise LiveError(f"wsgn-run goes on {_STOP_SECONDS:.0f} s after a signal.") from error
        self._reader.join()
        return code

    def kill(self) -> None:
        """End it at once, so that it can do nothing about it."""
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def wait(self, seconds: float) -> int:
        """Until it ends by itself; the exit code."""
        code = self._process.wait(seconds)
        self._reader.join()
        return code

    def said(self) -> str:
        """The last words on its standard error."""
        lines = self._errors.read_text(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:]) or "it said nothing."

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            came = time.monotonic()
            # The last one of a process that was killed may be torn.
            if not text.endswith(b"\n"):
                break
            line = Line(came=came, event=json.loads(text))
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
