"""Progress bars: on a terminal only, so that files and pipes hold none."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def shows_progress() -> bool:
    """Whether somebody may be looking at a bar: stderr is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def progress_bar(items: Iterable[Any] | None = None, *, wanted: bool, **settings: Any) -> Any:
    """tqdm's bar on stderr, invisible where it is not wanted or stderr is no terminal."""
    return tqdm(items, disable=not (wanted and shows_progress()), file=sys.stderr, **settings)
