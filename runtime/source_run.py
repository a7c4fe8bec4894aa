"""A run over one source, of a video or of features: what commands ask of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

from wsgn.engines.engine import Engine
from wsgn.support.arrays import FloatArray, IntArray

from .events import EndEvent, Event
from .streaming.detector import Detector


class SourceRun(ABC):
    """One run over one source."""

    _engine: Engine
    _detector: Detector

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the C classes."""
        return self._engine.manifest.classes

    @property
    @abstractmethod
    def snippet_seconds(self) -> float:
        """What each score is of, from the start of its snippet."""

    @abstractmethod
    def events(self) -> Iterator[Event]:
        """Events while the source is read, from `SourceEvent` to `EndEvent`."""

    @abstractmethod
    def end_event(self) -> EndEvent:
        """How far the source came."""

    def frame_scores(self) -> FloatArray | None:
        """Scores (T, C) of the whole source, after its events; None unless in exact mode."""
        return self._detector.frame_scores

    def snippet_times(self) -> tuple[FloatArray, IntArray]:
        """Start in seconds and epoch of the snippets (T,) that `frame_scores` are of."""
        times = self._detector.snippet_times
        if times is None:
            return np.empty(0), np.empty(0, dtype=np.int64)
        return times.start_seconds, times.epoch
