"""For what a plan is built: the library and the GPU of this machine."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from wsgn.engines.cuda.driver import Gpu, probe_driver
from wsgn.engines.tensorrt.library import Library, installed_libraries, load_library
from wsgn.errors import EngineError, MissingExtraError
from wsgn.export.plan.builder import BuildOptions


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """A library, and the GPU that it builds on."""

    library: Library
    # None where there is none, which TensorRT-RTX does without.
    gpu: Gpu | None
    # Why a plan cannot be run here; empty where it can.
    why_not_run: str

    def compute_capability(self, options: BuildOptions) -> str:
        """ "9.0"; empty where the plan is for several."""
        several = self.library.name == "tensorrt_rtx" or options.hardware_compatible
        if several or self.gpu is None:
            return ""
        major, minor = self.gpu.compute_capability
        return f"{major}.{minor}"


def open_target(library_name: str | None) -> Target:
    """Load the library, by default the first one installed. Raises `EngineError`.

    Full TensorRT crashes without a driver: the driver is looked for before it is loaded.
    """
    name = library_name or next(iter(installed_libraries()), None)
    try:
        gpu = probe_driver().gpus[0]
    except EngineError as error:
        # What it advises is for a host that could use a CPU instead.
        reason = str(error).partition(": ")[0]
        if name == "tensorrt":
            raise EngineError(
                f"TensorRT builds plans only where there is a GPU, and {reason}: build on the "
                "machine that will run the plan, or with TensorRT-RTX (--library tensorrt_rtx)."
            ) from error
        return Target(library=load_library(name), gpu=None, why_not_run=reason)
    library = load_library(name)
    return Target(library=library, gpu=gpu, why_not_run=_unsupported(library, gpu))


def register_plugin(target: Target) -> None:
    """Let the library's parser take the fused kernel. Raises `EngineError` where it cannot."""
    if target.gpu is None:
        raise EngineError(
            f"--plugin compiles for the GPU of this machine, and {target.why_not_run}."
        )
    try:
        # Named here and imported nowhere: no neighbour of wsgn imports another.
        plugin = importlib.import_module("wsgn.kernels.ahead_of_time.tensorrt_plugin")
    except ImportError as error:
        raise MissingExtraError(f"The plugin ({error.name})", "train") from error
    plugin.register(target.library, target.gpu.compute_capability)


def _unsupported(library: Library, gpu: Gpu) -> str:
    """TensorRT-RTX names the GPUs that it builds for, and leaves those of data centres out."""
    if library.name != "tensorrt_rtx":
        return ""
    major, minor = gpu.compute_capability
    if f"SM{major}{minor}" in library.module.ComputeCapability.__members__:
        return ""
    return f"TensorRT-RTX does not support the {gpu.name} (compute capability {major}.{minor})"
