"""Where the threads that read hand over to the one that runs the engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from wsgn.video.grid import Gap, Notice
from wsgn.video.info import VideoInfo
from wsgn.video.live.items import Skipped, Status

from ..streaming.snippets import Snippet
from .waiting import Waited, Waiting

# How often a thread that is held back looks whether it should stop.
_PATIENCE_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The first picture of a connection has come."""

    info: VideoInfo
    # Of the picture; media time.
    seconds: float
    epoch: int
    # Wall clock of media time 0.
    start_unix_seconds: float


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A thread has nothing more to hand over; why, where it failed."""

    error: BaseException | None = None


Item = Opened | Gap | Notice | Status | Skipped | Ended


@dataclass(frozen=True, kw_only=True)
class Handed:
    """What is no snippet, and behind how many of its stream's snippets it came."""

    stream: str
    after: int
    item: Item


@dataclass(frozen=True, kw_only=True)
class Hole:
    """Snippets in a row that were dropped."""

    from_seconds: float
    to_seconds: float
    snippets: int


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What was handed over since the last time; of each stream the holes lie before the batch."""

    items: list[Handed] = field(default_factory=list)
    holes: dict[str, Hole] = field(default_factory=dict)
    batch: list[Waited[str]] = field(default_factory=list)


class Inbox:
    """Snippets and the rest of all streams, bounded whatever the taking thread does.

    What has waited for longer than `age_seconds` is dropped, whoever adds the next. Where nothing
    may be dropped (None), a thread that has `capacity` snippets here is held back.
    """

    def __init__(self, *, age_seconds: float | None, capacity: int, stride_seconds: float) -> None:
        self._age_seconds = age_seconds
        self._capacity = capacity
        self._stride_seconds = stride_seconds
        self._changed = threading.Condition()
        self._waiting: Waiting[str] = Waiting()
        self._num_offered: dict[str, int] = {}
        self._items: list[Handed] = []
        self._holes: dict[str, Hole] = {}

    def offer(
        self,
        stream: str,
        snippet: Snippet,
        *,
        arrival: float,
        wall_offset: float,
        should_stop: Callable[[], bool],
    ) -> None:
        """Add a snippet; one of a thread that should stop is ignored."""
        with self._changed:
            while self._age_seconds is None and self._waiting.length(stream) >= self._capacity:
                if should_stop():
                    return
                self._changed.wait(_PATIENCE_SECONDS)
            if should_stop():
                return
            number = self._num_offered.get(stream, 0)
            self._num_offered[stream] = number + 1
            self._waiting.offer(
                Waited(
                    stream=stream,
                    number=number,
                    snippet=snippet,
                    arrival=arrival,
                    wall_offset=wall_offset,
                )
            )
            self._drop(arrival)
            self._changed.notify_all()

    def put(self, stream: str, item: Item, should_stop: Callable[[], bool]) -> None:
        """Add something else; that of a thread that should stop is ignored."""
        with self._changed:
            if should_stop():
                return
            after = self._num_offered.get(stream, 0)
            self._items.append(Handed(stream=stream, after=after, item=item))
            self._changed.notify_all()

    def collect(self, limit: int, patience_seconds: float) -> Collected:
        """What there is, with at most so many snippets; waits once where there is nothing."""
        with self._changed:
            if not (self._items or self._holes or len(self._waiting)):
                self._changed.wait(patience_seconds)
            self._drop(time.monotonic())
            collected = Collected(
                items=self._items, holes=self._holes, batch=self._waiting.take(limit)
            )
            self._items, self._holes = [], {}
            # A thread that was held back.
            self._changed.notify_all()
        return collected

    def forget(self, stream: str) -> None:
        """Leave a stream out, with all that waits of it."""
        with self._changed:
            self._waiting.forget(stream)
            self._num_offered.pop(stream, None)
            self._holes.pop(stream, None)
            self._items = [handed for handed in self._items if handed.stream != stream]

    def num_waiting(self, stream: str) -> int:
        """How many snippets of a stream wait."""
        with self._changed:
            return self._waiting.length(stream)

    def _drop(self, now: float) -> None:
        if self._age_seconds is None:
            return
        for waited in self._waiting.drop_before(now - self._age_seconds):
            start_seconds = waited.snippet.start_seconds
            hole = Hole(
                from_seconds=start_seconds,
                to_seconds=start_seconds + self._stride_seconds,
                snippets=1,
            )
            before = self._holes.get(waited.stream)
            if before is not None:
                hole = replace(hole, from_seconds=before.from_seconds, snippets=before.snippets + 1)
            self._holes[waited.stream] = hole
