"""Copies on this disk of files at addresses, each fetched once as long as it stays the same."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsgn.remote.addresses import folder_of, inside, name_of, shown
from wsgn.remote.reading import read_range, version_of
from wsgn.remote.store import MISSING, PERMISSION, UNREADABLE, RemoteError, open_store, read_errors
from wsgn.support.files import AtomicFile, output_errors
from wsgn.support.mirrors import name_copies

# The folder of copies, instead of the one that the system has for such things.
VARIABLE = "WSGN_CACHE"
# Bytes of one request.
_CHUNK_BYTES = 32 << 20


def cache_folder() -> Path:
    """Where copies are kept: $WSGN_CACHE, else `wsgn` in the user's folder for caches."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "wsgn"


def is_copy(path: Path) -> bool:
    """Whether a path is that of a copy: nothing of a user's belongs beside it."""
    return path.is_relative_to(cache_folder())


@dataclass(frozen=True, kw_only=True)
class _Version:
    """A file at an address, as it is now."""

    address: str
    size: int
    # What tells it from what it was and will be; None where the store does not say.
    mark: str | None


def local_copy(address: str, *, beside: Sequence[str] = ()) -> Path:
    """A whole copy of the file at an address, of the same name; it is not to be changed.

    Where files of the names `beside` lie beside it, copies of them lie beside the copy. Each is
    fetched where there is no copy of what is there now, which one request tells. Messages name the
    address for the copy. Raises `RemoteError`, and `OutputError` where no copy can be written.
    """
    versions = [_version_of(address)]
    for name in beside:
        try:
            versions.append(_version_of(inside(folder_of(address), name)))
        except RemoteError as error:
            # Who may not list a bucket is not told that a file is missing.
            if error.code not in (MISSING, PERMISSION):
                raise
    marks = "\n".join(f"{one.address}\n{one.mark}" for one in versions)
    place = cache_folder() / hashlib.sha256(marks.encode()).hexdigest()[:32]
    name_copies(place, shown(folder_of(address)))
    for version in versions:
        _fetch(version, place / _file_name(version.address))
    return place / _file_name(address)


def engine_copy(address: str) -> Path:
    """A copy of an engine, with the sidecar of a TensorRT plan beside it; see `local_copy`."""
    beside = (f"{name_of(address)}.json",) if address.endswith(".plan") else ()
    return local_copy(address, beside=beside)


def _file_name(address: str) -> str:
    name = name_of(address)
    return name if name not in ("", ".", "..") else "file"


def _fetch(version: _Version, path: Path) -> None:
    """Make the copy, unless it is there."""
    if version.mark is not None and has_size(path, version.size):
        return
    with output_errors(f"the copy of {shown(version.address)}"):
        # What only some may read there is nobody else's here.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with AtomicFile(path) as file:
            _copy(version, file.write)


def copy_bytes(address: str, write: Callable[[bytes], object]) -> None:
    """Give the bytes of a file to `write`.

    Raises `RemoteError`, also where it has changed meanwhile.
    """
    _copy(_version_of(address), write)


def _copy(version: _Version, write: Callable[[bytes], object]) -> None:
    """By a request for 32 MB, and one that asks whether all are of the same version."""
    address, size = version.address, version.size
    for offset in range(0, size, _CHUNK_BYTES):
        data = read_range(address, offset, min(_CHUNK_BYTES, size - offset))
        if len(data) != min(_CHUNK_BYTES, size - offset):
            raise RemoteError(UNREADABLE, f"{shown(address)} has become shorter: try again.")
        write(data)
    if _version_of(address) != version:
        raise RemoteError(
            UNREADABLE, f"{shown(address)} has changed while it was copied: try again."
        )


def has_size(path: Path, size: int) -> bool:
    """Whether a copy of so many bytes is there; copies get their names when they are whole."""
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _version_of(address: str) -> _Version:
    store, path = open_store(address)
    with read_errors(address):
        # What an earlier listing said may be out of date.
        store.invalidate_cache(path.rpartition("/")[0])
        info: dict[str, Any] = store.info(path)
    if info.get("type") == "directory" or info.get("size") is None:
        raise RemoteError(UNREADABLE, f"{shown(address)} is a folder where a file is needed.")
    return _Version(address=address, size=int(info["size"]), mark=version_of(info))
