"""Files that are there whole or not at all."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from wsgn.errors import OutputError


def write_whole_file(path: Path, data: bytes, *, what: str) -> None:
    """Write under a temporary name, then rename; folders are made as needed.

    Raises `OutputError`, which names the file as `what`, where it cannot be written.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise OutputError(f"{what} {path} cannot be written: {error.strerror}.") from error
