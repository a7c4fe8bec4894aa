"""What a run ran on."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Hardware and versions."""

    date: str
    commit: str
    processor: str
    cores: int
    threads: int
    load: float
    python: str
    torch: str
    triton: str
    # None without a GPU.
    gpu: str | None = None
    driver: str | None = None
    cuda: str | None = None
    # Compute capability times 10: 90 for 9.0.
    capability: int | None = None
    multiprocessors: int | None = None
    # The highest the card allows; what it ran at is not known.
    clock_megahertz: float | None = None
    l2_bytes: int | None = None


def describe_machine() -> Machine:
    """Look at this machine."""
    processor = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (processor.read_text().splitlines() if processor.is_file() else [])
        if line.startswith("model name")
    ]
    common = Machine(
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        commit=_commit(),
        processor=names[0] if names else platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        threads=torch.get_num_threads(),
        load=round(os.getloadavg()[0], 2),
        python=platform.python_version(),
        torch=torch.__version__,
        triton=version("triton"),
    )
    return _with_gpu(common) if torch.cuda.is_available() else common


def _with_gpu(machine: Machine) -> Machine:
    properties = torch.cuda.get_device_properties(0)
    driver, clock = (_nvidia_smi(name) for name in ("driver_version", "clocks.max.sm"))
    gpu = {
        "gpu": properties.name,
        "driver": driver,
        "cuda": torch.version.cuda,
        "capability": 10 * properties.major + properties.minor,
        "multiprocessors": properties.multi_processor_count,
        "clock_megahertz": float(clock) if clock else None,
        "l2_bytes": int(getattr(properties, "L2_cache_size", 0)) or None,
    }
    return Machine(**(vars(machine) | gpu))


def version(package: str) -> str:
    """Of an installed package, or 'none'."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def _commit() -> str:
    """The checkout's commit, with a mark when files differ from it."""
    described = _output(["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=12"])
    return described or "unknown"


def _nvidia_smi(field: str) -> str | None:
    lines = _output(["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader,nounits"])
    return lines.splitlines()[0].strip() if lines else None


def _output(command: Sequence[str]) -> str:
    """What a command prints, or nothing where it fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
