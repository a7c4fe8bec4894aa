"""Full TensorRT's bindings without its libraries."""

from __future__ import annotations

import ctypes
import functools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from peers import peers_with


def full_bindings(package: str) -> tuple[Path, Path]:
    """The folder with the package, and one with empty libraries behind it; or a skip."""
    folder = peers_with(package)
    return folder, Path(_empty_libraries(folder / package / "tensorrt.so").name)


@functools.cache
def _empty_libraries(extension: Path) -> tempfile.TemporaryDirectory[str]:
    """Once in a process; the folder goes with the process."""
    for tool in ("gcc", "nm", "readelf"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool} to stand in for libnvinfer")
    temporary = tempfile.TemporaryDirectory(prefix="wsgn_bindings_")
    _write_empty_libraries(extension, Path(temporary.name))
    return temporary


def _write_empty_libraries(extension: Path, folder: Path) -> None:
    """Libraries that hold the names which the extension looks for, and do nothing."""
    dynamic = subprocess.check_output(["readelf", "-d", extension], text=True)
    wanted = re.findall(r"NEEDED.*\[(lib(?:nvinfer|nvonnxparser)[^\]]*)\]", dynamic)
    symbols = subprocess.check_output(["nm", "-D", "--undefined-only", extension], text=True)
    process = ctypes.CDLL(None)
    names = [
        line.split()[-1]
        for line in symbols.splitlines()
        # Those of the interpreter and of the system are in this process; others have a version.
        if line.split()[0] == "U" and "@" not in line and not hasattr(process, line.split()[-1])
    ]
    source = folder / "empty.c"
    # They are asked for registries, whose first word is a table of functions: zeros are not called.
    source.write_text("".join(f"void *{n}(void){{static char b[4096];return b;}}\n" for n in names))
    for name in wanted:
        command = ["gcc", "-w", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", folder / name]
        subprocess.run([*command, source], check=True)
