"""Clips of live sources, while they film: out of what a ring holds, in a thread of their own."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wsgn.support.files import AtomicFile, check_folder
from wsgn.support.terminal import printable
from wsgn.video.grid import FrameGrid
from wsgn.video.live.items import LivePosition
from wsgn.video.live.options import LiveOptions
from wsgn.video.live.reader import LiveReader
from wsgn.video.live.ring import RING_SECONDS, PacketRing, RingCut
from wsgn.video.live.source import LiveSource

from ..events import EndEvent, Event, SegmentEvent
from .held import held_ending, write_held
from .names import safe_part

# What waits to be cut; more than this in a minute is more than anybody looks at.
_MOST_WAITING = 256
# How often it is looked whether the pictures behind a segment have come, and how long they may not.
_LOOK_SECONDS = 0.2
_PATIENCE_SECONDS = 5.0
# At the end of a run.
_LAST_SECONDS = 1.0
# A clip that begins so much later than it should is worth a word.
_LATE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """A segment whose clip is to be written."""

    event: SegmentEvent
    ring: PacketRing
    # Monotonic: then it is cut, whatever has come.
    until: float


class LiveClips:
    """Listens to a run, and writes a file of every final segment; the run never waits for it.

    Its `read` makes the readers of the run: what they read is what clips are made of.
    """

    def __init__(self, folder: Path, padding_seconds: float) -> None:
        self._folder = folder
        self._padding = padding_seconds
        self._rings: dict[str, PacketRing] = {}
        self._queue: queue.Queue[_Wanted] = queue.Queue(_MOST_WAITING)
        self._news: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._is_over = threading.Event()
        self._is_failing = False
        self._makes_folder = False
        # Clips that could not be written, and that were.
        self.num_lost = self.num_written = 0
        self._thread = threading.Thread(target=self._run, name="wsgn-clips", daemon=True)

    def start(self) -> None:
        """Look whether clips can be written, and begin. Raises `OutputError`."""
        self._makes_folder = not self._folder.exists()
        check_folder(self._folder / "clip")
        self._thread.start()

    def read(
        self,
        source: LiveSource,
        grid: FrameGrid,
        options: LiveOptions,
        *,
        resume: LivePosition | None,
        should_stop: Callable[[], bool],
    ) -> LiveReader:
        """A reader that fills the ring of its source."""
        ring = self._rings.setdefault(source.name, PacketRing())
        return LiveReader(source, grid, options, resume=resume, ring=ring, should_stop=should_stop)

    def __call__(self, event: Event) -> None:
        """Take an event; at once."""
        ring = self._rings.get(event.source or "")
        if isinstance(event, EndEvent):
            # Begun again, it fills another one.
            self._rings.pop(event.source or "", None)
        if not isinstance(event, SegmentEvent) or not event.final or ring is None:
            return
        until = time.monotonic() + self._padding + _PATIENCE_SECONDS
        try:
            self._queue.put_nowait(_Wanted(event=event, ring=ring, until=until))
        except queue.Full:
            self._fail(f"over {_MOST_WAITING} clips wait to be written")

    def news(self) -> list[str]:
        """Sentences for people, each once."""
        found = []
        while not self._news.empty():
            found.append(self._news.get())
        return found

    def close(self) -> list[str]:
        """Cut what waits, for a moment; the last sentences."""
        self._is_over.set()
        self._thread.join(_LAST_SECONDS)
        if self._thread.is_alive():
            self._fail("the end of the run came first")
        elif self._makes_folder and not self.num_written:
            # It holds nothing, unless somebody else has written there.
            with suppress(OSError):
                self._folder.rmdir()
        return self.news()

    def _run(self) -> None:
        waiting: list[_Wanted] = []
        while True:
            # In this order: what was put before the end is taken behind it.
            is_over = self._is_over.is_set()
            waiting += self._taken()
            due = [one for one in waiting if is_over or self._is_due(one)]
            waiting = [one for one in waiting if one not in due]
            for one in due:
                self._write(one)
            if is_over:
                return

    def _taken(self) -> list[_Wanted]:
        taken = []
        try:
            taken.append(self._queue.get(timeout=0 if self._is_over.is_set() else _LOOK_SECONDS))
            while True:
                taken.append(self._queue.get_nowait())
        except queue.Empty:
            return taken

    def _is_due(self, wanted: _Wanted) -> bool:
        """Whether all of it has come, or will not."""
        end = wanted.event.end_seconds + self._padding
        return wanted.ring.end_seconds >= end or time.monotonic() > wanted.until

    def _write(self, wanted: _Wanted) -> None:
        event = wanted.event
        start = event.start_seconds - self._padding
        cut = wanted.ring.cut(start, event.end_seconds + self._padding)
        if cut is None or cut.ends_seconds <= event.start_seconds:
            self._fail(f"{event.source}: its last {RING_SECONDS:g} s do not hold '{event.label}'")
            return
        try:
            path = self._file(event, cut)
        # Whatever a camera has sent or libav makes of it: the other clips are worth going on for.
        except Exception as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            self._fail(f"{reason.lower()}: free or choose another place with --clips")
            return
        if self._is_failing:
            self._is_failing = False
            self._news.put("clips can be written again.")
        self.num_written += 1
        if cut.begins_seconds > event.start_seconds + _LATE_SECONDS:
            late = cut.begins_seconds - event.start_seconds
            self._news.put(
                f"{event.source}: '{printable(path.name)}' begins {late:.1f} s late: no more than "
                f"{RING_SECONDS:g} s is held."
            )

    def _file(self, event: SegmentEvent, cut: RingCut) -> Path:
        """Write a clip under a name of its own."""
        stem = _stem(event)
        ending, number = held_ending(cut), 1
        path = self._folder / f"{stem}{ending}"
        while os.path.lexists(path):
            number += 1
            path = self._folder / f"{stem}-{number}{ending}"
        with AtomicFile(path) as file:
            write_held(cut, file.temporary)
        return path

    def _fail(self, why: str) -> None:
        """Say that a clip is not written, once until one is again."""
        self.num_lost += 1
        if not self._is_failing:
            self._is_failing = True
            self._news.put(f"a clip was not written ({printable(why)}); detection goes on.")


def _stem(event: SegmentEvent) -> str:
    """`door_2026-11-28T13-05-12Z_wave`: they sort by source and time."""
    unix = event.start_unix_seconds
    if unix is None:
        moment = f"{event.start_seconds:08.2f}"
    else:
        moment = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime(unix))
    return f"{safe_part(event.source or '')}_{moment}_{safe_part(event.label)}"
