"""Lines of a source that has no end: in plain files, each of a day or an hour."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

from wsgn.support.file_locks import lock_descriptor

from ..events import Event, RunEvent
from .jsonl import LineNumbers

# By the name of the rotation, what of the time (UTC) stands in a file's name.
_STAMPS = {"hour": ".%Y-%m-%dT%H", "day": ".%Y-%m-%d", "never": ""}
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND
for _name in ("O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _name, 0)
# What is read at once to find the end of the last whole line.
_BLOCK_BYTES = 65_536


class RotatingLines:
    """Every event as a line that others can read at once, in `NAME.2026-11-28.jsonl`.

    Each file begins with the `run` line, from which `seq` counts; so does what a later run adds to
    it. A line is written whole: what a full disk or a cut of power left of one is removed before
    the next. A file that somebody moved or removed is begun again. Raises `OSError`.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        rotation: str,
        run: RunEvent,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._name = name
        self._rotation = rotation
        self._run = run
        self._wall = wall
        self._path: Path | None = None
        self._descriptor: int | None = None
        self._numbers = LineNumbers()

    @property
    def path(self) -> Path:
        """The file of this moment."""
        return rotated_path(self._folder, self._name, self._rotation, self._wall())

    def open(self) -> None:
        """Begin, or go on with, the file of this moment."""
        path = self.path
        if self._descriptor is not None and path == self._path and self._is_there():
            return
        self.close()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor, self._path = os.open(path, _FLAGS, 0o666), path
        try:
            _lock(self._descriptor)
            _remove_torn_line(self._descriptor)
            self._numbers = LineNumbers()
            self._put(self._numbers.line(self._run))
        except BaseException:
            self.close()
            raise

    def write(self, event: Event) -> None:
        """Write the event's line, where it has one."""
        self.open()
        try:
            self._put(self._numbers.line(event))
        except OSError:
            # The next line begins with looking at what is there.
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _put(self, line: str) -> None:
        assert self._descriptor is not None
        data = line.encode()
        while data:
            data = data[os.write(self._descriptor, data) :]

    def _is_there(self) -> bool:
        assert self._descriptor is not None
        assert self._path is not None
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False


def rotated_path(folder: Path, name: str, rotation: str, unix_seconds: float) -> Path:
    """The file of a source at a moment; `rotation` is hour, day or never."""
    stamp = time.strftime(_STAMPS[rotation], time.gmtime(unix_seconds))
    return folder / f"{name}{stamp}.jsonl"


def _lock(descriptor: int) -> None:
    """Keep other runs out of the file, as long as it is open."""
    if not lock_descriptor(descriptor):
        raise OSError(errno.EWOULDBLOCK, "another run is writing into it")


def _remove_torn_line(descriptor: int) -> None:
    """Cut the file behind its last line end."""
    end = os.fstat(descriptor).st_size
    place = end
    while place > 0:
        begin = max(0, place - _BLOCK_BYTES)
        os.lseek(descriptor, begin, os.SEEK_SET)
        found = os.read(descriptor, place - begin).rfind(b"\n")
        if found >= 0:
            place = begin + found + 1
            break
        place = begin
    if place < end:
        os.ftruncate(descriptor, place)
