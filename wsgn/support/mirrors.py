"""Folders on this disk for files that belong elsewhere: each goes there as it gets its name.

`AtomicFile` and `put_in_place` see to that. Who looks for earlier files in such a folder asks here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol


class Mirror(Protocol):
    """A folder on this disk and the place that its files belong to."""

    @property
    def root(self) -> Path:
        """The folder, an absolute path."""
        ...

    @property
    def shown(self) -> str:
        """The place, for sentences."""
        ...

    def put(self, file: Path, name: str) -> None:
        """Bring a whole file there under a name with `/`. Raises `OSError`."""
        ...

    def has(self, name: str) -> bool:
        """Whether a file of this name is there. Raises `OutputError`."""
        ...

    def names(self) -> list[str]:
        """The files there, sorted. Raises `OutputError`."""
        ...

    def note(self, name: str) -> None:
        """Take into account that another process has brought a file there."""
        ...

    def fetch(self, name: str, target: Path) -> None:
        """Copy a file from there. Raises `InputError`, and `OSError` for the copy."""
        ...

    def remove(self, name: str) -> None:
        """Take a file away there, if it is there. Raises `OSError`."""
        ...

    def close(self) -> None:
        """Remove the folder on this disk, if it is this object's to remove."""
        ...


_mirrors: list[Mirror] = []
# Folders of copies on this disk, and the places that these are copies of.
_copies: dict[str, str] = {}


def add_mirror(mirror: Mirror) -> None:
    """Let a mirror have the files of its folder, until `closed_mirrors` ends."""
    _mirrors.append(mirror)


@contextmanager
def lent_mirror(mirror: Mirror | None) -> Iterator[None]:
    """A mirror of another process has the files of its folder while the block runs.

    On another machine the folder comes with the first file. It stays there, empty: several
    processes write into it, and none of them knows which is the last.
    """
    if mirror is None:
        yield
        return
    _mirrors.append(mirror)
    try:
        yield
    finally:
        _mirrors.remove(mirror)


@contextmanager
def closed_mirrors() -> Iterator[None]:
    """At the end of the block no mirror is left of those that came in it, and no name of copies."""
    before, copies = len(_mirrors), dict(_copies)
    try:
        yield
    finally:
        while len(_mirrors) > before:
            _mirrors.pop().close()
        _copies.clear()
        _copies.update(copies)


def mirror_of(path: Path) -> tuple[Mirror, str] | None:
    """The mirror whose folder a path is or lies in, and its name in there; None without one.

    What is in a folder that is not finished belongs nowhere else.
    """
    for mirror in _mirrors:
        if path.is_relative_to(mirror.root):
            inside = path.relative_to(mirror.root)
            if any(part.startswith(".") and part.endswith(".tmp") for part in inside.parts):
                return None
            return mirror, inside.as_posix()
    return None


def own_mirror(path: Path) -> Mirror | None:
    """The mirror that a worker in another process is to be lent for a folder of results."""
    found = mirror_of(path)
    return None if found is None else found[0]


def is_there(path: Path) -> bool:
    """Whether a file exists where a path belongs. Raises `OSError`, `ValueError`, `OutputError`."""
    found = mirror_of(path)
    return path.exists() if found is None else found[0].has(found[1])


def file_names(folder: Path) -> list[str]:
    """The names of what lies in a folder, sorted. Raises `OSError`, `OutputError`."""
    found = mirror_of(folder)
    if found is None:
        return sorted(path.name for path in folder.iterdir())
    inside = "" if found[1] == "." else f"{found[1]}/"
    names = (name for name in found[0].names() if name.startswith(inside))
    return [name.removeprefix(inside) for name in names]


def remove_file(path: Path) -> None:
    """Take away a file, if it is there. Raises `OSError`."""
    found = mirror_of(path)
    if found is None:
        path.unlink(missing_ok=True)
    else:
        found[0].remove(found[1])


def note_file(path: Path) -> None:
    """Take into account that another process has written a file."""
    if (found := mirror_of(path)) is not None:
        found[0].note(found[1])


def bring(path: Path) -> None:
    """Bring a file that stays on this disk, and may still grow, where it belongs too.

    Raises `OSError`.
    """
    found = mirror_of(path)
    if found is not None:
        found[0].put(path, found[1])


def place_name(folder: Path) -> str:
    """The last part of the name of the place that a folder stands for."""
    found = mirror_of(folder)
    if found is None:
        return folder.resolve().name
    return PurePosixPath(found[0].shown, found[1]).name


@contextmanager
def at_hand(path: Path) -> Iterator[Path]:
    """Where a file can be read while the block runs: the path, or a copy.

    Raises `InputError`, and `OSError` where a copy cannot be made.
    """
    found = mirror_of(path)
    if found is None:
        yield path
        return
    copy = path.with_name(f".copy.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        found[0].fetch(found[1], copy)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def fetch_file(path: Path) -> None:
    """Have a file on this disk under its path until the command ends.

    Raises `InputError`, and `OSError` where a copy cannot be made.
    """
    found = mirror_of(path)
    if found is not None and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        found[0].fetch(found[1], path)


def staging_folder(text: str) -> Path | None:
    """The folder for temporary files, where words name a file that is to go to another place."""
    for mirror in _mirrors:
        if str(mirror.root) in text:
            return mirror.root.parent
    return None


def name_copies(folder: Path, shown: str) -> None:
    """Let words name a place for a folder on this disk with copies of files from there.

    As `add_mirror` does of files that go there.
    """
    _copies[str(folder)] = shown


def with_places(text: str) -> str:
    """Words with the places that files belong to, or come from, for the folders on this disk."""
    for mirror in _mirrors:
        text = text.replace(str(mirror.root), mirror.shown)
    for folder, shown in _copies.items():
        text = text.replace(folder, shown)
    return text
