"""Result files that are there whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from wsgn.errors import OutputError
from wsgn.support.files import AtomicFile
from wsgn.support.mirrors import remove_file


class ResultFile:
    """A result under a temporary name until `commit`; every failure is an `OutputError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = AtomicFile(path)
        with result_errors(path):
            self._file.open()

    def write(self, content: str | bytes) -> None:
        """Write, through to the operating system; text as UTF-8."""
        with result_errors(self.path):
            self._file.write(content.encode() if isinstance(content, str) else content)

    def commit(self, *, partial: bool = False) -> None:
        """Give the file its name, when its contents are on the disk.

        What was cut short is named `a.partial.jsonl` instead, until a whole `a.jsonl` replaces it.
        """
        leftover = self.path.with_name(f"{self.path.stem}.partial{self.path.suffix}")
        with result_errors(leftover if partial else self.path):
            self._file.commit(leftover.name if partial else None)
            if not partial:
                remove_file(leftover)

    def discard(self) -> None:
        """Remove the temporary file; nothing happens after `commit`."""
        self._file.discard()


@contextlib.contextmanager
def result_errors(path: Path | str) -> Iterator[None]:
    """Turn what the operating system says about a path into an `OutputError`."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"cannot write '{path}' ({reason}): free or choose another place with --output."
        ) from error
