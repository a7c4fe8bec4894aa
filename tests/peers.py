"""Packages of others that run beside ours in tests, unpacked in a folder and never installed.

`make test` fills the folder on Linux with tests/peers.txt. Installed, some of them would stand in
the way of what works, and the others want versions of NumPy and protobuf that ours do not.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from places import ROOT

FOLDER = Path(os.environ.get("WSGN_PEERS", ROOT / ".peers")).resolve()


def peers_with(package: str) -> Path:
    """The folder, which holds the package; or a skip."""
    if not (FOLDER / package).is_dir():
        pytest.skip(f"{package} is not in {FOLDER}; on Linux, make test puts it there")
    return FOLDER
