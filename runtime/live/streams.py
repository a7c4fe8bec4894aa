"""Live sources side by side on one engine: a thread reads each, one thread does all else."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from wsgn.engines.engine import Engine, Pending
from wsgn.errors import UsageError, WsgnError
from wsgn.video.addresses import STANDARD_INPUT
from wsgn.video.errors import VideoError
from wsgn.video.flow import require_opencv
from wsgn.video.live.items import LastPicture, LivePosition
from wsgn.video.live.libav_options import require_known_options
from wsgn.video.live.reader import LiveReader
from wsgn.video.live.source import LiveSource

from ..events import Event
from ..pipeline import StopFlag, fitting_batch, frame_grid, provenance_warning
from ..streaming.snippets import Snippeter, engine_inputs
from .inbox import Inbox
from .options import StreamOptions
from .pace import Pace, RecentGuard
from .reading import OpenReader, ReadingThread
from .running import REPLACEMENTS_A_DAY, RunningSource
from .saved import SavedStream
from .stream import LiveStream
from .waiting import Waited
from .watching import Statistics, Watcher

# How long the thread that runs the engine waits for news before it looks at the clock.
_PATIENCE_SECONDS = 0.2
# How often it looks after threads, and `tick` is called.
_TICK_SECONDS = 0.5
# After a stop: for scores of what was read, and for threads that end by themselves.
_LAST_SECONDS = 1.0
_JOIN_SECONDS = 0.3
# A thread of which nothing was heard for so many timeouts is silent, and is replaced.
_SILENT_TIMEOUTS = 2
_STUCK_TIMEOUTS = 3
# Memory for all snippets that wait.
_WAITING_BYTES = 2 * 10**9


@dataclass(frozen=True, kw_only=True)
class _Flight:
    """A batch that the engine was asked for, and whose outputs were not looked at."""

    batch: list[Waited[str]]
    pending: Pending
    submitted: float


class Streams:
    """Live sources side by side; `events` gives those of all, in each source's order.

    Args:
        sources: with names of their own.
        engine: of `open_engine`, on frames; one for all of them.
        options: the same for all of them.
        stop: its `request()`, of another thread or a signal handler, ends the run within 2 s.
        saved: by name, what sources go on from.
        tick: called at least every 0.5 s by the thread that takes the events.
        watcher: hears of scores, batches and statistics there too.
        read: makes the reader of a source.

    Raises:
        UsageError: options that do not fit the engine, the sources or the machine's memory.
        EngineError: the engine takes no frames.
        MissingExtraError: it takes optical flow, and OpenCV is not there.
    """

    def __init__(
        self,
        sources: Sequence[LiveSource],
        engine: Engine,
        options: StreamOptions | None = None,
        *,
        stop: StopFlag | None = None,
        saved: Mapping[str, SavedStream] | None = None,
        tick: Callable[[], None] | None = None,
        watcher: Watcher | None = None,
        read: OpenReader = LiveReader,
    ) -> None:
        self._engine = engine
        self._options = options or StreamOptions()
        self._stop = stop or StopFlag()
        self._on_tick = tick or (lambda: None)
        self._watcher = watcher
        self._read = read
        self._grid = frame_grid(engine.manifest, engine.name)
        require_opencv(engine.manifest.flow)
        require_known_options(self._options.live.source_options)
        sampling, live = engine.manifest.sampling, self._options.live
        self._stride_seconds = sampling.stride_seconds
        # Of one source: what arrives while it may wait.
        self._capacity = math.ceil(live.max_lag_seconds / self._stride_seconds) + 1
        self._inbox = Inbox(
            age_seconds=None if live.drop == "never" else live.max_lag_seconds,
            capacity=self._capacity,
            stride_seconds=self._stride_seconds,
        )
        self._pace = Pace(fitting_batch(engine.manifest, self._options.batch_size))
        self._guard = RecentGuard(engine.name)
        self._flight: _Flight | None = None
        self._running: dict[str, RunningSource] = {}
        # Of sources that have ended, until it is saved.
        self._left: dict[str, SavedStream] = {}
        self._ticked = -math.inf
        # Another thread may add and remove.
        self._asked = threading.Lock()
        self._to_add: list[tuple[LiveSource, SavedStream | None]] = []
        self._to_remove: list[str] = []
        if not sources:
            raise UsageError("there is no source.")
        for source in sources:
            self.add(source, (saved or {}).get(source.name))

    @property
    def names(self) -> list[str]:
        """Of the sources that play or are about to."""
        with self._asked:
            added = [source.name for source, _ in self._to_add]
            return [name for name in self._running if name not in self._to_remove] + added

    @property
    def memory_bytes(self) -> int:
        """Most that snippets that wait for the engine take."""
        return len(self.names) * self._capacity * self._engine.manifest.snippet_bytes

    def add(self, source: LiveSource, saved: SavedStream | None = None) -> None:
        """Play one more. Raises `UsageError` for a name that is there, and what does not fit."""
        if source.name in self.names:
            raise UsageError(f"two sources are called '{source.name}': give each its own name.")
        endless = not source.realtime and source.address != STANDARD_INPUT
        if endless and self._options.detector.scores == "exact":
            raise UsageError(
                f"{source.name}: exact scores are known when a source has ended, and this one does "
                "not end: choose window or causal scores."
            )
        with self._asked:
            self._to_add.append((source, saved))
        if self.memory_bytes > _WAITING_BYTES:
            with self._asked:
                self._to_add.pop()
            raise UsageError(
                f"{len(self.names) + 1} sources could need over {_WAITING_BYTES / 1e9:g} GB for "
                "what waits for the engine: lower the largest lag (--max-lag), or spread the "
                "sources over several runs."
            )

    def remove(self, name: str) -> None:
        """End one; its open segments end. Raises `UsageError` for a name that is not there."""
        if name not in self.names:
            raise UsageError(f"there is no source called '{name}'.")
        with self._asked:
            waiting = [pair for pair in self._to_add if pair[0].name == name]
            self._to_add = [pair for pair in self._to_add if pair[0].name != name]
            if not waiting:
                self._to_remove.append(name)

    def events(self) -> Iterator[Event]:
        """Events of all sources, each with its `source`, until all have ended or `stop` is asked.

        Raises:
            EngineError: the engine fails, or gives what is no number.
        """
        try:
            yield from self._changes()
            while self._running and not self._stop.requested:
                yield from self._turn(_PATIENCE_SECONDS)
                yield from self._look_after()
                yield from self._changes()
            yield from self._finish()
        finally:
            for running in self._running.values():
                running.thread.stop()

    def snapshot(self) -> dict[str, SavedStream]:
        """What each source would go on from, also those that ended since what was `saved`.

        Those that never had a picture are left out.
        """
        return self._left | {
            name: running.saved() for name, running in self._running.items() if running.is_known
        }

    def saved(self, snapshot: Mapping[str, SavedStream]) -> None:
        """A snapshot is on the disk: what it holds of sources that have ended is let go."""
        for name in [name for name, left in self._left.items() if snapshot.get(name) is left]:
            del self._left[name]

    @property
    def unsaved(self) -> set[str]:
        """Names of the sources that play, and of those whose end is not saved yet."""
        return {*self._running, *self._left}

    def statistics(self) -> Statistics:
        """What is known at this moment."""
        now = time.monotonic()
        return Statistics(
            sources={
                name: running.statistics(self._inbox.num_waiting(name), now)
                for name, running in self._running.items()
            },
            engine=self._pace.statistics(),
        )

    def picture(self, name: str) -> LastPicture | None:
        """The newest picture of a source as it was decoded; any thread may ask."""
        running = self._running.get(name)
        return None if running is None else running.thread.reader.last_frame

    def _changes(self) -> Iterator[Event]:
        """Sources that were added and removed."""
        with self._asked:
            to_add, self._to_add = self._to_add, []
            to_remove, self._to_remove = self._to_remove, []
        if to_remove:
            yield from self._land()
        for name in to_remove:
            if name in self._running:
                yield from self._end(name, reason="signal", complete=False)
        for source, saved in to_add:
            yield from self._begin(source, saved)

    def _begin(self, source: LiveSource, saved: SavedStream | None) -> Iterator[Event]:
        manifest, detector = self._engine.manifest, self._options.detector
        provenance = provenance_warning(self._engine, source.address)
        warning: Event | None = None
        try:
            stream = LiveStream(source, manifest, detector, saved, provenance=provenance)
        except UsageError as error:
            if saved is None:
                raise
            saved = None
            stream = LiveStream(source, manifest, detector, provenance=provenance)
            warning = stream.warn("state_of_another_run", f"{error} It begins anew.")
        thread = self._thread(source, None if saved is None else saved.position)
        if self._watcher is not None:
            stream.watch(partial(self._watcher.scored, source.name))
        running = RunningSource(source, stream, thread)
        self._running[source.name] = running
        # What had its name may have been another camera.
        self._left.pop(source.name, None)
        thread.start()
        if warning is not None:
            yield warning

    def _thread(self, source: LiveSource, resume: LivePosition | None) -> ReadingThread:
        return ReadingThread(
            source.name,
            lambda should_stop: self._read(
                source, self._grid, self._options.live, resume=resume, should_stop=should_stop
            ),
            Snippeter(self._engine.manifest.sampling, self._engine.manifest.flow, pad=False),
            self._inbox,
        )

    def _turn(self, patience_seconds: float) -> Iterator[Event]:
        """One batch: what waits goes to the engine, and what it has answered becomes events."""
        # While a batch is computed there is something to do: wait for it.
        patience = 0.0 if self._flight is not None else patience_seconds
        collected = self._inbox.collect(self._pace.batch_size, patience)
        for handed in collected.items:
            if handed.stream in self._running:
                self._running[handed.stream].stream.queue(handed)
        next_flight = self._submit(collected.batch)
        yield from self._land()
        for name, hole in collected.holes.items():
            if name in self._running:
                running = self._running[name]
                yield from running.stream.drop(hole, running.position, time.monotonic())
        for name in list(self._running):
            yield from self._due(name)
        self._flight = next_flight
        if next_flight is not None and next_flight.pending.ready:
            yield from self._land()

    def _submit(self, batch: list[Waited[str]]) -> _Flight | None:
        if not batch:
            return None
        submitted = time.monotonic()
        pending = self._engine.submit(engine_inputs([waited.snippet for waited in batch]))
        return _Flight(batch=batch, pending=pending, submitted=submitted)

    def _land(self) -> Iterator[Event]:
        """Events of the batch in flight, if there is one."""
        flight, self._flight = self._flight, None
        if flight is None:
            return
        outputs = flight.pending.result()
        seconds = self._pace.landed(
            [waited.arrival for waited in flight.batch],
            submitted=flight.submitted,
            now=time.monotonic(),
        )
        if self._watcher is not None:
            self._watcher.landed(len(flight.batch), seconds)
        usable = self._guard.usable(outputs)
        for index, waited in enumerate(flight.batch):
            running = self._running.get(waited.stream)
            if running is not None:
                stream = running.stream
                yield from stream.land(waited, outputs, index, usable=bool(usable[index]))

    def _due(self, name: str) -> Iterator[Event]:
        """What lies behind the snippets that are done; a thread that has ended is judged then."""
        running = self._running[name]
        yield from running.stream.due()
        ended = running.stream.ended
        if ended is None:
            return
        if ended.error is None or isinstance(ended.error, WsgnError):
            yield from self._end(
                name, reason="end", complete=ended.error is None, error=ended.error
            )
            return
        kind = type(ended.error).__name__
        # Its text may hold an address with a password.
        yield running.stream.warn("reader_failed", f"{name}: the reading thread failed ({kind}).")
        yield from self._replace(name, cause="broken")

    def _look_after(self) -> Iterator[Event]:
        """What is to be done from time to time."""
        now = time.monotonic()
        if now - self._ticked < _TICK_SECONDS:
            return
        self._ticked = now
        for name in list(self._running):
            running = self._running[name]
            yield from running.stream.report(running.position, now)
            longest = max(
                running.source.timeout_seconds or self._options.live.timeout_seconds,
                self._options.live.open_timeout_seconds,
            )
            unheard = now - running.thread.sign_of_life
            if unheard > _STUCK_TIMEOUTS * longest:
                yield from self._replace(name, cause="no_answer")
            elif unheard > _SILENT_TIMEOUTS * longest:
                message = f"nothing was heard of it for {unheard:.0f} s."
                yield from running.stream.silent("no_answer", message, running.position, now)
        if self._watcher is not None:
            self._watcher.ticked(self.statistics())
        self._on_tick()

    def _replace(self, name: str, cause: str) -> Iterator[Event]:
        """Leave a thread that hangs or failed to itself; another one goes on."""
        running = self._running[name]
        now = time.monotonic()
        if not running.may_be_replaced(now):
            error = VideoError(
                "stuck",
                f"{name}: the reading thread hung or failed {REPLACEMENTS_A_DAY + 1} times in a "
                "day; the source is given up.",
            )
            yield from self._end(name, reason="end", complete=False, error=error)
            return
        message = "another thread takes it over."
        yield from running.stream.silent(cause, message, running.position, now)
        running.replace(self._thread(running.source, running.position), now)

    def _end(
        self, name: str, *, reason: str, complete: bool, error: WsgnError | None = None
    ) -> Iterator[Event]:
        running = self._running[name]
        running.thread.stop()
        running.stream.counters = running.counters()
        yield from running.stream.end(
            reason=reason, complete=complete, position=running.position, error=error
        )
        if running.is_known:
            saved = running.stream.saved(running.stream.counters, running.position)
            self._left[name] = replace(saved, ended=True)
        del self._running[name]
        self._inbox.forget(name)

    def _finish(self) -> Iterator[Event]:
        """After a stop: scores of what was read, and the last events of each source."""
        for running in self._running.values():
            running.thread.stop()
        deadline = time.monotonic() + _LAST_SECONDS
        while time.monotonic() < deadline and any(map(self._inbox.num_waiting, self._running)):
            yield from self._turn(0.0)
        yield from self._land()
        threads = [running.thread for running in self._running.values()]
        for name in list(self._running):
            yield from self._due(name)
        for name in list(self._running):
            self._running[name].stream.counters.dropped += self._inbox.num_waiting(name)
            yield from self._end(name, reason="signal", complete=False)
        patience_until = time.monotonic() + _JOIN_SECONDS
        for thread in threads:
            thread.join(max(0.0, patience_until - time.monotonic()))
