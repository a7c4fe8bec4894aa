"""What is left of a source's events once it has ended: its final segments."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wsgn.localization.segments import Segment

from ..events import EndEvent, Event, RetractEvent, SegmentEvent, SourceEvent


@dataclass(frozen=True, kw_only=True)
class SourceResult:
    """The final segments of one source, by start, then label."""

    # Name of the results; the key of the video in documents for evaluation.
    name: str
    segments: tuple[Segment, ...]
    # None where the container does not say.
    duration_seconds: float | None = None
    complete: bool = False
    # From the file's beginning, as players count, to the first frame, from which all times count.
    start_offset_seconds: float = 0.0

    def clearest(self) -> SourceResult:
        """Without what overlaps a segment of its label that scores more: for people.

        Many thresholds give several candidates for what one looks at once; of one threshold all
        segments stay.
        """
        kept: list[Segment] = []
        for segment in sorted(self.segments, key=lambda one: -one.score):
            if not any(_overlap(segment, other) for other in kept):
                kept.append(segment)
        return replace(self, segments=tuple(one for one in self.segments if one in kept))


def _overlap(first: Segment, second: Segment) -> bool:
    return (
        first.label == second.label
        and first.start_seconds < second.end_seconds
        and second.start_seconds < first.end_seconds
    )


class ResultCollector:
    """Follows the events of one source."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._segments: dict[int, Segment] = {}
        self._duration_seconds: float | None = None
        self._complete = False
        self._start_offset_seconds = 0.0

    def push(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, SegmentEvent) and event.final:
            self._segments[event.id] = Segment(
                label=event.label,
                start_seconds=event.start_seconds,
                end_seconds=event.end_seconds,
                score=event.score,
            )
        elif isinstance(event, RetractEvent):
            self._segments.pop(event.id, None)
        elif isinstance(event, SourceEvent):
            self._duration_seconds = event.duration_seconds
            self._start_offset_seconds = event.start_offset_seconds
        elif isinstance(event, EndEvent):
            self._complete = event.complete

    def result(self) -> SourceResult:
        """The result so far."""
        ordered = sorted(
            self._segments.values(), key=lambda segment: (segment.start_seconds, segment.label)
        )
        return SourceResult(
            name=self._name,
            segments=tuple(ordered),
            duration_seconds=self._duration_seconds,
            complete=self._complete,
            start_offset_seconds=self._start_offset_seconds,
        )
