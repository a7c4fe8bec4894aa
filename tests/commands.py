"""Programs of this checkout, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from places import ROOT

# Ends what hangs; no verdict depends on how fast a machine is.
HANG_SECONDS = 1800.0


def run_python(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """`python WORDS` with the packages of this checkout: exit code, and what it printed as text.

    `options` are those of `subprocess.run`.
    """
    defaults: dict[str, Any] = {
        "env": os.environ | {"PYTHONPATH": str(ROOT)},
        "capture_output": True,
        "text": True,
        "timeout": HANG_SECONDS,
        "check": False,
    }
    return subprocess.run([sys.executable, *map(str, words)], **defaults | options)
