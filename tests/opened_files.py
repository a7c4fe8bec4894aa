"""Which files a command in this process opens, told by Python's own `open`."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest


def note_opened(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[str]:
    """The names of the files below a folder that are opened from now on, as they are opened."""
    found: list[str] = []
    really = io.open

    def noted(file: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(file, str | os.PathLike) and Path(file).is_relative_to(folder):
            found.append(Path(file).name)
        return really(file, *arguments, **options)

    monkeypatch.setattr(io, "open", noted)
    monkeypatch.setattr("builtins.open", noted)
    return found
