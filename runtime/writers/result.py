"""What is left of a source's events once it has ended: its final segments."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, replace

from wsgn.localization.segments import Segment

from ..events import EndEvent, Event, GapEvent, RetractEvent, SegmentEvent, SourceEvent

# Start and end in seconds.
_Span = tuple[float, float]


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
    # Start and end of what had no pictures, by start.
    gaps: tuple[_Span, ...] = ()
    # Of live sources: the wall clock at time 0.
    start_unix_seconds: float | None = None

    def clearest(self) -> SourceResult:
        """Without what overlaps a segment of its label that scores more: for people.

        Many thresholds give several candidates for what one looks at once; of one threshold all
        segments stay.
        """
        spans: dict[str, list[_Span]] = {}
        kept: set[int] = set()
        # Of equal scores the first stays.
        for index in sorted(range(len(self.segments)), key=lambda i: -self.segments[i].score):
            segment = self.segments[index]
            if _placed(spans.setdefault(segment.label, []), segment):
                kept.add(index)
        return replace(
            self, segments=tuple(one for i, one in enumerate(self.segments) if i in kept)
        )


def _placed(spans: list[_Span], segment: Segment) -> bool:
    """Puts a segment among spans in the order of time, unless it overlaps one of them."""
    start, end = segment.start_seconds, segment.end_seconds
    place = bisect.bisect(spans, (start, end))
    # They do not overlap each other, so that only the next on either side can be in its way.
    if any(first < end and start < last for first, last in spans[max(place - 1, 0) : place + 1]):
        return False
    spans.insert(place, (start, end))
    return True


class ResultCollector:
    """Follows the events of one source."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._segments: dict[int, Segment] = {}
        self._duration_seconds: float | None = None
        self._complete = False
        self._start_offset_seconds = 0.0
        self._start_unix_seconds: float | None = None
        self._gaps: list[_Span] = []

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
            self._start_unix_seconds = event.start_unix_seconds
        elif isinstance(event, GapEvent):
            self._gaps.append((event.from_seconds, event.to_seconds))
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
            gaps=tuple(sorted(self._gaps)),
            start_unix_seconds=self._start_unix_seconds,
        )
