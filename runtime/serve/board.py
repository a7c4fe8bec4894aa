"""What the live page shows of a run: all of it, and what has changed since it was told last."""

from __future__ import annotations

import base64
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from wsgn.localization.online.smoother import SnippetScore
from wsgn.support.terminal import printable

from ..events import (
    DroppedEvent,
    EndEvent,
    ErrorEvent,
    Event,
    GapEvent,
    RetractEvent,
    RunEvent,
    SegmentEvent,
    SourceEvent,
    StartEvent,
    StatusEvent,
    WarningEvent,
)
from ..live.running import SourceStatistics
from ..live.watching import Statistics

# Of each source; ten minutes of the packaged engine's scores.
_NUM_SCORES = 1500
_NUM_BARS = 300
_NUM_GAPS = 100
# Of all sources, as sentences.
_NUM_LINES = 200
# Sources that have ended are shown for so long.
_ENDED_SECONDS = 60.0
# A lag below this is how pictures travel.
_LAG_SECONDS = 0.5

_Item = TypeVar("_Item")


@dataclass(frozen=True, kw_only=True)
class _Bar:
    """A segment; wall clock."""

    label: str
    start: float
    # None while it is open.
    end: float | None = None
    score: float | None = None

    def told(self, key: str) -> list[Any]:
        end = None if self.end is None else round(self.end, 3)
        score = None if self.score is None else round(self.score, 3)
        return [key, self.label, round(self.start, 3), end, score]


@dataclass(kw_only=True)
class _Source:
    """What is shown of one source, and which of it was not told yet."""

    name: str
    # waiting | playing | lost | late | failed | ended
    state: str = "waiting"
    words: str = ""
    since: float = 0.0
    video: str = ""
    # What the wall clock is ahead of media time.
    offset: float | None = None
    numbers: dict[str, Any] = field(default_factory=dict)
    # Wall clock of the middle of a snippet, and its scores, a byte each.
    scores: deque[tuple[float, bytes]] = field(default_factory=lambda: deque(maxlen=_NUM_SCORES))
    num_new_scores: int = 0
    # By a key that no other segment of the source has: ids begin anew where a source does.
    bars: dict[str, _Bar] = field(default_factory=dict)
    new_bars: dict[str, _Bar | None] = field(default_factory=dict)
    gaps: deque[list[float]] = field(default_factory=lambda: deque(maxlen=_NUM_GAPS))
    new_gaps: deque[list[float]] = field(default_factory=lambda: deque(maxlen=_NUM_GAPS))
    num_begun: int = 0
    # As it was told last.
    told: dict[str, Any] = field(default_factory=dict)

    def set_state(self, state: str, words: str, now: float) -> None:
        if state != self.state or not self.since:
            self.since = now
        self.state, self.words = state, words

    def put(self, id: int, bar: _Bar | None) -> None:
        """Draw a segment, or take it away."""
        key = f"{self.num_begun}.{id}"
        self.bars.pop(key, None)
        if bar is not None:
            self.bars[key] = bar
        self.new_bars[key] = bar
        for bars in (self.bars, self.new_bars):
            if len(bars) > _NUM_BARS:
                del bars[next(iter(bars))]

    def end_open(self, now: float) -> None:
        """What was open has no end of its own any more, as after a kill."""
        for key, bar in self.bars.items():
            if bar.end is None:
                self.bars[key] = self.new_bars[key] = _Bar(
                    label=bar.label, start=bar.start, end=max(bar.start, now)
                )

    def status(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "words": self.words,
            "since": round(self.since, 1),
            "video": self.video,
            **self.numbers,
        }


