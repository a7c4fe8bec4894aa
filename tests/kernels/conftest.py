"""Where the kernels' tests run: on a GPU, or inside Triton's interpreter.

Triton decides that at its first import, which other tests of a session may cause. So a session
without a GPU leaves the files of `on_device/` out, and `test_interpreter.py` runs each of them in a
process of its own. To run them here: TRITON_INTERPRET=1 pytest tests/kernels/on_device
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from interpreter import patch_language_once

if TYPE_CHECKING:
    from wsgn.kernels.ahead_of_time.bundle import CompiledBundle

collect_ignore_glob = []
if os.environ.get("TRITON_INTERPRET") == "1":
    patch_language_once()
if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
    collect_ignore_glob.append("on_device/*")


@pytest.fixture(scope="session")
def compiled_bundle() -> CompiledBundle:
    """The kernels for 20 classes and every GPU, as a model trained by default needs them."""
    from wsgn.kernels.ahead_of_time.bundle import compile_bundle, options_for

    return compile_bundle(options_for(20))


@pytest.fixture
def compiled_folder(compiled_bundle: CompiledBundle, tmp_path: Path) -> Path:
    """Its files, for one test to use and to damage."""
    from wsgn.kernels.ahead_of_time.bundle import write_bundle

    write_bundle(compiled_bundle, tmp_path / "kernels")
    return tmp_path / "kernels"
