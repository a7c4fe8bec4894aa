"""The files of `on_device/`, each in a process where Triton interprets its kernels."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).resolve().parent
FILES = sorted(path.name for path in (HERE / "on_device").glob("test_*.py"))

pytest.importorskip("triton", reason="Triton is not installed (it exists for Linux only)")


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU the same tests run on it")
@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="they run in this process")
@pytest.mark.parametrize("name", FILES)
def test_kernels_in_the_interpreter(name: str) -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    # Of an outer pytest-xdist.
    for key in [key for key in environment if key.startswith("PYTEST_")]:
        del environment[key]
    path = HERE / "on_device" / name
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        str(path),
    ]
    done = subprocess.run(
        command, env=environment, cwd=HERE.parents[1], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
