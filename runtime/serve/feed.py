"""Lines for many viewers: kept once, followed by each at its own pace, never waited for."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from itertools import islice

# A comment, so that both ends notice where the other one is gone.
_STILL_HERE = ": still here\n\n"
_PATIENCE_SECONDS = 15.0


class _Viewer:
    def __init__(self, at: int, cut: Callable[[], None]) -> None:
        # Number of the line that it takes next.
        self.at = at
        self.cut = cut
        self.woken = asyncio.Event()


class Feed:
    """The last `keep` lines, counted from 0.

    Lines come from any one thread; viewers live in the event loop that `open` was called in. To
    one for whom `most_behind` lines wait while it takes none, nobody listens any more.
    """

    def __init__(self, keep: int, most_behind: int) -> None:
        self._lines: deque[str] = deque(maxlen=keep)
        self._lock = threading.Lock()
        self._most_behind = most_behind
        self._loop: asyncio.AbstractEventLoop | None = None
        self._viewers: set[_Viewer] = set()
        self._ended = False
        # Number of the line that comes next.
        self.next = 0
        # Viewers that were cut off.
        self.num_cut = 0

    @property
    def num_viewers(self) -> int:
        """How many follow it now."""
        return len(self._viewers)

    def open(self) -> None:
        """Take viewers, of the loop that runs."""
        self._loop = asyncio.get_running_loop()

    def append(self, line: str) -> None:
        """Add a line; never waits for anybody."""
        with self._lock:
            self._lines.append(line)
            self.next += 1
            loop = None if self._ended else self._loop
            if loop is not None and self._viewers:
                # A server that has failed takes no run with it.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._wake)

    def end(self) -> None:
        """No more lines: viewers get what there is, and end. In the thread of the loop."""
        with self._lock:
            self._ended = True
        for viewer in self._viewers:
            viewer.woken.set()

    async def follow(self, at: int, cut: Callable[[], None]) -> AsyncIterator[str]:
        """All lines from number `at` on, as far as they are kept, as they come.

        `cut` ends the connection of a viewer that takes nothing.
        """
        viewer = _Viewer(at, cut)
        self._viewers.add(viewer)
        try:
            while True:
                viewer.woken.clear()
                text, viewer.at = self._since(viewer.at)
                if text:
                    yield text
                elif self._ended:
                    return
                else:
                    try:
                        await asyncio.wait_for(viewer.woken.wait(), _PATIENCE_SECONDS)
                    except TimeoutError:
                        yield _STILL_HERE
        finally:
            self._viewers.discard(viewer)

    def _since(self, at: int) -> tuple[str, int]:
        with self._lock:
            oldest = self.next - len(self._lines)
            first = max(at, oldest)
            return "".join(islice(self._lines, first - oldest, None)), self.next

    def _wake(self) -> None:
        for viewer in list(self._viewers):
            if self.next - viewer.at > self._most_behind:
                self.num_cut += 1
                self._viewers.discard(viewer)
                viewer.cut()
            else:
                viewer.woken.set()
