"""What lies in a folder, to be held against another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def contents(folder: Path, keep: Callable[[str], bool] = lambda name: True) -> dict[str, bytes]:
    """The files below a folder by their paths in it; of those that `keep` says of their names."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and keep(path.name)
    }


def without(*stems: str) -> Callable[[str], bool]:
    """For `contents`: all but the files whose names up to the first dot are these."""
    return lambda name: name.partition(".")[0] not in stems
