"""A live page for the tests of what is asked of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("starlette", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")
pytest.importorskip("prometheus_client", reason="needs the extra serve")

from served import Served, served


@pytest.fixture
def live() -> Iterator[Served]:
    """A page at a port of its own."""
    with served() as made:
        yield made
