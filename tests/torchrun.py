"""Two processes of one machine, as torchrun starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from commands import HANG_SECONDS
from places import ROOT


def torchrun(*words: object, environment: Mapping[str, str] | None = None) -> None:
    """Run a script or `-m` a module in both; what they say where they fail."""
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            *map(str, words),
        ],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
