"""The stand-in for the CUDA driver: building it, and what a test asks of it. See driver.c."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).with_name("stand_in_driver")
LIBRARY = "libcuda.so.1"
# As `enum Kind` of stand_in.h.
KINDS = ("buffers", "pinned", "streams", "modules", "contexts", "leaked")


def build_stand_in(folder: Path) -> Path:
    """The folder, to be put into LD_LIBRARY_PATH, with a libcuda.so.1; or a skip."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or os.name != "posix":
        pytest.skip("needs a C compiler, on Linux, to build the stand-in for the CUDA driver")
    flags = ("-std=gnu11", "-O1", "-w", "-shared", "-fPIC", f"-Wl,-soname,{LIBRARY}")
    sources = sorted(SOURCES.glob("*.c"))
    subprocess.run([compiler, *flags, "-o", folder / LIBRARY, *sources], check=True)
    return folder


class StandIn:
    """The stand-in that this process has loaded."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL(LIBRARY)

    @property
    def depth(self) -> int:
        """How many contexts this thread has on its stack."""
        return int(self.library.standInDepth())

    def alive(self) -> dict[str, int]:
        """How many of each kind there are; `leaked` died with their context."""
        counts = {kind: self.library.standInCount(index) for index, kind in enumerate(KINDS)}
        return {kind: count for kind, count in counts.items() if count}

    def fail(self, name: str, code: int) -> None:
        """Let every call of one function fail from now on."""
        self.library.standInFail(name.encode(), code)

    def heal(self) -> None:
        """Take back what was planned, and forget the kernel that failed."""
        self.library.standInFail(b"", 0)
        self.library.standInHeal()
