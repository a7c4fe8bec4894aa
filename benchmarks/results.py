"""What every benchmark leaves: STEM.json for programs and STEM.md for people, with the machine.

Its tables also lie in STEM.csv and STEM.tex, the second one in STEM_2.csv, and so on.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.tables import other_formats
from wsgn.support.files import write_whole_file

ROOT = Path(__file__).resolve().parents[1]
# Whose versions belong to a result.
PACKAGES = ("numpy", "av", "onnxruntime", "torch", "triton")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Hardware and versions."""

    date: str
    commit: str
    processor: str
    cores: int
    # Running processes, mean of the last minute.
    load: float
    python: str
    versions: Mapping[str, str] = field(default_factory=dict)
    # Of PyTorch; the others are None without a GPU, or where nothing asked for it.
    threads: int | None = None
    gpu: str | None = None
    driver: str | None = None
    cuda: str | None = None
    # Compute capability times 10: 90 for 9.0.
    capability: int | None = None
    multiprocessors: int | None = None
    # The highest the card allows; what it ran at is not known.
    clock_megahertz: float | None = None
    l2_bytes: int | None = None

    def __str__(self) -> str:
        where = self.gpu or f"{self.processor}, no GPU in use"
        threads = "" if self.threads is None else f"{self.threads} threads on "
        names = ("Python", *self.versions)
        versions = zip(names, (self.python, *self.versions.values()), strict=True)
        words = [
            f"{where}; {threads}{self.cores} cores, load {self.load} before",
            ", ".join(f"{name} {version}" for name, version in versions),
            f"driver {self.driver}, CUDA {self.cuda}" if self.gpu else "",
            f"commit {self.commit}, {self.date}",
        ]
        return "; ".join(word for word in words if word)


def describe_machine(*, with_torch: bool = False) -> Machine:
    """Look at this machine; with PyTorch, whose import takes seconds, also at its GPU."""
    processor = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (processor.read_text().splitlines() if processor.is_file() else [])
        if line.startswith("model name")
    ]
    found = {name: version for name in PACKAGES if (version := _version(name))}
    common = Machine(
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        commit=_commit(),
        processor=names[0] if names else platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        load=round(os.getloadavg()[0], 2),
        python=platform.python_version(),
        versions=found,
    )
    return _seen_by_torch(common) if with_torch else common


def _seen_by_torch(machine: Machine) -> Machine:
    import torch

    machine = replace(machine, threads=torch.get_num_threads())
    if not torch.cuda.is_available():
        return machine
    properties = torch.cuda.get_device_properties(0)
    driver, clock = (_nvidia_smi(name) for name in ("driver_version", "clocks.max.sm"))
    return replace(
        machine,
        gpu=properties.name,
        driver=driver,
        cuda=torch.version.cuda,
        capability=10 * properties.major + properties.minor,
        multiprocessors=properties.multi_processor_count,
        clock_megahertz=float(clock) if clock else None,
        l2_bytes=int(getattr(properties, "L2_cache_size", 0)) or None,
    )


def add_output(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """The option -o of a benchmark that prints its results."""
    parser.add_argument(
        "-o", "--output", type=Path, metavar="STEM", required=required,
        default=argparse.SUPPRESS if required else None,
        help="write the results to STEM.json and STEM.md, and its tables to STEM.csv and STEM.tex",
    )  # fmt: skip


def write_results(
    stem: Path, document: Mapping[str, Any], text: str, machine: Machine | None = None
) -> None:
    """STEM.json and STEM.md, each with the machine, and the tables. Raises `OutputError`.

    What is no finite number becomes null. `text` is Markdown.
    """
    machine = machine or describe_machine()
    whole = finite({"machine": asdict(machine), **document})
    files = {
        ".json": json.dumps(whole, indent=1, allow_nan=False),
        ".md": headed(machine, text),
    }
    for number, formats in enumerate(other_formats(text), start=1):
        ending = "" if number == 1 else f"_{number}"
        files |= {f"{ending}.{name}": content for name, content in formats.items()}
    for suffix, content in files.items():
        path = stem.with_name(stem.name.removesuffix(".json") + suffix)
        write_whole_file(path, f"{content.rstrip()}\n".encode(), what="benchmark result")


def publish(
    stem: Path | None, document: Mapping[str, Any], text: str, machine: Machine | None = None
) -> None:
    """Print the text under a line about the machine; write it and the document where asked for."""
    machine = machine or describe_machine()
    print(headed(machine, text), end="")
    if stem is not None:
        write_results(stem, document, text, machine)


def headed(machine: Machine, text: str) -> str:
    """A text of results under the line that says what they hold for."""
    return f"{machine}.\n\n{text.rstrip()}\n"


def finite(value: Any) -> Any:
    """A document in which what is no finite number is None."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    """The checkout's commit, with a mark when files differ from it."""
    described = _output(["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"])
    return described or "unknown"


def _nvidia_smi(name: str) -> str | None:
    lines = _output(["nvidia-smi", f"--query-gpu={name}", "--format=csv,noheader,nounits"])
    return lines.splitlines()[0].strip() if lines else None


def _output(command: Sequence[str]) -> str:
    """What a command prints, or nothing where it fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
