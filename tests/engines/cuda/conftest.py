"""The stand-in for the CUDA driver, built once."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand_in_library import build_stand_in


@pytest.fixture(scope="session")
def stand_in_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a libcuda.so.1 that works on host memory."""
    return build_stand_in(tmp_path_factory.mktemp("stand_in"))
