"""Everything of `gpu.sh` that needs no GPU, made before one is there: `gpu.sh --prepare FOLDER`.

To be run with the versions of the machine with the GPU (Python, PyTorch, Triton): Triton takes
binaries from its cache only where its own files and the Python's platform are the same. What cannot
be made here is left out with the reason; the folder is good without it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.gpu.plan import NOT_ON_GPU
from benchmarks.gpu.prepared import ABOUT, CODE, PLAN, WHEELS, Prepared
from benchmarks.results import ROOT
from wsgn.engines.tensorrt.library import installed_libraries
from wsgn.errors import OutputError
from wsgn.support.command import run_command

# What an image with PyTorch lacks; in the versions that constraints.txt pins.
PACKAGES = ("dacite", "av")
# pip takes the number of each platform to the letter.
PLATFORMS = (
    "manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64",
    "manylinux2014_x86_64", "manylinux1_x86_64",
)  # fmt: skip
# Of Triton's cache, what is needed to launch a kernel or to put it into a bundle.
KEPT = (".cubin", ".ptx", ".json", ".so")
TARGET = 90
CLASSES = (157, 20, 200)


class _NotPrepared(Exception):
    """Something could not be made; the text says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the folder."""
    return run_command("gpu.sh --prepare", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.prepare", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("folder", type=Path, help="where everything is put; what lies there stays in use")
    add("--target", type=int, default=TARGET, metavar="N",
        help="compute capability times 10 (default: 90, for H100 and H200)")  # fmt: skip
    add("--python-version", default=platform.python_version().rpartition(".")[0], metavar="X.Y",
        help="for which wheels are fetched (default: that of this interpreter)")  # fmt: skip
    add("--budget", type=float, default=3600.0, metavar="SECONDS",
        help="for the kernels of the tests, which come last (default: 3600)")  # fmt: skip
    add("--only", nargs="+", choices=tuple(_STEPS), default=list(_STEPS), help="some steps alone")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    folder: Path = arguments.folder.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made ({error.strerror}).") from error
    left_out: dict[str, str] = {}
    for name in arguments.only:
        try:
            print(f"{name}: {_STEPS[name](folder, arguments)}", flush=True)
        except _NotPrepared as reason:
            left_out[name] = str(reason)
            print(f"{name}: left out: {reason}", flush=True)
    versions = {"Python": platform.python_version()}
    for package in ("torch", "triton", "numpy"):
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    about = {"versions": versions, "target": arguments.target, "left_out": left_out}
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 2**20:.1f} MiB. There: benchmarks/gpu.sh --with {folder.name}")
    return int(bool(left_out))


def _wheels(folder: Path, arguments: argparse.Namespace) -> str:
    """Wheels of the packages for the other machine's Python."""
    text = (ROOT / "constraints.txt").read_text()
    pins = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE))
    names = [f"{package}=={pins[package]}" for package in PACKAGES]
    options = [f"--platform={name}" for name in PLATFORMS]
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
        "--python-version", arguments.python_version, "--implementation", "cp", *options,
        "-d", str(folder / WHEELS), *names,
    ]  # fmt: skip
    # Two versions of one would be in each other's way.
    shutil.rmtree(folder / WHEELS, ignore_errors=True)
    _finish(command, os.environ, "pip")
    return ", ".join(sorted(path.name for path in (folder / WHEELS).glob("*.whl")))


def _code(folder: Path, arguments: argparse.Namespace) -> str:
    """The report that the GPU's own is held against."""
    _require("torch", "triton")
    with _cache(folder, arguments) as (cache, environment):
        stem = cache.with_name("code")
        command = [
            sys.executable, "-m", "benchmarks.gpu.code", "--target", str(arguments.target),
            "--budget", "36000", "-o", str(stem),
        ]  # fmt: skip
        _finish(command, environment, "the compiler")
        shutil.copyfile(stem.with_suffix(".json"), folder / CODE)
    return f"{len(json.loads((folder / CODE).read_text())['kernels'])} kernels as they should be"


def _kernels(folder: Path, arguments: argparse.Namespace) -> str:
    """Triton's cache with what the parts launch."""
    _require("torch", "triton")
    with _cache(folder, arguments) as (cache, environment):
        command = [sys.executable, "-c", _COMPILE_PARTS, str(arguments.target)]
        _finish(command, environment, "the compiler")
        return _counted(cache)


