"""Copies on this disk of parts of files at addresses, and which of them make room for others.

A training asks for a part of each of its videos, in every epoch. What it has used itself is never
removed for what it asks for next: of a set of features that is larger than the room there is, a
share stays, where "the oldest first" would remove each copy just before it is wanted again.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, NamedTuple

from wsgn.errors import UsageError
from wsgn.remote.addresses import shown
from wsgn.remote.cache import cache_folder, has_size
from wsgn.remote.reading import StoredFile, read_range
from wsgn.remote.store import UNREADABLE, RemoteError
from wsgn.support.counts import bytes_of
from wsgn.support.files import AtomicFile, input_errors, require_file

# How much all copies of parts may take, such as 200GB; what is free on the disk without it.
LIMIT = "WSGN_CACHE_LIMIT"
# Of the disk of the copies, which stays free whatever the limit.
_FREE_SHARE = 0.05
# Of the limit; other processes add copies too, so that all are counted again behind so many.
_RECOUNT_SHARE = 1 / 64
_LOGGER = logging.getLogger("wsgn.remote")


class StoredPart:
    """A part of a file in a store: a copy on this disk, or where that has no room the bytes."""

    def __init__(self, file: StoredFile, offset: int, size: int) -> None:
        """One request, unless there is a copy of what the listing told of. Raises `RemoteError`."""
        self._file, self._offset, self._size = file, offset, size
        key = f"{file.address}\n{file.version}\n{offset}+{size}"
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        # Few enough in each folder to be looked through for each new one.
        folder = cache_folder() / "parts"
        self._path = folder / name[:2] / name
        # What this process uses from now on stays.
        self._room = room_in(folder)
        self._data: bytes | None = None
        if not self._is_kept():
            self._fetch()

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The part as a file. Raises `InputError`."""
        if self._data is None and (file := self._opened()) is not None:
            with input_errors(self._path), file:
                yield file
            return
        if self._data is None:
            # Removed meanwhile, for other copies or by a person.
            self._data = self._read()
        yield io.BytesIO(self._data)

    def _is_kept(self) -> bool:
        if self._file.version is None or not has_size(self._path, self._size):
            return False
        # Copies that were not used for long make room for others.
        with suppress(OSError):
            os.utime(self._path)
        return True

    def _opened(self) -> IO[bytes] | None:
        try:
            require_file(self._path, self._path)
            return self._path.open("rb")
        except OSError:
            return None

    def _fetch(self) -> None:
        data = self._read()
        # What cannot be kept is no reason not to use it.
        with suppress(OSError):
            if self._file.version is not None and self._room.make(self._size):
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with AtomicFile(self._path) as file:
                    file.write(data)
                return
        self._data = data

    def _read(self) -> bytes:
        data = read_range(self._file.address, self._offset, self._size)
        if len(data) != self._size:
            raise RemoteError(
                UNREADABLE,
                f"{shown(self._file.address)} has changed since its folder was listed: start "
                "again.",
            )
        return data


class _Kept(NamedTuple):
    """A copy that may make room; of many thousand."""

    # Seconds, as the disk has them.
    used: float
    # Bytes.
    size: int
    path: str


class Room:
    """What the copies of parts in a folder take, and how more is made for a process's own."""

    def __init__(self, folder: Path, limit: int | None) -> None:
        """`limit` is that of all copies in bytes; without one the disk's size is."""
        self._folder = folder
        self._limit = limit
        # What was used from now on stays.
        self._since = time.time()
        # Parts are read by several threads.
        self._lock = threading.Lock()
        # Those that may go, the one that was used last in front.
        self._old: list[_Kept] = []
        self._old_bytes = 0
        # Of all.
        self._num_bytes = 0
        # Since they were counted; None before that.
        self._added: int | None = None
        self._is_told = False

    def make(self, size: int) -> bool:
        """Whether a copy of this size has room, after others were removed if need be.

        Raises `OSError`.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock:
            has_room = self._has_room(size)
            if has_room:
                self._num_bytes += size
                self._added = None if self._added is None else self._added + size
            elif not self._is_told:
                self._is_told = True
                _LOGGER.warning(self._sentence(size))
            return has_room

    def _has_room(self, size: int) -> bool:
        if self._limit is not None:
            if self._added is None or self._added > _RECOUNT_SHARE * self._limit:
                self._count()
        elif self._fits(size):
            # There is nothing to be counted.
            return True
        elif self._added is None:
            self._count()
        if not self._fits(size, freed=self._old_bytes):
            return False
        while not self._fits(size):
            if not self._old:
                return False
            self._remove(self._old.pop())
        return True

    def _is_below_limit(self, num_bytes: int) -> bool:
        return self._limit is None or num_bytes <= self._limit

    def _fits(self, size: int, *, freed: int = 0) -> bool:
        """Whether there is room for so much, once so much was removed."""
        if not self._is_below_limit(self._num_bytes + size - freed):
            return False
        usage = shutil.disk_usage(self._folder)
        return usage.free + freed - size > _FREE_SHARE * usage.total

    def _count(self) -> None:
        """Look at all copies, of this process and of others."""
        kept = list(_copies(self._folder))
        self._num_bytes, self._added = sum(one.size for one in kept), 0
        self._old = sorted((one for one in kept if one.used < self._since), reverse=True)
        self._old_bytes = sum(one.size for one in self._old)

    def _remove(self, one: _Kept) -> None:
        """Take a copy away, unless somebody has used it meanwhile; who has it open keeps it."""
        self._old_bytes -= one.size
        try:
            path = Path(one.path)
            if path.stat().st_mtime > one.used:
                return
            path.unlink()
        except FileNotFoundError:
            # Another process was faster.
            pass
        except OSError:
            return
        self._num_bytes -= one.size

    def _sentence(self, size: int) -> str:
        reason = "but for a twentieth the disk is full"
        if not self._is_below_limit(self._num_bytes + size - self._old_bytes):
            reason = f"{LIMIT} is reached"
        return (
            f"there is no room for more copies in {self._folder} ({reason}): what is not kept is "
            "fetched again each time it is used."
        )


def _copies(folder: Path) -> Iterator[_Kept]:
    for name in os.listdir(folder):  # noqa: PTH208
        with suppress(OSError), os.scandir(folder / name) as entries:
            for entry in entries:
                # Hidden ones are being written.
                if entry.name.startswith("."):
                    continue
                with suppress(OSError):
                    facts = entry.stat(follow_symlinks=False)
                    yield _Kept(facts.st_mtime, facts.st_size, entry.path)


@lru_cache(maxsize=8)
def _room_of(folder: Path, limit: int | None) -> Room:
    return Room(folder, limit)


def room_in(folder: Path) -> Room:
    """The room of this process in a folder, within what the environment says."""
    text = os.environ.get(LIMIT)
    limit = bytes_of(text) if text else None
    if text and limit is None:
        raise UsageError(f"{LIMIT} must be a size such as 200GB, got {text[:60]}.")
    return _room_of(folder, limit)
