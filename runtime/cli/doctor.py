"""What is installed, and what is wrong with it."""

from __future__ import annotations

import ctypes.util
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wsgn import __version__
from wsgn.engines.cuda.driver import describe_driver
from wsgn.errors import EngineError
from wsgn.support.packages import REQUIRED, default_num_threads, find_damage, load_package

# What only some engines need, and the modules that tell whether it is there.
_OPTIONAL = {
    "tensorrt": ("tensorrt", "tensorrt_bindings"),
    "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
    "pycuda": ("pycuda",),
    "openvino": ("openvino",),
}
# Modules that packages of different names write: the last one installed wins, and removing one
# breaks all.
_SHARED = (
    "onnxruntime",
    *(f"{name}{part}" for name in ("tensorrt", "tensorrt_rtx") for part in ("", "_bindings")),
    "tensorrt_libs",
    "tensorrt_rtx_libs",
)

# Endings of the two packages of a TensorRT, and of the modules in them; the file that the first one
# loads out of the second.
_HALVES = ("bindings", "libs")
_LIBRARY_FILES = {"tensorrt": "nvinfer", "tensorrt_rtx": "tensorrt_rtx"}

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
    loaded = {name: _examine_package(findings, name) for name in REQUIRED}
    if (av := loaded["av"]) is not None:
        codec = ".".join(map(str, av.library_versions["libavcodec"]))
        findings.facts.append(("libavcodec", codec))
    # Without NumPy it would look damaged itself.
    if loaded["numpy"] is None:
        findings.facts.append(("onnxruntime", "not looked at, for it needs numpy"))
    elif (onnxruntime := _examine_package(findings, "onnxruntime")) is not None:
        providers = ", ".join(onnxruntime.get_available_providers())
        findings.facts.append(("providers", providers))
    if not findings.problems:
        _examine_command(findings)
    owners = importlib.metadata.packages_distributions()
    _examine_gpu(findings, owners)
    _examine_double_installs(findings, owners)
    _examine_halves(findings, owners)
    return findings


def _examine_package(findings: Findings, package: str) -> Any:
    """The package, or None with a problem."""
    try:
        module = load_package(package)
    except EngineError as error:
        state = "missing" if importlib.util.find_spec(package) is None else "damaged"
        findings.facts.append((package, state))
        findings.problems.append(str(error))
        return None
    version = getattr(module, "__version__", None) or _installed_version(package)
    findings.facts.append((package, version))
    return module


def _examine_command(findings: Findings) -> None:
    """A package may begin well and still lack the part that a run asks for."""
    try:
        importlib.import_module("wsgn.runtime.cli.run")
    except Exception as error:
        damage = find_damage(error)
        findings.problems.append(str(damage or f"wsgn-run cannot begin ({error})."))


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
    facts = dict(findings.facts)
    findings.facts.append(("plans", plans_here(facts)))


def plans_here(facts: Mapping[str, str]) -> str:
    """Whether TensorRT plans can run here, as far as one sees without loading a library."""
    lacks = []
    if facts["driver"] == "none":
        lacks.append("there is no NVIDIA driver")
    elif not facts["driver"].startswith("driver for CUDA"):
        lacks.append("the NVIDIA driver cannot be used")
    if all(facts[name] == "not installed" for name in ("tensorrt", "tensorrt_rtx")):
        lacks.append("TensorRT is not installed")
    if all(facts[name] == "not installed" for name in ("pycuda", "cuda-bindings")):
        lacks.append("neither cuda-bindings nor pycuda is installed")
    return f"cannot run here: {', '.join(lacks)}" if lacks else "should run here"


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
    """TensorRT comes in two packages, which pip can upgrade and remove apart."""
    for name in _LIBRARY_FILES:
        bindings, libraries = (owners.get(f"{name}_{part}", []) for part in _HALVES)
        if bindings and libraries:
            _compare_halves(findings, name, bindings[0], libraries[0])
        elif bindings and not _is_on_loaders_path(_LIBRARY_FILES[name]):
            _report_half(findings, bindings[0], _HALVES)
        elif libraries and not owners.get(name):
            _report_half(findings, libraries[0], _HALVES[::-1])


def _compare_halves(findings: Findings, name: str, *packages: str) -> None:
    versions = [_installed_version(package) for package in packages]
    if len(set(versions)) > 1:
        findings.problems.append(
            f"{packages[0]} is of version {versions[0]} and {packages[1]} of {versions[1]}, "
            f"but they only work together: pip install --force-reinstall {name}."
        )


def _report_half(findings: Findings, package: str, parts: tuple[str, str]) -> None:
    """One of the parts is a package, and the other one is nowhere."""
    have, wanted = parts
    other = package.removesuffix(have) + wanted
    findings.problems.append(
        f"{package} is installed without {other}, and does not work alone: pip install "
        f"{other}=={_installed_version(package)}."
    )


def _is_on_loaders_path(library: str) -> bool:
    """Whether a library is installed by other means than pip; found without loading it."""
    folders = filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep))
    in_folders = any(any(Path(folder).glob(f"lib{library}.so*")) for folder in folders)
    return in_folders or ctypes.util.find_library(library) is not None