def _tests(folder: Path, arguments: argparse.Namespace) -> str:
    """Triton's cache with what the tests of `on_device/` launch, as far as the budget reaches."""
    _require("torch", "triton", "pytest")
    from benchmarks.gpu.compile_only import MARK

    command = [
        sys.executable, "-m", "pytest", "-p", "benchmarks.gpu.compile_only", "-q", "-s", "--tb=no",
        "-p", "no:cacheprovider", "-p", "no:xdist", str(ROOT / "tests" / "kernels" / "on_device"),
        *(f"--ignore={ROOT / 'tests' / name}" for name in NOT_ON_GPU),
    ]  # fmt: skip
    with (
        _cache(folder, arguments) as (cache, environment),
        tempfile.TemporaryFile("w+") as said,
    ):
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=said, start_new_session=True
        )
        end = ""
        try:
            process.wait(max(1.0, arguments.budget))
        except subprocess.TimeoutExpired:
            end = " when the budget was spent"
        finally:
            # With the compilers that it has started.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        failed = sorted({line.strip() for line in said if line.startswith(MARK)})
        if failed:
            raise _NotPrepared("; ".join(failed))
        return _counted(cache) + end


def _plan(folder: Path, arguments: argparse.Namespace) -> str:
    """The packaged engine as a plan of TensorRT-RTX."""
    if "tensorrt_rtx" not in installed_libraries():
        raise _NotPrepared(f"TensorRT-RTX is not installed in {sys.executable}")
    plan = folder / PLAN
    command = [
        sys.executable, "-m", "wsgn.export.to_tensorrt", str(ROOT / "runtime" / "demo/demo.onnx"),
        "-o", str(plan), "--overwrite",
    ]  # fmt: skip
    _finish(command, os.environ, "to_tensorrt")
    return f"{plan.stat().st_size / 2**20:.1f} MiB"


_STEPS: dict[str, Callable[[Path, argparse.Namespace], str]] = {
    "wheels": _wheels, "code": _code, "plan": _plan, "kernels": _kernels, "tests": _tests,
}  # fmt: skip

# In a process of its own, so that no stand-in for the driver stays.
_COMPILE_PARTS = """
import sys
import torch
from benchmarks.gpu.compile_only import compiling
from benchmarks.gpu.once import run_case
from benchmarks.gpu.prepare import CLASSES
from benchmarks.kernels.baselines import FUSED
from benchmarks.kernels.workload import Shape, evaluate, make_batch
device = torch.device("cpu")
with compiling(int(sys.argv[1])):
    for dtype in (torch.bfloat16, torch.float32):
        for num_classes in CLASSES:
            shape = Shape(name="any", lengths=(1, 5), num_classes=num_classes)
            evaluate(FUSED, make_batch(shape, dtype, device), "max_one")
    for num_classes in CLASSES[:2]:
        shape = Shape(name="any", lengths=(1, 5), num_classes=num_classes)
        run_case(make_batch(shape, torch.bfloat16, device), only_main=False)
"""


@contextmanager
def _cache(folder: Path, arguments: argparse.Namespace) -> Iterator[tuple[Path, dict[str, str]]]:
    """Triton's cache as it is so far, and the variables of what compiles into it; then kept.

    Launchers are compiled as well where there is a C compiler.
    """
    from benchmarks.gpu.compile_only import VARIABLE, link_driver

    prepared = Prepared(folder=folder)
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(scratch) / "triton"
        cache.mkdir()
        prepared.unpack_cache(cache)
        own = {"TRITON_CACHE_DIR": str(cache), VARIABLE: str(arguments.target)}
        with suppress(OSError, subprocess.CalledProcessError):
            own |= link_driver(Path(scratch))
        try:
            yield cache, {**os.environ, **own}
        finally:
            # Also what there is where something did not compile.
            for path in cache.rglob("*"):
                if path.is_file() and path.suffix not in KEPT:
                    path.unlink()
            prepared.pack_cache(cache)


def _counted(cache: Path) -> str:
    binaries, launchers = (len(list(cache.rglob(f"*.{kind}"))) for kind in ("cubin", "so"))
    return f"{binaries} binaries and {launchers} launchers"


def _require(*modules: str) -> None:
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise _NotPrepared(f"{', '.join(missing)} is not installed in {sys.executable}")


def _finish(command: Sequence[str], environment: Mapping[str, str], what: str) -> None:
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or ["nothing"]
        raise _NotPrepared(f"{what} ended with exit code {done.returncode} and said: {lines[-1]}")


if __name__ == "__main__":
    sys.exit(main())
