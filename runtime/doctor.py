"""What is installed, and what is wrong with it."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import sys
from dataclasses import dataclass, field

from wsgn import __version__

from .engines.onnxruntime_engine import default_num_threads


@dataclass(kw_only=True)
class Findings:
    """Facts as (name, value), and problems as sentences."""

    facts: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def examine() -> Findings:
    """Look at everything that a run needs."""
    findings = Findings()
    findings.facts += [
        ("wsgn", __version__),
        ("python", f"{platform.python_version()} ({sys.executable})"),
        ("platform", platform.platform()),
        ("cores", f"{os.cpu_count()} ({default_num_threads()} for the engine)"),
    ]
    for package in ("numpy", "dacite", "tqdm"):
        _examine_package(findings, package)
    if _examine_package(findings, "av"):
        av = importlib.import_module("av")
        codec = ".".join(map(str, av.library_versions["libavcodec"]))
        findings.facts.append(("libavcodec", codec))
    if _examine_package(findings, "onnxruntime"):
        onnxruntime = importlib.import_module("onnxruntime")
        providers = ", ".join(onnxruntime.get_available_providers())
        findings.facts.append(("providers", providers))
    _examine_double_installs(findings)
    return findings


def _examine_package(findings: Findings, package: str) -> bool:
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        findings.facts.append((package, "missing"))
        findings.problems.append(f"{package} cannot be loaded ({error}): pip install {package}.")
        return False
    version = getattr(module, "__version__", None) or _installed_version(package)
    findings.facts.append((package, version))
    return True


def _installed_version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown version"


def _examine_double_installs(findings: Findings) -> None:
    """ONNX Runtime's packages for CPU and GPU write the same files; the last one wins."""
    owners = sorted(set(importlib.metadata.packages_distributions().get("onnxruntime", [])))
    if len(owners) > 1:
        findings.problems.append(
            f"{' and '.join(owners)} are both installed and overwrite each other: pip uninstall -y "
            f"{' '.join(owners)}, then install the one you need again."
        )
