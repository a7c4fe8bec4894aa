"""Result files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from wsgn.errors import OutputError


class AtomicFile:
    """A file under a temporary name until `commit` syncs and renames it.

    Every failure is an `OutputError` in one sentence.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._temporary.open("wb")

    def write(self, content: str | bytes) -> None:
        """Write, through to the operating system; text as UTF-8."""
        with output_errors(self.path):
            self._file.write(content.encode() if isinstance(content, str) else content)
            self._file.flush()

    def commit(self, *, partial: bool = False) -> None:
        """Give the file its name, when its contents are on the disk.

        What was cut short is named `a.partial.jsonl` instead, until a whole `a.jsonl` replaces it.
        """
        leftover = self.path.with_name(f"{self.path.stem}.partial{self.path.suffix}")
        path = leftover if partial else self.path
        with output_errors(path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.replace(path)
            if not partial:
                leftover.unlink(missing_ok=True)
            _sync_directory(path.parent)

    def discard(self) -> None:
        """Remove the temporary file; nothing happens after `commit`."""
        # A full disk makes closing fail as well, and then there is nothing left to save.
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def output_errors(path: Path | str) -> Iterator[None]:
    """Turn what the operating system says about a path into an `OutputError`."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"cannot write '{path}' ({reason}): free or choose another place with --output."
        ) from error


def _sync_directory(directory: Path) -> None:
    # Windows cannot open directories; there the rename alone has to do.
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
