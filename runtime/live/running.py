"""One source of a run: its stream, the thread that reads it now, and those before."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from wsgn.video.live.items import LivePosition
from wsgn.video.live.source import LiveSource

from .reading import ReadingThread
from .saved import SavedStream
from .stream import Counters, LiveStream

REPLACEMENTS_A_DAY = 3
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, kw_only=True)
class SourceStatistics:
    """What is known of one source at this moment."""

    # waiting | lost | restored (as it should be) | late, or None before anything was heard of it.
    state: str | None
    cause: str | None
    counters: Counters
    position: LivePosition
    num_waiting: int
    # Since its last picture; since its thread began where there was none.
    silent_seconds: float
    # How late its newest picture came, beside the fastest ones.
    lag_seconds: float


class RunningSource:
    """What is counted goes on over threads that are replaced."""

    def __init__(self, source: LiveSource, stream: LiveStream, thread: ReadingThread) -> None:
        self.source = source
        self.stream = stream
        self.thread = thread
        # What was counted before this thread, in this process or another.
        self._before = replace(stream.counters)
        self._replaced: deque[float] = deque()

    @property
    def position(self) -> LivePosition:
        """How far it was read."""
        return self.thread.reader.position

    @property
    def is_known(self) -> bool:
        """Whether it ever had a picture, in this process or before."""
        return self.stream.opened or self.stream.resumed

    def counters(self) -> Counters:
        """Of all threads."""
        reader = self.thread.reader
        return replace(
            self.stream.counters,
            frames=self._before.frames + self.thread.num_frames,
            decode_failures=self._before.decode_failures + reader.decode_failures,
            restarts=self._before.restarts + reader.restarts,
        )

    def saved(self) -> SavedStream:
        """What a later process goes on from."""
        return self.stream.saved(self.counters(), self.position)

    def statistics(self, num_waiting: int, now: float) -> SourceStatistics:
        """What is known at this moment."""
        last_picture = max(self.thread.reader.last_picture, self.thread.started)
        last_frame = self.thread.reader.last_frame
        return SourceStatistics(
            state=self.stream.state,
            cause=self.stream.cause,
            counters=self.counters(),
            position=self.position,
            num_waiting=num_waiting,
            silent_seconds=now - last_picture,
            lag_seconds=0.0 if last_frame is None else last_frame.lag_seconds,
        )

    def may_be_replaced(self, now: float) -> bool:
        """Whether its thread was not replaced too often of late."""
        while self._replaced and now - self._replaced[0] > _DAY_SECONDS:
            self._replaced.popleft()
        return len(self._replaced) < REPLACEMENTS_A_DAY

    def replace(self, thread: ReadingThread, now: float) -> None:
        """Leave a thread that hangs or has failed to itself, and begin another one."""
        self._replaced.append(now)
        self.thread.stop()
        counters = self.counters()
        self._before = replace(counters, restarts=counters.restarts + 1)
        self.thread = thread
        self.stream.ended = None
        thread.start()
