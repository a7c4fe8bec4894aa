"""The parts of `benchmarks/gpu.sh` in their order, each with its limit and its command.

What decides most comes first: the code of the kernels, their results, their times, and training.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu.prepared import CODE, PLAN, Prepared
from benchmarks.results import ROOT

# The whole, with what the script itself takes.
MOST_SECONDS = 540.0
# In tests/.
ON_GPU = (
    "kernels/on_device",
    "engines/kernels/test_launcher_on_gpu.py",
    "benchmarks/kernels/test_benchmark_on_gpu.py",
    "engines/cuda/test_device_contract.py",
    "training/test_training_on_gpu.py",
)
# They test the tests, each with a copy of the kernels that has to be compiled.
NOT_ON_GPU = ("kernels/on_device/test_kernels_planted_bugs.py",)
MOST_WORKERS = 14
# What parts import before they could say that it is missing.
_OF_KERNELS = ("torch", "triton", "numpy", "dacite")
_OF_TRAINING = (*_OF_KERNELS, "safetensors")
_OF_ENGINES = (*_OF_KERNELS, "onnx", "onnxscript", "onnxruntime", "safetensors", "av")
_OF_RUNS = ("numpy", "dacite", "av", "onnxruntime")


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something to run."""

    name: str
    command: tuple[str, ...]
    # Of this its end takes up to report.GRACE_SECONDS.
    limit_seconds: float
    # Its results are STEM.json and STEM.md; none where it leaves a log only.
    stem: str = ""
    # Modules that it imports before it could say that they are missing.
    needs: tuple[str, ...] = ()


def parts(folder: Path, prepared: Prepared | None = None) -> list[Part]:
    """All parts, with their results in `folder`; the limits add up to less than 9 minutes."""

    def script(
        name: str, module: str, limit: float, budget: float, needs: tuple[str, ...], *options: str
    ) -> Part:
        stem = module.removeprefix("benchmarks.").replace(".", "_")
        own = ("-m", module, "--budget", f"{budget:g}", "-o", str(folder / stem), *options)
        return Part(
            name=name, command=_python(*own), limit_seconds=limit, stem=stem, needs=needs
        )  # fmt: skip

    def given(option: str, name: str) -> tuple[str, ...]:
        path = prepared.file(name) if prepared is not None else None
        return (option, str(path)) if path is not None else ()

    # Budgets are looked at between measurements, so that the last one may overrun them.
    return [
        script(
            "machine and code", "benchmarks.gpu.code", 30, 22, _OF_KERNELS,
            *given("--expect", CODE),
        ),
        Part(
            name="kernel correctness",
            command=_correctness(),
            limit_seconds=95,
            needs=_OF_KERNELS,
        ),
        script("operator", "benchmarks.kernels", 80, 55, _OF_KERNELS),
        script("training", "benchmarks.gpu.train", 90, 74, _OF_TRAINING),
        script("races and bounds", "benchmarks.gpu.sanitize", 45, 36, _OF_KERNELS),
        script("counters", "benchmarks.gpu.counters", 50, 41, _OF_KERNELS),
        script("selection without torch", "benchmarks.gpu.launch", 40, 29, _OF_KERNELS),
        script(
            "engines", "benchmarks.gpu.engines", 55, 36, _OF_ENGINES,
            "--networks", "heads", "resnet18",
        ),
        script("wsgn-run", "benchmarks.gpu.run", 35, 26, _OF_RUNS, *given("--plan", PLAN)),
    ]  # fmt: skip


def _correctness() -> tuple[str, ...]:
    """The tests that a GPU changes, or without pytest the benchmark's comparison with float64."""
    tests = [path for name in ON_GPU if (path := ROOT / "tests" / name).exists()]
    if importlib.util.find_spec("pytest") is None or not tests:
        return _python("-m", "benchmarks.kernels", "--check", "--budget", "80")
    # Most of the time goes into compiling kernels, one process at a time otherwise.
    workers = min(MOST_WORKERS, os.cpu_count() or 1)
    return tests_command(tests, workers if importlib.util.find_spec("xdist") else 1)


def tests_command(tests: Sequence[Path], workers: int) -> tuple[str, ...]:
    """pytest with the name of each test as it ends, so that an end by force leaves what was run."""
    options = ["-vv", "-rA", "--tb=short", "-p", "no:cacheprovider"]
    if workers > 1:
        options += ["-n", str(workers)]
    if importlib.util.find_spec("pytest_timeout"):
        options += ["--timeout", "60"]
    options += [f"--ignore={ROOT / 'tests' / name}" for name in NOT_ON_GPU]
    return _python("-m", "pytest", *options, *map(str, tests))


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, *arguments)


def why_skipped(part: Part) -> str:
    """Which of its modules are missing; empty where it can begin."""
    missing = [module for module in part.needs if importlib.util.find_spec(module) is None]
    return f"it needs {', '.join(missing)}, not installed here" if missing else ""


def describe(part: Part) -> str:
    """A line for `--dry-run`."""
    if reason := why_skipped(part):
        return f"{part.name}: would be skipped: {reason}"
    minutes = f"{part.limit_seconds / 60:.1f} min"
    return f"{part.name}: at most {minutes}: {' '.join(part.command)}"


def describe_all(folder: Path, prepared: Prepared | None = None) -> str:
    """The lines of all, and how long they may take together."""
    chosen = parts(folder, prepared)
    able = [part for part in chosen if not why_skipped(part)]
    minutes = sum(part.limit_seconds for part in able) / 60
    last = f"in all: at most {minutes:.1f} min for {len(able)} of {len(chosen)} parts"
    return "\n".join([*map(describe, chosen), last])
