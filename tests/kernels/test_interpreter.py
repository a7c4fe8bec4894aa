"""The files of every `on_device/`, each in a process where Triton interprets its kernels."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from commands import run_python
from places import ROOT

FILES = sorted((ROOT / "tests").rglob("on_device/test_*.py"))

pytest.importorskip("triton", reason="Triton is not installed (it exists for Linux only)")


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU the same tests run on it")
@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="they run in this process")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_kernels_in_the_interpreter(path: Path) -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    # Of an outer pytest-xdist.
    for key in [key for key in environment if key.startswith("PYTEST_")]:
        del environment[key]
    options = ["-p", "no:cacheprovider", "-p", "no:xdist"]
    done = run_python("-m", "pytest", *options, path, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
