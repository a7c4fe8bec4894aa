"""A source through the engine: frames, snippets, logits, events."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from wsgn.engines.engine import Engine, Pending
from wsgn.errors import EngineError, UsageError, WsgnError
from wsgn.localization.timing import snippet_duration_seconds
from wsgn.manifest import SYNTHETIC, Manifest
from wsgn.support.arrays import UInt8Array
from wsgn.support.credentials import without_credentials
from wsgn.video import FrameGrid, Gap, Notice, ReadSummary, SampledFrame, VideoInfo, VideoReader
from wsgn.video.addresses import STANDARD_INPUT
from wsgn.video.frames_in_memory import FramesInMemory

from .demo import is_sample
from .events import (
    EndEvent,
    ErrorEvent,
    Event,
    GapEvent,
    ProgressEvent,
    SegmentEvent,
    SourceEvent,
    WarningEvent,
)
from .reader import Item, ThreadedReader
from .source_run import SourceRun
from .streaming.detector import Detector, SnippetLogits
from .streaming.finite import FiniteGuard
from .streaming.rules import DetectorOptions
from .streaming.snippets import Snippet, Snippeter, engine_inputs
from .streaming.whole_video import Scorer

Source = str | os.PathLike[str] | BinaryIO

# Code of the warning that an engine has seen nothing that was filmed.
MADE_UP = "synthetic_engine"
# Memory for decoded frames that wait for the engine.
_QUEUE_BYTES = 64 * 2**20
_QUEUE_FRAMES = 1024
# Memory for the snippets of one call of the engine.
_BATCH_BYTES = 2**28


@dataclass(frozen=True, kw_only=True)
class DetectOptions:
    """What a user may choose of a run over one source; None takes the whole or the first."""

    detector: DetectorOptions = field(default_factory=DetectorOptions)
    # Part of the source, in seconds from its first frame.
    start_seconds: float | None = None
    end_seconds: float | None = None
    # Index of the video stream.
    stream: int | None = None
    # Frames per second, for sources whose own times are missing or wrong.
    input_rate: float | None = None
    # Snippets in one call of the engine, but for the last. The last digits of its outputs can
    # depend on the size of a batch: a constant one makes a run repeatable. Fewer where snippets are
    # large: together they take at most 256 MiB. What waits of a pipe or of a program's frames is
    # sent at once, however few.
    batch_size: int = 16


@dataclass(frozen=True, kw_only=True)
class _Flight:
    """A batch that the engine was asked for, and whose outputs were not looked at."""

    snippets: list[Snippet]
    pending: Pending


class StopFlag:
    """Asked of a running detection: finish what has been read, and end.

    A plain attribute and no lock: a signal handler runs inside the main thread, which may hold it.
    """

    def __init__(self) -> None:
        self.requested = False

    def request(self) -> None:
        """Ask to stop."""
        self.requested = True


def detect(
    source: Source,
    engine: Engine,
    options: DetectOptions | None = None,
    *,
    stop: StopFlag | None = None,
) -> Iterator[Event]:
    """Find segments in one source, while it is read.

    Args:
        source: the path or the file:// or http(s) address of a video, `-` for stdin, or a binary
            file object. Frames in memory go to `detect_frames`.
        engine: of `open_engine`, on frames.
        options: what is looked for and how (docs/streaming.md); by default the engine's own values.
        stop: its `request()`, of another thread or a signal handler, ends the run early, as at
            the end of the source.

    Returns:
        Events (docs/events.md), from `source` to `end`; times are media seconds from the first
        frame.

    Raises:
        InputError: the source cannot be read.
        EngineError: the engine takes no frames, or fails.
        MissingExtraError: the engine takes optical flow, and OpenCV is not there.
        UsageError: options that do not fit the engine.
    """
    return Detection(source, engine, options, stop=stop).events()


def detect_frames(
    frames: Iterable[tuple[float, UInt8Array]],
    engine: Engine,
    options: DetectOptions | None = None,
    *,
    stop: StopFlag | None = None,
) -> Iterator[Event]:
    """Find segments in frames of a program's own, such as those of a camera, while they come.

    Args:
        frames: pairs of seconds, on any clock that rises, and an image (H, W, 3) uint8 RGB. They
            are taken in another thread; the rules for times are those of videos (docs/video.md).
        engine: of `open_engine`, on frames.
        options: as for `detect`. Frames that wait go to the engine at once, however few.
        stop: as for `detect`; the next frame ends the run.

    Returns:
        The events of `detect`; times are seconds from the first frame.

    Raises:
        InputError: there is no frame.
        EngineError: the engine takes no frames, or fails.
        UsageError: options that do not fit the engine, or what is no pair of seconds and an image.
    """
    return Detection(FramesInMemory(frames), engine, options, stop=stop).events()


class Detection(SourceRun):
    """One run over one source; see `detect` where only the events are wanted."""

    def __init__(
        self,
        source: Source | FramesInMemory,
        engine: Engine,
        options: DetectOptions | None = None,
        *,
        name: str | None = None,
        stop: StopFlag | None = None,
        scorer: Scorer | None = None,
    ) -> None:
        if not hasattr(engine, "manifest"):
            kind = type(engine).__name__
            raise TypeError(f"an engine is what wsgn.runtime.open_engine gives, got a {kind}.")
        self._source = source
        self._name = name if name is not None else _source_name(source)
        self._engine = engine
        self._options = options or DetectOptions()
        self._stop = stop or StopFlag()
        self._grid = frame_grid(engine.manifest, engine.name)
        self._detector = Detector(engine.manifest, self._options.detector, scorer=scorer)
        self._snippeter = Snippeter(engine.manifest.sampling, engine.manifest.flow)
        self._guard = FiniteGuard(engine.name)
        self._batch_size = fitting_batch(engine.manifest, self._options.batch_size)
        # Snippets that wait for the engine.
        self._waiting: list[Snippet] = []
        # Nothing waits for a full batch where the writer may be a camera.
        self._comes_as_it_is_made = _comes_as_it_is_made(source)
        # The batch that a GPU computes while the next one is read.
        self._flight: _Flight | None = None
        self._num_frames = 0
        self._summary: ReadSummary | None = None
        self._num_segments = 0

    def events(self) -> Iterator[Event]:
        """Events while the source is read, from `SourceEvent` to `EndEvent`."""
        frame_bytes = self._grid.height * self._grid.width * 3
        capacity = max(8, min(_QUEUE_FRAMES, _QUEUE_BYTES // frame_bytes))
        with ThreadedReader(self._open_reader, capacity=capacity) as reader:
            for event in self._read(reader):
                # A final segment is never revised.
                self._num_segments += isinstance(event, SegmentEvent) and event.final
                yield event
            self._summary = reader.summary
        yield self.end_event()

    @property
    def snippet_seconds(self) -> float:
        """What each score is of, from the start of its snippet."""
        return snippet_duration_seconds(self._engine.manifest.sampling)

    def end_event(self) -> EndEvent:
        """How far the source came."""
        summary = self._summary
        sampling = self._engine.manifest.sampling
        return EndEvent(
            source=self._name,
            complete=summary is not None and summary.complete,
            seconds=self._num_frames / sampling.frame_rate if summary is None else summary.seconds,
            frames=self._num_frames,
            snippets=self._guard.num_snippets,
            segments=self._num_segments,
            decode_failures=0 if summary is None else summary.decode_failures,
        )

    def _open_reader(self) -> VideoReader:
        return VideoReader(
            self._source,
            self._grid,
            stream=self._options.stream,
            start_seconds=self._options.start_seconds,
            end_seconds=self._options.end_seconds,
            input_rate=self._options.input_rate,
        )

    def _read(self, reader: ThreadedReader) -> Iterator[Event]:
        announced = False
        while not reader.finished and not self._stop.requested:
            if not reader.has_next:
                # A live source may stay silent for long: what is known goes out before it is asked.
                if self._waiting and self._comes_as_it_is_made:
                    yield from self._launch(reader.info)
                yield from self._land(reader.info)
            item = reader.take()
            if reader.info is not None and not announced:
                announced = True
                yield self._source_event(reader.info)
                if (warning := provenance_warning(self._engine, self._source)) is not None:
                    yield warning
            if not isinstance(item, SampledFrame):
                # Events keep their order: those of snippets before a gap come before it.
                yield from self._land(reader.info)
            yield from self._take(item)
            while len(self._waiting) >= self._batch_size:
                yield from self._launch(reader.info)
        yield from self._finish(reader.info)

    def _take(self, item: Item | None) -> Iterator[Event]:
        if isinstance(item, SampledFrame):
            self._num_frames += 1
            self._waiting += self._snippeter.push([item])
        elif isinstance(item, Gap):
            yield GapEvent(
                from_seconds=item.from_seconds, to_seconds=item.to_seconds, cause=item.cause
            )
        elif isinstance(item, Notice):
            yield WarningEvent(code=item.code, message=item.message, at_seconds=item.seconds)

    def _launch(self, info: VideoInfo | None) -> Iterator[Event]:
        """Ask for the next batch; events of the one before, or of this one where it is ready."""
        size = self._batch_size
        snippets, self._waiting = self._waiting[:size], self._waiting[size:]
        pending = self._engine.submit(engine_inputs(snippets))
        yield from self._land(info)
        self._flight = _Flight(snippets=snippets, pending=pending)
        if pending.ready:
            yield from self._land(info)

    def _land(self, info: VideoInfo | None) -> Iterator[Event]:
        """Events of the batch in flight, if there is one."""
        if self._flight is None:
            return
        snippets, outputs = self._flight.snippets, self._flight.pending.result()
        self._flight = None
        usable = self._guard.usable(outputs)
        logits = SnippetLogits(
            start_seconds=np.array([snippet.start_seconds for snippet in snippets])[usable],
            epoch=np.array([snippet.epoch for snippet in snippets], dtype=np.int64)[usable],
            selection_logits=outputs.selection_logits[usable],
            class_probabilities=outputs.class_probabilities[usable],
        )
        yield from self._padded_warnings(snippets)
        yield from self._detector.push(logits)
        yield ProgressEvent(
            source=self._name,
            at_seconds=snippets[-1].start_seconds
            + snippet_duration_seconds(self._engine.manifest.sampling),
            duration_seconds=None if info is None else info.duration_seconds,
        )

    def _finish(self, info: VideoInfo | None) -> Iterator[Event]:
        self._waiting += self._snippeter.flush()
        while self._waiting:
            yield from self._launch(info)
        yield from self._land(info)
        self._guard.judge()
        if self._num_frames == 0 and not self._stop.requested:
            yield WarningEvent(
                code="no_frames", message="no frame lies in the part of the video that was chosen."
            )
        if self._guard.num_refused:
            yield WarningEvent(
                code="non_finite",
                message=f"the engine gave NaN or infinity for {self._guard.num_refused} of "
                f"{self._guard.num_snippets} snippets, which were left out.",
            )
        yield from self._detector.flush("signal" if self._stop.requested else "end")

    def _padded_warnings(self, snippets: list[Snippet]) -> Iterator[Event]:
        for snippet in snippets:
            if snippet.padded:
                yield WarningEvent(
                    code="padded",
                    message="a part shorter than one snippet "
                    f"({snippet_duration_seconds(self._engine.manifest.sampling):g} s) was filled "
                    "by repeating its last frame.",
                    at_seconds=snippet.start_seconds,
                )

    def _source_event(self, info: VideoInfo) -> SourceEvent:
        return SourceEvent(
            source=self._name,
            duration_seconds=info.duration_seconds,
            frame_rate=info.frame_rate,
            codec=info.codec,
            width=info.width,
            height=info.height,
            rotation_degrees=info.rotation_degrees,
            start_offset_seconds=info.start_offset_seconds,
        )


def fitting_batch(manifest: Manifest, batch_size: int) -> int:
    """The size of a batch, or fewer where snippets are large."""
    return min(batch_size, max(1, _BATCH_BYTES // manifest.snippet_bytes))


def provenance_warning(engine: Engine, source: object) -> WarningEvent | None:
    """Nothing that was drawn or made up teaches what people do."""
    trained_on = engine.manifest.trained_on
    if trained_on not in SYNTHETIC or is_sample(source):
        return None
    return WarningEvent(
        code=MADE_UP,
        message=f"the engine '{engine.name}' was trained on {trained_on}, drawn and not filmed: on "
        "other films what it finds means nothing; train one on yours.",
    )


def failure_events(source: str, error: WsgnError, end: EndEvent | None = None) -> list[Event]:
    """The last events of a source that failed, or that could not be opened at all."""
    if end is None:
        end = EndEvent(
            source=source,
            complete=False,
            seconds=0.0,
            frames=0,
            snippets=0,
            segments=0,
            decode_failures=0,
        )
    code = "usage" if isinstance(error, UsageError) else getattr(error, "code", "unreadable")
    return [ErrorEvent(source=source, code=code, message=str(error)), end]


def _source_name(source: Source | FramesInMemory) -> str:
    if isinstance(source, FramesInMemory):
        return source.name
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else STANDARD_INPUT
    return "stdin" if name == STANDARD_INPUT else without_credentials(name)


def _comes_as_it_is_made(source: Source | FramesInMemory) -> bool:
    """Whether a source is a pipe or a program's frames, and no file whose bytes are all there."""
    if isinstance(source, FramesInMemory):
        return True
    try:
        if isinstance(source, str | os.PathLike):
            is_stdin = os.fspath(source) == STANDARD_INPUT
            status = os.fstat(0) if is_stdin else Path(source).stat()
            return not stat.S_ISREG(status.st_mode)
        return not (hasattr(source, "seekable") and source.seekable())
    # An address, a path that is not there, a closed file: reading it will tell.
    except (OSError, ValueError):
        return False


def frame_grid(manifest: Manifest, engine_name: str) -> FrameGrid:
    """The grid on which an engine's videos are sampled. Raises `EngineError` if it takes none."""
    if manifest.frames is None:
        raise EngineError(
            f"the engine '{engine_name}' takes features, not the frames of a video: give its "
            "feature files, or an engine that was exported from a model with a backbone."
        )
    return FrameGrid(
        frame_rate=manifest.sampling.frame_rate,
        height=manifest.frames.height,
        width=manifest.frames.width,
        resize=manifest.frames.resize,
    )
