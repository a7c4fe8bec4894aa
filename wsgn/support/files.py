"""Files that are there whole or not at all, and how their sizes are said."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from wsgn.errors import OutputError
from wsgn.support.signals import hold_signals


def write_whole_file(path: Path, data: bytes, *, what: str, wanted: Path | None = None) -> None:
    """Write under a temporary name, then rename; folders are made as needed.

    Raises `OutputError`, which names the file as `what`, where it cannot be written. `wanted` is
    the name that the user knows it by, where that is another one.
    """
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    # Also Ctrl-C and SIGTERM leave nothing behind.
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputError(
                f"{what} {wanted or path} cannot be written: {error.strerror}."
            ) from error
        raise


def check_folder(path: Path) -> None:
    """Make the folder of a file that will be written. Raises `OutputError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from error
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path} cannot be written: {path.parent} may not be written to.")


def remove_file(path: Path) -> None:
    """Remove a file and what a killed `write_whole_file` of it left, if they are there."""
    with hold_signals():
        for one in (path, _temporary(path)):
            with suppress(OSError):
                one.unlink(missing_ok=True)


def size_in_words(num_bytes: int) -> str:
    """ "2.35 MB", and "8.1 kB" where that would be nearly nothing."""
    if num_bytes < 100_000:
        return f"{num_bytes / 1e3:.1f} kB"
    return f"{num_bytes / 1e6:.2f} MB"


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")
