"""Saving states beside a run: a slow disk holds no picture up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from wsgn.engines.engine import Engine
from wsgn.errors import OutputError
from wsgn.video.live.source import LiveSource

from ..live.options import StreamOptions
from ..live.saved import SavedStream
from ..live.state_files import StateFiles
from .console import Console

_INTERVAL_SECONDS = 10.0
# A disk that has not answered for so long may never do.
_PATIENCE_SECONDS = 10.0


class StateSaver:
    """Saves every 10 seconds in a thread of its own, and once more at the end."""

    def __init__(
        self,
        files: StateFiles,
        console: Console,
        *,
        on_saved: Callable[[Mapping[str, SavedStream]], None] = lambda snapshot: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._console = console
        # Called by the thread that calls `tick` and `finish`, of what is on the disk.
        self._on_saved = on_saved
        self._monotonic = monotonic
        self._next = monotonic() + _INTERVAL_SECONDS
        self._thread: threading.Thread | None = None
        # What the thread writes.
        self._saving: Mapping[str, SavedStream] = {}
        self._failure: OutputError | None = None
        self._has_warned = False

    @property
    def failed(self) -> bool:
        """Whether what was saved last is not on the disk."""
        return self._failure is not None

    def begin(self, loaded: Mapping[str, SavedStream]) -> None:
        """Mark what a run goes on from as taken: killed before it saves, the next has other ids."""
        if loaded:
            self._save(loaded)
            self._say()

    def tick(self, snapshot: Callable[[], Mapping[str, SavedStream]]) -> None:
        """Save what `snapshot` gives, if it is time and the last one is on the disk."""
        if self._thread is not None:
            if self._thread.is_alive():
                return
            self._thread = None
            self._settle(self._saving)
        if self._monotonic() < self._next:
            return
        self._next = self._monotonic() + _INTERVAL_SECONDS
        self._saving = snapshot()
        # A daemon: a disk that hangs must not keep the process.
        self._thread = threading.Thread(
            target=self._save, args=(self._saving,), name="state", daemon=True
        )
        self._thread.start()

    def finish(self, snapshot: Mapping[str, SavedStream], *, ended: bool) -> None:
        """Save now, waiting for the disk; `ended` where the run has said all."""
        if self._thread is not None:
            self._thread.join(_PATIENCE_SECONDS)
            if self._thread.is_alive():
                self._failure = OutputError("the states cannot be written: the disk hangs.")
                self._say()
                return
            self._thread = None
        self._save(snapshot, ended=ended)
        self._settle(snapshot)

    def _save(self, snapshot: Mapping[str, SavedStream], *, ended: bool = False) -> None:
        try:
            self._files.save(snapshot, ended=ended)
        except OutputError as error:
            self._failure = error
        else:
            self._failure = None

    def _settle(self, snapshot: Mapping[str, SavedStream]) -> None:
        """What became of a save."""
        self._say()
        if self._failure is None:
            self._on_saved(snapshot)

    def _say(self) -> None:
        """What went wrong, once until it goes well again."""
        if self._failure is None:
            self._has_warned = False
        elif not self._has_warned:
            self._has_warned = True
            self._console.error(f"{self._failure} Detection goes on.")


@contextmanager
def opened_states(
    folder: Path | None, engine: Engine, options: StreamOptions, sources: Sequence[LiveSource]
) -> Iterator[StateFiles | None]:
    """The states of sources, which no other run has meanwhile; None where none are kept.

    Raises `OutputError` where the folder cannot be written, or another run has one of them.
    """
    if folder is None:
        yield None
        return
    files = StateFiles(folder, engine.sha256, options, engine.manifest)
    files.make_folder()
    files.lock(sources)
    try:
        yield files
    finally:
        files.release_all()
