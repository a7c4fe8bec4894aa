"""What is installed, and what is wrong with it."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from wsgn import __version__
from wsgn.cuda.driver import describe_driver

from .engines.onnxruntime_engine import default_num_threads

# What only some engines need, and the modules that tell whether it is there.
_OPTIONAL = {
    "tensorrt": ("tensorrt", "tensorrt_bindings"),
    "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
    "pycuda": ("pycuda",),
}
# Modules that packages of different names write: the last one installed wins, and removing one
# breaks all.
_SHARED = (
    "onnxruntime",
    *(f"{name}{part}" for name in ("tensorrt", "tensorrt_rtx") for part in ("", "_bindings")),
    "tensorrt_libs",
    "tensorrt_rtx_libs",
)

# The packages that a module came with.
Owners = Mapping[str, list[str]]


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
    owners = importlib.metadata.packages_distributions()
    _examine_gpu(findings, owners)
    _examine_double_installs(findings, owners)
    _examine_halves(findings, owners)
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


def _examine_gpu(findings: Findings, owners: Owners) -> None:
    """Engines on a GPU are a choice: what they need and is not there is no problem.

    Nothing is loaded but the driver, for a library may end the process.
    """
    findings.facts.append(("driver", describe_driver() or "none"))
    for name, modules in _OPTIONAL.items():
        packages = [package for module in modules for package in owners.get(module, [])]
        version = _installed_version(packages[0]) if packages else "not installed"
        findings.facts.append((name, version))
    try:
        bindings = importlib.metadata.version("cuda-bindings")
    except importlib.metadata.PackageNotFoundError:
        bindings = "not installed"
    findings.facts.append(("cuda-bindings", bindings))


def _examine_double_installs(findings: Findings, owners: Owners) -> None:
    """Packages that write the same files, for the CPU and the GPU or for two versions of CUDA."""
    rivals = dict.fromkeys(tuple(sorted(set(owners.get(module, [])))) for module in _SHARED)
    for packages in rivals:
        if len(packages) > 1:
            findings.problems.append(
                f"{' and '.join(packages)} are both installed and overwrite each other: pip "
                f"uninstall -y {' '.join(packages)}, then install the one you need again."
            )


def _examine_halves(findings: Findings, owners: Owners) -> None:
    """TensorRT comes in two packages, which pip can upgrade apart."""
    for name in ("tensorrt", "tensorrt_rtx"):
        halves = [owners.get(f"{name}_{part}", []) for part in ("bindings", "libs")]
        packages = [half[0] for half in halves if half]
        versions = [_installed_version(package) for package in packages]
        if len(set(versions)) > 1:
            findings.problems.append(
                f"{packages[0]} is of version {versions[0]} and {packages[1]} of {versions[1]}, "
                f"but they only work together: pip install --force-reinstall {name}."
            )
