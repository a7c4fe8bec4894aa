"""Results that belong to an address: written on this disk, uploaded as they get their names."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from wsgn.errors import OutputError
from wsgn.remote.addresses import inside, shown
from wsgn.remote.cache import copy_bytes
from wsgn.remote.reading import list_folder
from wsgn.remote.store import RemoteError, delete, open_store, read_errors, upload
from wsgn.support.files import unfinished_folder


class RemoteMirror:
    """A folder below the system's one for temporary files, and a folder at an address.

    In another process, where it comes by pickling, it uploads as well and removes no folder.
    """

    def __init__(self, address: str, *, whole: bool) -> None:
        self.address = address
        self._stack = ExitStack()
        folder = Path(tempfile.gettempdir()).absolute() / "wsgn-output"
        self._root = self._stack.enter_context(unfinished_folder(folder))
        # Whether all names there are asked for at once, and not each when it is needed.
        self._whole = whole
        self._names: set[str] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """All but the right to remove the folder."""
        return {**self.__dict__, "_stack": ExitStack()}

    @property
    def root(self) -> Path:
        """The folder on this disk."""
        return self._root

    @property
    def shown(self) -> str:
        """The address without credentials."""
        return shown(self.address.rstrip("/"))

    def put(self, file: Path, name: str) -> None:
        """Upload a file. Raises `OSError`."""
        upload(str(file), inside(self.address, name))
        self.note(name)

    def note(self, name: str) -> None:
        """Take into account that another process has uploaded a file."""
        if self._names is not None:
            self._names.add(name)

    def has(self, name: str) -> bool:
        """Whether it was there when somebody asked first, or came since. Raises `OutputError`."""
        if self._names is None:
            self._names = self._listed() if self._whole else set()
        if name not in self._names and not self._whole and self._is_file(name):
            self._names.add(name)
        return name in self._names

    def fetch(self, name: str, target: Path) -> None:
        """Copy a file from there. Raises `RemoteError`, and `OSError` for the copy."""
        with target.open("wb") as file:
            copy_bytes(inside(self.address, name), file.write)

    def remove(self, name: str) -> None:
        """Take a file away, if it is there. Raises `OSError`, and `OutputError` as `has` does."""
        if self.has(name):
            delete(inside(self.address, name))
            assert self._names is not None
            self._names.discard(name)

    def close(self) -> None:
        """Remove the folder on this disk."""
        self._stack.close()

    def names(self) -> list[str]:
        """Names of the files there, sorted. Raises `OutputError`."""
        if self._names is None or not self._whole:
            self._names, self._whole = self._listed(), True
        return sorted(self._names)

    def _listed(self) -> set[str]:
        try:
            return {file.name for file in list_folder(self.address)}
        except RemoteError as error:
            raise OutputError(f"results cannot go to {self.shown}: {error}") from error

    def _is_file(self, name: str) -> bool:
        address = inside(self.address, name)
        store, path = open_store(address)
        try:
            with read_errors(address):
                return bool(store.isfile(path))
        except RemoteError as error:
            raise OutputError(f"results cannot go to {self.shown}: {error}") from error
