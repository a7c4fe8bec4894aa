"""Decoding in a thread of its own, behind a bounded queue.

Decoding in the main thread would hold back signals for seconds, and the engine meanwhile.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from wsgn.video import Gap, Notice, ReadSummary, SampledFrame, VideoInfo, VideoReader

Item = SampledFrame | Gap | Notice

# How often a waiting thread looks whether it should stop.
_PATIENCE_SECONDS = 0.1
# How long `stop` waits for the thread, which may hang in a read that nothing can interrupt.
_JOIN_SECONDS = 0.5


@dataclass(frozen=True)
class _Finished:
    summary: ReadSummary


@dataclass(frozen=True)
class _Failed:
    error: BaseException


class ThreadedReader:
    """Runs a `VideoReader` in a thread and hands over what it reads, in order."""

    def __init__(self, open_reader: Callable[[], VideoReader], *, capacity: int) -> None:
        self._open_reader = open_reader
        self._queue: queue.Queue[VideoInfo | Item | _Finished | _Failed] = queue.Queue(capacity)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="wsgn-reader", daemon=True)
        # Known as soon as the source is open.
        self.info: VideoInfo | None = None
        # Known when everything has been taken.
        self.summary: ReadSummary | None = None

    @property
    def finished(self) -> bool:
        """Whether everything has been taken."""
        return self.summary is not None

    @property
    def has_next(self) -> bool:
        """Whether `take` has something to give without waiting."""
        return not self._queue.empty()

    def take(self) -> Item | None:
        """The next item; None when none came within a short wait, or none will come any more.

        Raises what the reader raised, in its turn.
        """
        if self.finished:
            return None
        try:
            item = self._queue.get(timeout=_PATIENCE_SECONDS)
        except queue.Empty:
            return None
        if isinstance(item, _Failed):
            raise item.error
        if isinstance(item, _Finished):
            self.summary = item.summary
            return None
        if isinstance(item, VideoInfo):
            self.info = item
            return None
        return item

    def stop(self) -> None:
        """End the thread without waiting for the rest of the source."""
        self._stopping = True
        if self._thread.ident is not None:
            self._thread.join(_JOIN_SECONDS)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            with self._open_reader() as reader:
                self._put(reader.info)
                for item in reader:
                    self._put(item)
                    if self._stopping:
                        return
                self._put(_Finished(reader.summary))
        except BaseException as error:  # It is raised again in the thread that takes.
            self._put(_Failed(error))

    def _put(self, item: VideoInfo | Item | _Finished | _Failed) -> None:
        while not self._stopping:
            try:
                self._queue.put(item, timeout=_PATIENCE_SECONDS)
                return
            except queue.Full:
                continue
