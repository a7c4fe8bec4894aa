"""Kernels compiled instead of launched, into Triton's cache, for a GPU that is not there.

Under `compiling` CPU tensors take the kernels' way through the operator, and every launch compiles
what a GPU would run and runs nothing. As a plugin of pytest (`-p benchmarks.gpu.compile_only`) it
lets the tests of `on_device/` compile what they would launch; their results mean nothing then.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import triton

# Read by the plugin: compute capability times 10.
VARIABLE = "WSGN_COMPILE_FOR"
# Before a line about a kernel that does not compile.
MARK = "not compiled: "


@contextmanager
def compiling(capability: int) -> Iterator[None]:
    """Compile for this compute capability what is launched meanwhile."""
    from wsgn.kernels import launch
    from wsgn.kernels.ahead_of_time.compiled import absent_gpu, check_compiles
    from wsgn.selection import operator

    check_compiles()
    run = triton.JITFunction.run

    def compile_one(self: Any, *arguments: Any, grid: Any, warmup: bool, **constants: Any) -> Any:
        try:
            found = run(self, *arguments, grid=grid, warmup=True, **constants)
        except Exception as error:
            print(f"\n{MARK}{self.__name__}: {type(error).__name__}", flush=True)
            raise
        _compile_launcher(found)
        return found

    kernels = operator._Implementation(forward=launch.forward, backward=launch.backward)
    with (
        absent_gpu(capability),
        mock.patch.object(triton.JITFunction, "run", compile_one),
        mock.patch.dict(operator._IMPLEMENTATIONS, {"cpu": kernels}),
    ):
        yield


def _compile_launcher(found: Any) -> None:
    """What hands a kernel to the driver is compiled as well, by a C compiler; see `link_driver`."""
    if driver := _loaded_driver():
        driver.CudaUtils()
        driver.CudaLauncher(found.src, found.metadata)


@cache
def _loaded_driver() -> Any:
    """Triton's module for NVIDIA's driver, where a stand-in for its library can be linked."""
    folder = os.environ.get("TRITON_LIBCUDA_PATH")
    if not folder:
        return None
    # By its name it is found for whatever is linked against it.
    ctypes.CDLL(str(Path(folder) / "libcuda.so.1"), mode=ctypes.RTLD_GLOBAL)
    return importlib.import_module("triton.backends.nvidia.driver")


def link_driver(folder: Path) -> dict[str, str]:
    """Make a library with the driver's names, none of which is called; the variable that names it.

    Raises `OSError` and `subprocess.CalledProcessError` where there is no C compiler.
    """
    nvidia = Path(triton.__file__).parent / "backends" / "nvidia"
    text = "".join((nvidia / name).read_text() for name in ("driver.py", "driver.c"))
    names = sorted(set(re.findall(r"\bcu[A-Z]\w+(?=\()", text)))
    source = folder / "libcuda.c"
    source.write_text("".join(f"int {name}(void) {{ return 1; }}\n" for name in names))
    command = ["cc", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o"]
    subprocess.run([*command, str(folder / "libcuda.so.1"), str(source)], check=True)
    return {"TRITON_LIBCUDA_PATH": str(folder)}


_ENTERED: list[AbstractContextManager[None]] = []


def pytest_configure() -> None:
    """Compile from here to the end, and compare nothing."""
    if VARIABLE not in os.environ:
        return
    context = compiling(int(os.environ[VARIABLE]))
    context.__enter__()
    _ENTERED.append(context)
    tests = Path(__file__).resolve().parents[2] / "tests"
    sys.path[:0] = [str(tests / name) for name in ("kernels/on_device", "kernels", "")]
    cases: Any = importlib.import_module("kernel_cases")
    # An interpreter's plan, which no GPU could take: on one, tests have that of production there.
    cases.LARGE = None

    def only_run(kernels: Any, case: Any, seed: int = 0) -> None:
        cases.run_kernels(kernels, case, cases.make_problem(case, seed))

    cases.check_case = only_run


def pytest_unconfigure() -> None:
    """The end."""
    while _ENTERED:
        _ENTERED.pop().__exit__(None, None, None)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Without a GPU these would be left out."""
    return False if "on_device" in collection_path.parts else None
