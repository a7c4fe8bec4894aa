"""One live source's part of a run: its detector, what it counts, and its events in order."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from wsgn.engines.engine import EngineOutputs
from wsgn.errors import UsageError, WsgnError
from wsgn.localization.online.smoother import SnippetScore
from wsgn.manifest import Manifest
from wsgn.video.grid import TIME_TOLERANCE_SECONDS, Gap, Notice
from wsgn.video.live.items import LivePosition, Skipped, Status
from wsgn.video.live.source import LiveSource

from ..events import (
    DroppedEvent,
    EndEvent,
    ErrorEvent,
    Event,
    GapEvent,
    SegmentEvent,
    SourceEvent,
    StartEvent,
    StatusEvent,
    WarningEvent,
)
from ..streaming.detector import Detector, SnippetLogits
from ..streaming.rules import DetectorOptions
from ..streaming.snippets import Snippet
from .inbox import Ended, Handed, Hole, Opened
from .saved import SavedStream
from .waiting import Waited

# Dropped snippets in a row up to this are a hole in the scores; longer ones end all segments.
_LONGEST_HOLE_SECONDS = 1.0
# At most one `dropped` in this time.
_REPORT_SECONDS = 10.0
# A source of which nothing was left out for so long is not late any more.
_ON_TIME_SECONDS = 60.0
# Epochs whose wall clock is remembered.
_NUM_EPOCHS = 64


@dataclass(kw_only=True)
class Counters:
    """What is counted of a source; it goes on in the next process with the saved state."""

    frames: int = 0
    snippets: int = 0
    segments: int = 0
    decode_failures: int = 0
    # Snippets, and pictures that were not decoded.
    dropped: int = 0
    skipped: int = 0
    restarts: int = 0
    # Media seconds without pictures, and left out because the source was late.
    lost_seconds: float = 0.0
    late_seconds: float = 0.0

    @classmethod
    def of(cls, saved: Mapping[str, int | float]) -> Counters:
        """Those that were saved; what is not known is left out."""
        return cls(**{one.name: saved[one.name] for one in fields(cls) if one.name in saved})  # type: ignore[arg-type]


class WallClock:
    """From media time to the wall clock.

    What is known of an epoch gets better while it plays: an opening hands over at once what was
    filmed during it. So all of an epoch goes by what was said of it last.
    """

    def __init__(self) -> None:
        self._epoch: int | None = None
        self._starts: deque[float] = deque(maxlen=_NUM_EPOCHS)
        self._offsets: deque[float] = deque(maxlen=_NUM_EPOCHS)

    def learn(self, seconds: float, epoch: int, offset: float) -> None:
        """In this epoch, which begins at `seconds` or before, the wall clock is so far ahead."""
        if epoch == self._epoch:
            self._offsets[-1] = offset
            return
        self._epoch = epoch
        self._starts.append(seconds)
        self._offsets.append(offset)

    def unix_seconds(self, seconds: float) -> float | None:
        """The wall clock at a media time; None where nothing is known of it."""
        if not self._offsets:
            return None
        index = max(0, bisect_right(self._starts, seconds) - 1)
        return seconds + self._offsets[index]


class LiveStream:
    """Turns what a source's thread hands over, and the engine's answers, into events.

    Events come in the order of the source: what lies behind a snippet waits for its scores.
    """

    def __init__(
        self,
        source: LiveSource,
        manifest: Manifest,
        options: DetectorOptions,
        saved: SavedStream | None = None,
        *,
        provenance: Event | None = None,
    ) -> None:
        self.name = source.name
        self.detector = Detector(manifest, options)
        self.counters = Counters()
        self.resumed = saved is not None
        if saved is not None:
            self.detector.restore(dict(saved.detector))
            self.counters = Counters.of(saved.counters)
        # waiting | lost | restored | late, or None before anything was heard of it.
        self.state: str | None = None
        self.cause: str | None = None
        # The first source event was given.
        self.opened = False
        # Its thread has ended, and all before that was given out.
        self.ended: Ended | None = None
        self._provenance = provenance
        # When nothing was heard of its thread, until there is a picture again.
        self._silent_at: float | None = None
        self._wall = WallClock()
        self._items: deque[Handed] = deque()
        # Snippets that have their scores or were dropped.
        self._num_done = 0
        self._hole: Hole | None = None
        # Epochs that began because of holes, beside those of the reader.
        self.extra_epochs = 0
        # Of the last snippet that was scored.
        self._epoch = -1 if saved is None else saved.position.epoch
        self._start_seconds = -np.inf
        self._refused_any = False
        self._unreported: DroppedEvent | None = None
        self._reported_at = -np.inf
        self._late_at = -np.inf

    def watch(self, scored: Callable[[SnippetScore, float], None]) -> None:
        """Tell of each snippet's scores, with what the wall clock is ahead of media time."""

        def tell(scores: SnippetScore) -> None:
            at = scores.centre_seconds
            if (unix := self._wall.unix_seconds(at)) is not None:
                scored(scores, unix - at)

        self.detector.on_scores = tell

    def queue(self, handed: Handed) -> None:
        """Something that is no snippet."""
        self._items.append(handed)

    def land(
        self, waited: Waited[str], outputs: EngineOutputs, index: int, *, usable: bool
    ) -> Iterator[Event]:
        """The engine's answer to a snippet, row `index` of its outputs (N, C)."""
        yield from self.due()
        yield from self._close_hole()
        self._num_done += 1
        self.counters.snippets += 1
        snippet = waited.snippet
        if self._silent_at is not None and waited.arrival > self._silent_at:
            yield from self._back(snippet.start_seconds, snippet.epoch)
        self._wall.learn(snippet.start_seconds, snippet.epoch, waited.wall_offset)
        if not usable:
            if not self._refused_any:
                self._refused_any = True
                yield self._live(
                    WarningEvent(
                        code="non_finite",
                        message="the engine gave NaN or infinity for a snippet, which was left "
                        "out, as others will be.",
                        at_seconds=snippet.start_seconds,
                    )
                )
            return
        rows = slice(index, index + 1)
        logits = SnippetLogits(
            start_seconds=np.array([snippet.start_seconds]),
            epoch=np.array([self._epoch_of(snippet)], dtype=np.int64),
            selection_logits=outputs.selection_logits[rows],
            class_probabilities=outputs.class_probabilities[rows],
        )
        for event in self.detector.push(logits):
            yield self._counted(event)

    def drop(self, hole: Hole, position: LivePosition, now: float) -> Iterator[Event]:
        """Snippets that waited too long; they lie behind those that have landed."""
        self._num_done += hole.snippets
        self.counters.dropped += hole.snippets
        self.counters.late_seconds += hole.to_seconds - hole.from_seconds
        before = self._hole
        self._hole = hole if before is None else replace(hole, from_seconds=before.from_seconds)
        yield from self._late(hole, 0, position.media_seconds, now)

    def due(self) -> Iterator[Event]:
        """What was handed over behind the snippets that are done."""
        while self._items and self._items[0].after <= self._num_done and self.ended is None:
            yield from self._item_events(self._items.popleft())

    def status(self, status: Status) -> Iterator[Event]:
        """A change; what is known already gives nothing."""
        if status.state == "waiting" and self.opened:
            # Of the reader of a new thread, which does not know.
            status = replace(status, state="lost")
        yield from self._change(
            status.state,
            status.cause,
            status.message,
            status.seconds,
            attempt=status.attempt,
            retry_seconds=status.retry_seconds,
            lost_seconds=status.lost_seconds,
            epoch=status.epoch,
        )

    def silent(
        self, cause: str, message: str, position: LivePosition, now: float
    ) -> Iterator[Event]:
        """Nothing is heard of its thread, which cannot say so itself."""
        if self._silent_at is None:
            self._silent_at = now
        if self.state not in ("lost", "waiting"):
            state = "lost" if self.opened else "waiting"
            yield from self._change(state, cause, message, position.media_seconds)

    def report(self, position: LivePosition, now: float) -> Iterator[Event]:
        """What is said from time to time."""
        if self._unreported is not None and now - self._reported_at >= _REPORT_SECONDS:
            yield from self._report_dropped(position.media_seconds, now)
        if self.state == "late" and now - self._late_at >= _ON_TIME_SECONDS:
            yield from self._change(
                "restored",
                None,
                "is on time again.",
                position.media_seconds,
                epoch=position.epoch,
            )

    def end(
        self, *, reason: str, complete: bool, position: LivePosition, error: WsgnError | None = None
    ) -> Iterator[Event]:
        """The last events: open segments, what was not said yet, an error, the end."""
        for event in self.detector.flush(reason):
            yield self._counted(event)
        yield from self._report_dropped(position.media_seconds, np.inf)
        if error is not None:
            usage = isinstance(error, UsageError)
            code = "usage" if usage else getattr(error, "code", "unreadable")
            yield self._live(ErrorEvent(source=self.name, code=code, message=str(error)))
        counted = self.counters
        yield self._live(
            EndEvent(
                source=self.name,
                complete=complete,
                seconds=position.media_seconds,
                frames=counted.frames,
                snippets=counted.snippets,
                segments=counted.segments,
                decode_failures=counted.decode_failures,
                dropped=counted.dropped,
                restarts=counted.restarts,
                lost_seconds=counted.lost_seconds,
                late_seconds=counted.late_seconds,
            )
        )

    def warn(self, code: str, message: str, at_seconds: float | None = None) -> Event:
        """A warning about this source."""
        return self._live(WarningEvent(code=code, message=message, at_seconds=at_seconds))

    def saved(self, counters: Counters, position: LivePosition) -> SavedStream:
        """What a later process goes on from."""
        return SavedStream(
            detector=self.detector.state_dict(),
            position=replace(position, epoch=position.epoch + self.extra_epochs),
            counters=asdict(counters),
        )

    def _item_events(self, handed: Handed) -> Iterator[Event]:
        item = handed.item
        if isinstance(item, Opened):
            yield from self._opened(item)
        elif isinstance(item, Gap):
            yield from self._close_hole()
            yield self._live(
                GapEvent(
                    from_seconds=item.from_seconds, to_seconds=item.to_seconds, cause=item.cause
                )
            )
        elif isinstance(item, Notice):
            yield self.warn(item.code, item.message, item.seconds)
        elif isinstance(item, Status):
            if item.state == "late":
                self._late_at = time.monotonic()
            yield from self.status(item)
        elif isinstance(item, Skipped):
            self.counters.skipped += item.pictures
            self.counters.late_seconds += item.to_seconds - item.from_seconds
            hole = Hole(snippets=0, from_seconds=item.from_seconds, to_seconds=item.to_seconds)
            yield from self._late(hole, item.pictures, item.to_seconds, time.monotonic())
        else:
            self.ended = item

    def _opened(self, opened: Opened) -> Iterator[Event]:
        yield from self._back(opened.seconds, opened.epoch)
        if self.opened:
            return
        self.opened = True
        if self.state is None:
            self.state = "restored"
        self._wall.learn(opened.seconds, opened.epoch, opened.start_unix_seconds)
        info = opened.info
        yield self._live(
            SourceEvent(
                source=self.name,
                duration_seconds=info.duration_seconds,
                frame_rate=info.frame_rate,
                codec=info.codec,
                width=info.width,
                height=info.height,
                rotation_degrees=info.rotation_degrees,
                live=True,
                epoch=opened.epoch,
                start_unix_seconds=opened.start_unix_seconds,
                resumed=self.resumed,
            )
        )
        if self._provenance is not None:
            yield self._live(self._provenance)

    def _epoch_of(self, snippet: Snippet) -> int:
        """Its epoch beside those that holes have begun."""
        epoch = snippet.epoch + self.extra_epochs
        is_later = (epoch, snippet.start_seconds) > (self._epoch, self._start_seconds)
        if not is_later:
            # Time that does not rise ends what is open, and not the run.
            self.extra_epochs += self._epoch + 1 - epoch
            epoch = self._epoch + 1
        self._epoch, self._start_seconds = epoch, snippet.start_seconds
        return epoch

    def _back(self, seconds: float, epoch: int) -> Iterator[Event]:
        """There is a picture: the thread that was silent goes on, or another one does."""
        if self._silent_at is None:
            return
        lost_seconds = time.monotonic() - self._silent_at
        self._silent_at = None
        yield from self._change(
            "restored", None, "is back.", seconds, lost_seconds=lost_seconds, epoch=epoch
        )

    def _close_hole(self) -> Iterator[Event]:
        hole, self._hole = self._hole, None
        longest = _LONGEST_HOLE_SECONDS + TIME_TOLERANCE_SECONDS
        if hole is None or hole.to_seconds - hole.from_seconds <= longest:
            return
        self.extra_epochs += 1
        yield self._live(
            GapEvent(from_seconds=hole.from_seconds, to_seconds=hole.to_seconds, cause="late")
        )

    def _late(self, hole: Hole, pictures: int, at_seconds: float, now: float) -> Iterator[Event]:
        self._late_at = now
        before = self._unreported
        self._unreported = DroppedEvent(
            source=self.name,
            from_seconds=hole.from_seconds if before is None else before.from_seconds,
            to_seconds=hole.to_seconds,
            snippets=hole.snippets + (0 if before is None else before.snippets),
            pictures=pictures + (0 if before is None else before.pictures),
            cause="late",
            at_seconds=at_seconds,
        )
        if self.state not in ("late", "lost", "waiting"):
            message = "is late: the engine or this machine is too slow for what comes."
            yield from self._change("late", "late", message, at_seconds)
        if now - self._reported_at >= _REPORT_SECONDS:
            yield from self._report_dropped(at_seconds, now)

    def _report_dropped(self, at_seconds: float, now: float) -> Iterator[Event]:
        dropped, self._unreported = self._unreported, None
        if dropped is not None:
            self._reported_at = now
            yield self._live(replace(dropped, at_seconds=at_seconds))

    def _change(
        self,
        state: str,
        cause: str | None,
        message: str,
        seconds: float,
        *,
        attempt: int = 0,
        retry_seconds: float | None = None,
        lost_seconds: float | None = None,
        epoch: int = 0,
    ) -> Iterator[Event]:
        """A status; what is known already gives nothing. `epoch` counts where it is `restored`."""
        if (state, cause) == (self.state, self.cause):
            return
        if state == "restored" and self.state in (None, "restored"):
            return
        self.state, self.cause = state, cause
        self.counters.lost_seconds += lost_seconds or 0.0
        yield self._live(
            StatusEvent(
                source=self.name,
                state=state,
                cause=cause,
                at_seconds=seconds,
                attempt=attempt,
                retry_seconds=retry_seconds,
                lost_seconds=lost_seconds,
                epoch=epoch + self.extra_epochs if state == "restored" else None,
                message=f"{self.name}: {message}",
            )
        )

    def _counted(self, event: Event) -> Event:
        # A final segment is never revised.
        self.counters.segments += isinstance(event, SegmentEvent) and event.final
        return self._live(event)

    def _live(self, event: Event) -> Event:
        """The event with its source and what the wall clock said."""
        known: dict[str, Any] = {"source": self.name, "at_unix_seconds": time.time()}
        if isinstance(event, StartEvent | SegmentEvent):
            known["start_unix_seconds"] = self._wall.unix_seconds(event.start_seconds)
        if isinstance(event, SegmentEvent):
            known["end_unix_seconds"] = self._wall.unix_seconds(event.end_seconds)
        return replace(event, **known)
