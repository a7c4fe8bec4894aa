"""A real browser for tests, which are skipped where none is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import chromium


class Browser(chromium.Browser):
    """One tab of a Chromium without a window."""

    def __init__(self, profile: Path, *words: str) -> None:
        require_browser()
        super().__init__(profile, *words)


def require_browser() -> None:
    """Skip the test where there is none."""
    if chromium.find_browser() is None:
        pytest.skip("no Chromium: apt-get install chromium, or name one in WSGN_BROWSER")
