"""The progress of a batch on stderr, told by several threads."""

from __future__ import annotations

import time
from threading import Lock

from wsgn.support.progress import progress_bar
from wsgn.support.terminal import say_above_bars

# A long video moves the bar as well, but not more often.
_SHOW_EVERY_SECONDS = 0.5


class Progress:
    """A bar of videos that also counts snippets."""

    def __init__(self, *, quiet: bool) -> None:
        self._bar = progress_bar(wanted=not quiet, desc="extracting", unit="video")
        self._lock = Lock()
        self._num_snippets = 0
        self._shown = time.monotonic()

    def on_video(self, total: int) -> None:
        """One video more is done."""
        self._bar.total = total
        self._bar.update()

    def on_snippets(self, count: int) -> None:
        """So many snippets more are done."""
        with self._lock:
            self._num_snippets += count
            self._bar.set_postfix(snippets=self._num_snippets, refresh=False)
            if time.monotonic() - self._shown > _SHOW_EVERY_SECONDS:
                self._shown = time.monotonic()
                self._bar.refresh()

    def on_notice(self, name: str, sentence: str) -> None:
        """Something odd about a video."""
        say_above_bars(f"wsgn-features: {name}: {sentence}")

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()