class Board:
    """Hears all of a run in one thread, and is read in another; a reader is told the run's `state`,
    and from then on `changes`.

    Times are seconds of the wall clock, so that sources stand beside each other. Texts are as they
    may be shown: no control characters, no other direction of writing.
    """

    def __init__(self, classes: Sequence[str], *, run: str, wall: Callable[[], float] = time.time):
        self._classes = [printable(label) for label in classes]
        self._run = run
        self._wall = wall
        self._lock = threading.Lock()
        self._sources: dict[str, _Source] = {}
        self._facts: dict[str, Any] = {}
        self._lines: deque[dict[str, Any]] = deque(maxlen=_NUM_LINES)
        self._new_lines: deque[dict[str, Any]] = deque(maxlen=_NUM_LINES)
        self._waits: float | None = None
        # Of the run's sources as it began them, by name.
        self._places: dict[str, int] = {}

    def hear(self, event: Event) -> None:
        """Follow an event of the run."""
        with self._lock:
            if isinstance(event, RunEvent):
                self._facts = {"version": event.version, "engine": printable(event.engine)}
                return
            if event.source:
                self._follow(self._source(event.source), event)
            line = _line(event, self._wall())
            if line is not None:
                self._lines.append(line)
                self._new_lines.append(line)

    def scored(self, source: str, scores: SnippetScore, unix_offset: float) -> None:
        """Smoothed scores of a snippet."""
        row = np.rint(np.clip(scores.scores, 0.0, 1.0) * 255).astype(np.uint8).tobytes()
        with self._lock:
            found = self._source(source)
            found.offset = unix_offset
            found.scores.append((scores.centre_seconds + unix_offset, row))
            found.num_new_scores += 1

    def ticked(self, statistics: Statistics) -> None:
        """Take what is counted."""
        with self._lock:
            now = self._wall()
            wait = statistics.engine.wait_median_seconds
            self._waits = None if np.isnan(wait) else round(wait, 3)
            for name, one in statistics.sources.items():
                self._places.setdefault(name, len(self._places))
                self._source(name).numbers = _numbers(one)
            for name in list(self._sources):
                source = self._sources[name]
                if source.state == "ended" and now - source.since > _ENDED_SECONDS:
                    del self._sources[name]
                    self._places.pop(name, None)

    def state(self) -> dict[str, Any]:
        """All that `changes` has told so far."""
        with self._lock:
            told = {
                "run": self._run,
                "now": round(self._wall(), 3),
                "classes": self._classes,
                **self._facts,
                "waits": self._waits,
                "names": self._names(),
                "sources": [_whole(source) for source in self._sources.values()],
                "lines": _without_last(self._lines, len(self._new_lines)),
            }
        return _packed(told)

    def changes(self) -> dict[str, Any]:
        """What is new since the last call."""
        with self._lock:
            told = {
                "now": round(self._wall(), 3),
                "waits": self._waits,
                "names": self._names(),
                "sources": [
                    changed for one in self._sources.values() if (changed := _changed(one))
                ],
                "lines": list(self._new_lines),
            }
            self._new_lines.clear()
        return _packed(told)

    def _names(self) -> list[str]:
        return sorted(self._sources, key=lambda name: self._places.get(name, len(self._places)))

    def _source(self, name: str) -> _Source:
        if name not in self._sources:
            self._sources[name] = _Source(name=name, since=self._wall())
        return self._sources[name]

    def _follow(self, source: _Source, event: Event) -> None:
        now = event.at_unix_seconds or self._wall()
        if isinstance(event, SourceEvent):
            source.end_open(now)
            source.num_begun += 1
            source.video = printable(f"{event.codec} {event.width} × {event.height}")  # noqa: RUF001
            if event.start_unix_seconds is not None:
                source.offset = event.start_unix_seconds
            source.set_state("playing", "", now)
        elif isinstance(event, StatusEvent):
            is_back = event.state == "restored"
            words = "" if is_back else printable(event.message.removeprefix(f"{event.source}: "))
            source.set_state("playing" if is_back else event.state, words, now)
        elif isinstance(event, ErrorEvent):
            message = event.message.removeprefix(f"{event.source}: ")
            source.set_state("failed", printable(message), now)
        elif isinstance(event, EndEvent):
            source.end_open(now)
            if source.state != "failed":
                source.set_state("ended", "", now)
        elif isinstance(event, StartEvent):
            start = event.start_unix_seconds
            if start is not None:
                source.put(event.id, _Bar(label=printable(event.label), start=start))
        elif isinstance(event, SegmentEvent):
            start, end = event.start_unix_seconds, event.end_unix_seconds
            if start is not None and end is not None:
                bar = _Bar(label=printable(event.label), start=start, end=end, score=event.score)
                source.put(event.id, bar)
        elif isinstance(event, RetractEvent):
            source.put(event.id, None)
        elif isinstance(event, GapEvent) and source.offset is not None:
            gap = [round(at + source.offset, 3) for at in (event.from_seconds, event.to_seconds)]
            source.gaps.append(gap)
            source.new_gaps.append(gap)


