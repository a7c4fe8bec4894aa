"""Copies on this disk of files at addresses, each fetched once as long as it stays the same."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from wsgn.remote.addresses import folder_of, name_of, shown
from wsgn.remote.reading import read_range, version_of
from wsgn.remote.store import UNREADABLE, RemoteError, open_store, read_errors
from wsgn.support.files import AtomicFile, output_errors

# The folder of copies, instead of the one that the system has for such things.
VARIABLE = "WSGN_CACHE"
# Bytes of one request.
_CHUNK_BYTES = 32 << 20
# Of the disk of the copies; what would need more is read and not kept.
_FREE_SHARE = 0.05


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


def local_copy(address: str) -> Path:
    """A whole copy of the file at an address, of the same name; it is not to be changed.

    It is fetched where there is none of what is at the address now, which one request tells.
    Raises `RemoteError`, and `OutputError` where the folder of copies cannot be written.
    """
    size, version = _version_of(address)
    place = hashlib.sha256(f"{address}\n{version}".encode()).hexdigest()[:32]
    path = cache_folder() / place / name_of(address)
    if version is None or not _is_copy(path, size):
        with output_errors(f"the copy of {shown(address)}"):
            # What may be read there only by some is nobody else's here.
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with AtomicFile(path) as file:
                for offset in range(0, size, _CHUNK_BYTES):
                    file.write(read_range(address, offset, min(_CHUNK_BYTES, size - offset)))
                _check(address, file, size, version)
    return path


def kept_part(address: str, version: str | None, offset: int, size: int) -> Path | bytes:
    """A copy of a part of a file whose version a listing told, by one request where there is none.

    The bytes themselves where no copy is kept: of a version that is not known, and where the disk
    is full but for a twentieth. Nothing is removed to make room. Raises `RemoteError`.
    """
    key = f"{address}\n{version}\n{offset}+{size}"
    path = cache_folder() / hashlib.sha256(key.encode()).hexdigest()[:32] / "part"
    if version is not None and _is_copy(path, size):
        return path
    data = read_range(address, offset, size)
    if len(data) != size:
        raise RemoteError(
            UNREADABLE, f"{shown(address)} has changed since its folder was listed: start again."
        )
    # What cannot be kept is no reason not to use it.
    with suppress(OSError):
        if version is not None and _has_room(path, size):
            with AtomicFile(path) as file:
                file.write(data)
            return path
    return data


def _has_room(path: Path, size: int) -> bool:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    usage = shutil.disk_usage(path.parent)
    return usage.free - size > _FREE_SHARE * usage.total


def _check(address: str, file: AtomicFile, size: int, version: str | None) -> None:
    """Raise `RemoteError` where the file is another one by now than when its copy was begun."""
    if file.temporary.stat().st_size != size or _version_of(address) != (size, version):
        raise RemoteError(
            UNREADABLE, f"{shown(address)} has changed while it was copied: try again."
        )


def _is_copy(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _version_of(address: str) -> tuple[int, str | None]:
    """Bytes of the file, and what tells its version; None where the store does not say."""
    store, path = open_store(address)
    with read_errors(address):
        store.invalidate_cache(folder_of(path) if "://" in path else path.rpartition("/")[0])
        info: dict[str, Any] = store.info(path)
    if info.get("type") == "directory" or info.get("size") is None:
        raise RemoteError(UNREADABLE, f"{shown(address)} is a folder where a file is needed.")
    return int(info["size"]), version_of(info)
