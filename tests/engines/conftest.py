"""The planted engine, made once."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def engine_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted engine. What makes it is loaded late: a GPU machine need not have it."""
    import planted

    return planted.write_engine(tmp_path_factory.mktemp("engine") / "planted.onnx")
