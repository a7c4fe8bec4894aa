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

    def becomes(self, expression: str, value: object) -> None:
        """Wait until an expression in the page has a value: what a page is told, it shows in its
        turn, and one thing that is there says nothing of the next.
        """
        self.wait(expression, lambda found: bool(found == value))


def require_browser() -> None:
    """Skip the test where there is none."""
    if chromium.find_browser() is None:
        pytest.skip("no Chromium: apt-get install chromium, or name one in WSGN_BROWSER")
