"""A thread that reads one live source and cuts its frames into snippets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from wsgn.video.grid import FrameGrid, Gap
from wsgn.video.info import VideoInfo
from wsgn.video.live.items import LastPicture, LiveFrame, LivePosition
from wsgn.video.live.options import LiveOptions
from wsgn.video.live.reader import LiveItem
from wsgn.video.live.source import LiveSource

from ..streaming.snippets import Snippeter
from .inbox import Ended, Inbox, Opened


class Reader(Protocol):
    """What is asked of `LiveReader`."""

    position: LivePosition
    restarts: int
    decode_failures: int
    # On the clock of `time.monotonic`.
    last_picture: float
    # For those who look.
    last_frame: LastPicture | None

    def __iter__(self) -> Iterator[LiveItem]: ...


class OpenReader(Protocol):
    """How a reader is made; nothing is opened yet."""

    def __call__(
        self,
        source: LiveSource,
        grid: FrameGrid,
        options: LiveOptions,
        *,
        resume: LivePosition | None,
        should_stop: Callable[[], bool],
    ) -> Reader: ...


class ReadingThread:
    """Runs a reader until it ends, or until nobody listens any more.

    Nothing but a timeout ends a read of libav: a thread that should stop is not waited for. What it
    still says is ignored, and as a daemon it does not hold up the end of the process.
    """

    def __init__(
        self,
        name: str,
        open_reader: Callable[[Callable[[], bool]], Reader],
        snippeter: Snippeter,
        inbox: Inbox,
    ) -> None:
        self._name = name
        self._inbox = inbox
        # Its own, without padding: nothing is made up where a camera flaps.
        self._snippeter = snippeter
        self._stopping = False
        self._info: VideoInfo | None = None
        # Gaps behind it.
        self._held: list[Gap] = []
        self.num_frames = 0
        self.started = time.monotonic()
        # When the thread last came by: it asks whether to stop between any two reads.
        self.sign_of_life = self.started
        self.reader = open_reader(self._should_stop)
        self._thread = threading.Thread(target=self._run, name=f"wsgn-{name}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end, and listen no more."""
        self._stopping = True

    def join(self, timeout_seconds: float) -> None:
        """Wait for its end, for so long at most."""
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def _should_stop(self) -> bool:
        self.sign_of_life = time.monotonic()
        return self._stopping

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            for item in self.reader:
                if self._should_stop():
                    return
                self._take(item)
        except BaseException as raised:  # The other thread judges it.
            error = raised
        self._inbox.put(self._name, Ended(error=error), self._should_stop)

    def _take(self, item: LiveItem) -> None:
        if isinstance(item, VideoInfo):
            # Said with its first frame: only then it is known what time it is there.
            self._info = item
        elif isinstance(item, Gap) and self._info is not None:
            # Before a first frame there is no source that it could be of.
            self._held.append(item)
        elif isinstance(item, LiveFrame):
            self._take_frame(item)
        else:
            self._inbox.put(self._name, item, self._should_stop)

    def _take_frame(self, frame: LiveFrame) -> None:
        self.num_frames += 1
        offset = frame.unix_seconds - frame.seconds
        if self._info is not None:
            opened = Opened(
                info=self._info,
                seconds=frame.seconds,
                epoch=frame.epoch,
                start_unix_seconds=offset,
            )
            self._info = None
            self._inbox.put(self._name, opened, self._should_stop)
            for gap in self._held:
                self._inbox.put(self._name, gap, self._should_stop)
            self._held.clear()
        for snippet in self._snippeter.push([frame]):
            self._inbox.offer(
                self._name,
                snippet,
                arrival=frame.arrival,
                wall_offset=offset,
                should_stop=self._should_stop,
            )
