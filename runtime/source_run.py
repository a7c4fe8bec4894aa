"""What commands ask of a run over one source, of a video or of features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from wsgn.support.arrays import FloatArray, IntArray

from .events import EndEvent, Event


class SourceRun(Protocol):
    """One run over one source."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the C classes."""

    @property
    def snippet_seconds(self) -> float:
        """What each score is of, from the start of its snippet."""

    def events(self) -> Iterator[Event]:
        """Events while the source is read, from `SourceEvent` to `EndEvent`."""

    def end_event(self) -> EndEvent:
        """How far the source came."""

    def frame_scores(self) -> FloatArray | None:
        """Scores (T, C) of the whole source, after its events; None unless in exact mode."""

    def snippet_times(self) -> tuple[FloatArray, IntArray]:
        """Start in seconds and epoch of the snippets (T,) that `frame_scores` are of."""