def _numbers(one: SourceStatistics) -> dict[str, Any]:
    """What the page shows of a source's statistics; rounded, for what is the same is not told."""
    lag = one.lag_seconds if one.lag_seconds >= _LAG_SECONDS else 0.0
    return {
        "segments": one.counters.segments,
        "restarts": one.counters.restarts,
        "dropped": one.counters.dropped,
        "lag": round(lag, 1),
    }


def _whole(source: _Source) -> dict[str, Any]:
    """A source as far as it was told."""
    new = source.new_bars
    return {
        "name": source.name,
        "status": source.told or source.status(),
        "scores": _without_last(source.scores, source.num_new_scores),
        "bars": [bar.told(key) for key, bar in source.bars.items() if key not in new],
        "gaps": _without_last(source.gaps, len(source.new_gaps)),
    }


def _without_last(items: Collection[_Item], number: int) -> list[_Item]:
    return list(items)[: max(0, len(items) - number)]


def _changed(source: _Source) -> dict[str, Any]:
    """What is new of a source; nothing where nothing is."""
    changed: dict[str, Any] = {}
    status = source.status()
    if status != source.told:
        changed["status"] = source.told = status
    if source.num_new_scores:
        changed["scores"] = list(source.scores)[-source.num_new_scores :]
    if source.new_bars:
        new = source.new_bars.items()
        changed["bars"] = [bar.told(key) for key, bar in new if bar is not None]
        changed["gone"] = [key for key, bar in new if bar is None]
    if source.new_gaps:
        changed["gaps"] = list(source.new_gaps)
    source.num_new_scores, source.new_bars = 0, {}
    source.new_gaps.clear()
    return {"name": source.name, **changed} if changed else {}


def _packed(told: dict[str, Any]) -> dict[str, Any]:
    """What is told, with the scores in it as text: this takes a while, and holds nobody up."""
    for source in told["sources"]:
        if "scores" in source:
            source["scores"] = _scores(source["scores"])
    return told


def _scores(rows: Sequence[tuple[float, bytes]]) -> dict[str, Any]:
    """Times in milliseconds, each but the first since the one before; scores (T, C) as base64."""
    milliseconds = np.rint([at * 1000 for at, _ in rows]).astype(np.int64)
    steps = np.diff(milliseconds, prepend=0).tolist()
    return {"steps": steps, "bytes": base64.b64encode(b"".join(row for _, row in rows)).decode()}


def _line(event: Event, now: float) -> dict[str, Any] | None:
    """An event as a line of the page's list; None for what is none."""
    line: dict[str, Any] = {"at": round(event.at_unix_seconds or now, 1), "type": event.type}
    if isinstance(event, StartEvent):
        line |= {"label": printable(event.label), "words": "begins"}
    elif isinstance(event, SegmentEvent):
        if not event.final:
            return None
        seconds = event.end_seconds - event.start_seconds
        line |= {"label": printable(event.label), "words": f"{seconds:.1f} s"}
        line["score"] = round(event.score, 2)
    elif isinstance(event, StatusEvent):
        words = event.message.removeprefix(f"{event.source}: ") or event.state
        line |= {"state": event.state, "words": printable(words)}
    elif isinstance(event, GapEvent):
        seconds = event.to_seconds - event.from_seconds
        line["words"] = f"{seconds:.1f} s without pictures ({event.cause})"
    elif isinstance(event, DroppedEvent):
        line["words"] = f"{event.snippets} snippets and {event.pictures} pictures were left out"
    elif isinstance(event, WarningEvent | ErrorEvent):
        line["words"] = printable(event.message.removeprefix(f"{event.source}: "))
    elif isinstance(event, SourceEvent):
        resumed = ", goes on from its saved state" if event.resumed else ""
        line["words"] = f"the first picture{resumed}"
    elif isinstance(event, EndEvent):
        line["words"] = f"the end, after {event.segments} segments"
    else:
        return None
    return line | {"source": event.source}
