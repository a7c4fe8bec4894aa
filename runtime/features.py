"""Features through the engine: what a network made of a video before, logits, events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from wsgn.engines.engine import Engine, Pending
from wsgn.errors import EngineError, InputError, UsageError
from wsgn.features.file import FeatureInfo
from wsgn.features.reader import FeatureReader
from wsgn.localization.timing import snippet_duration_seconds

from .events import EndEvent, Event, ProgressEvent, SegmentEvent, SourceEvent, WarningEvent
from .pipeline import DetectOptions, StopFlag, fitting_batch, provenance_warning
from .source_run import SourceRun
from .streaming.detector import Detector, SnippetLogits
from .streaming.finite import FiniteGuard
from .streaming.whole_video import Scorer

# The codec of a source of features.
FEATURES = "features"
# Snippets in one call of the engine: enough for its products of matrices, little memory.
_BATCH = 1024
# Snippets that last so many times as long, or as short, are others than those of the training.
_OTHER_SNIPPETS = 1.5


@dataclass(frozen=True, kw_only=True)
class FeatureVideo:
    """The features of one video, of a file of its own or among others."""

    reader: FeatureReader
    # As its reader names it.
    name: str

    def info(self, size: int) -> FeatureInfo:
        """What their header says. Raises `InputError`, also for another width than `size`."""
        info = self.reader.info(self.name)
        if info.feature_size != size:
            raise InputError(
                f"the features of '{self.name}' are {info.feature_size} wide where the engine "
                f"takes {size}: give those that it was trained on, or choose --streams."
            )
        return info


@dataclass(frozen=True, kw_only=True)
class _Flight:
    """A batch that the engine was asked for: its snippets, by their places in the features."""

    rows: slice
    pending: Pending


class FeatureDetection(SourceRun):
    """One run over the features of one video."""

    def __init__(
        self,
        video: FeatureVideo,
        engine: Engine,
        options: DetectOptions | None = None,
        *,
        name: str | None = None,
        stop: StopFlag | None = None,
        scorer: Scorer | None = None,
    ) -> None:
        """Raises `EngineError`, `InputError` and `UsageError` where these do not go together."""
        manifest = engine.manifest
        if manifest.features is None:
            raise EngineError(
                f"the engine '{engine.name}' takes the frames of videos, not features: give videos."
            )
        self._video, self._engine = video, engine
        self._name = video.name if name is None else name
        self._options = options or DetectOptions()
        if self._options.stream is not None:
            raise UsageError("--stream chooses one of a video's streams; features have --streams.")
        self._stop = stop or StopFlag()
        self._info = video.info(manifest.features.size)
        self._trained = manifest.sampling
        # A video's features are on a time base of their own.
        own = replace(manifest, sampling=self._info.sampling)
        self._detector = Detector(own, self._options.detector, scorer=scorer)
        self._guard = FiniteGuard(engine.name)
        self._batch = fitting_batch(manifest, _BATCH)
        numbers = np.arange(self._info.num_snippets)
        self._starts = self._info.sampling.start_seconds(numbers)  # (T,)
        # Where the last snippet ends that was looked at.
        self._seconds = 0.0
        self._num_segments = 0
        self._complete = False

    @property
    def snippet_seconds(self) -> float:
        """What each score is of, from the start of its snippet."""
        return snippet_duration_seconds(self._info.sampling)

    def events(self) -> Iterator[Event]:
        """Events of the features, from `SourceEvent` to `EndEvent`."""
        yield self._source_event()
        yield from self._warnings()
        for event in self._read():
            # A final segment is never revised.
            self._num_segments += isinstance(event, SegmentEvent) and event.final
            yield event
        self._complete = not self._stop.requested
        yield self.end_event()

    def end_event(self) -> EndEvent:
        """How far the source came; its frames are those that the snippets cover."""
        sampling, count = self._info.sampling, self._guard.num_snippets
        covered = (count - 1) * sampling.snippet_stride + sampling.snippet_length
        return EndEvent(
            source=self._name,
            complete=self._complete,
            seconds=self._seconds,
            frames=covered if count else 0,
            snippets=count,
            segments=self._num_segments,
            decode_failures=0,
        )

    def _read(self) -> Iterator[Event]:
        chosen = self._chosen()
        if chosen.start == chosen.stop:
            yield WarningEvent(
                code="no_frames",
                message="no snippet lies in the part of the video that was chosen.",
            )
        features = self._video.reader.read(self._video.name)  # (T, D)
        flight: _Flight | None = None
        for first in range(chosen.start, chosen.stop, self._batch):
            if self._stop.requested:
                break
            rows = slice(first, min(first + self._batch, chosen.stop))
            pending = self._engine.submit(features[rows])
            # A GPU computes this batch meanwhile.
            if flight is not None:
                yield from self._land(flight)
            flight = _Flight(rows=rows, pending=pending)
        if flight is not None:
            yield from self._land(flight)
        self._guard.judge()
        if self._guard.num_refused:
            yield WarningEvent(
                code="non_finite",
                message=f"the engine gave NaN or infinity for {self._guard.num_refused} of "
                f"{self._guard.num_snippets} snippets, which were left out.",
            )
        yield from self._detector.flush("signal" if self._stop.requested else "end")

    def _chosen(self) -> slice:
        """The snippets that lie wholly in the chosen part."""
        begin, end = self._options.start_seconds or 0.0, self._options.end_seconds
        first = int(np.searchsorted(self._starts, begin))
        last = len(self._starts)
        if end is not None:
            ends = self._starts + self.snippet_seconds
            last = int(np.searchsorted(ends, end, side="right"))
        return slice(first, max(first, last))

    def _land(self, flight: _Flight) -> Iterator[Event]:
        """Events of a batch."""
        outputs = flight.pending.result()
        usable = self._guard.usable(outputs)
        starts = self._starts[flight.rows]
        yield from self._detector.push(
            SnippetLogits(
                start_seconds=starts[usable],
                epoch=np.zeros(int(usable.sum()), dtype=np.int64),
                selection_logits=outputs.selection_logits[usable],
                class_probabilities=outputs.class_probabilities[usable],
            )
        )
        self._seconds = float(starts[-1]) + self.snippet_seconds
        yield ProgressEvent(
            source=self._name,
            at_seconds=self._seconds,
            duration_seconds=self._duration_seconds,
        )

    @property
    def _duration_seconds(self) -> float:
        """Of the video where somebody said, else of what the snippets cover."""
        covered = float(self._starts[-1]) + self.snippet_seconds
        return self._info.duration_seconds or covered

    def _source_event(self) -> SourceEvent:
        return SourceEvent(
            source=self._name,
            duration_seconds=self._duration_seconds,
            frame_rate=self._info.sampling.frame_rate,
            codec=FEATURES,
            width=0,
            height=0,
            rotation_degrees=0,
        )

    def _warnings(self) -> Iterator[Event]:
        if (warning := provenance_warning(self._engine, None)) is not None:
            yield warning
        own, trained = self._info.sampling, self._trained
        ratios = (
            snippet_duration_seconds(own) / snippet_duration_seconds(trained),
            own.stride_seconds / trained.stride_seconds,
        )
        if any(not 1 / _OTHER_SNIPPETS <= ratio <= _OTHER_SNIPPETS for ratio in ratios):
            yield WarningEvent(
                code="time_base",
                message=f"snippets of {snippet_duration_seconds(own):g} s each "
                f"{own.stride_seconds:g} s, the engine was trained on "
                f"{snippet_duration_seconds(trained):g} s each {trained.stride_seconds:g} s: "
                "give the features that it was trained on, or their --input-rate.",
            )
