"""What must hold before a plan runs: each thing that does not is one sentence.

In this order nothing is touched that could crash: the files, then the driver, then the library.
"""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wsgn.engines.cuda.driver import Driver
from wsgn.engines.tensorrt.library import TITLES, Library
from wsgn.engines.tensorrt.session_api import CudaEngine
from wsgn.engines.tensorrt.sidecar import PlanSidecar, ShapeRange, read_sidecar
from wsgn.errors import EngineError
from wsgn.manifest import Manifest

# What an engine of snippets says about them, by the names of its outputs.
SNIPPET_OUTPUTS = ("selection_logits", "class_probabilities")
_BUILD_AGAIN = "build the plan again with export/to_tensorrt.py"
_DTYPES: dict[str, npt.DTypeLike] = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT32": np.int32,
    "INT64": np.int64,
    "BOOL": np.bool_,
}


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or output of a plan."""

    name: str
    is_input: bool
    dtype: np.dtype[np.generic]
    # None where the size is dynamic.
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        sizes = ", ".join("N" if size is None else str(size) for size in self.shape)
        return f"{self.name} {self.dtype} ({sizes})"


def read_plan(plan: Path, sidecar: PlanSidecar | None = None) -> tuple[bytes, PlanSidecar]:
    """The bytes of a plan and its sidecar, which must be of each other. Raises `EngineError`.

    A sidecar that has been read already is not read again.
    """
    try:
        if not plan.is_file():
            raise EngineError(f"the engine '{plan}' does not exist or is no file: check its path.")
        if sidecar is None:
            sidecar = read_sidecar(plan)
        content = plan.read_bytes()
    except OSError as error:
        raise EngineError(
            f"the engine '{plan}' cannot be read ({error.strerror}): check its permissions."
        ) from error
    have = hashlib.sha256(content).hexdigest()
    if have != sidecar.plan_sha256:
        raise EngineError(
            f"the engine '{plan}' is truncated, damaged or not the one of its sidecar (SHA-256 "
            f"{have[:12]}..., wanted {sidecar.plan_sha256[:12]}...): copy both again, or "
            f"{_BUILD_AGAIN}."
        )
    return content, sidecar


def check_machine(plan: Path, sidecar: PlanSidecar, driver: Driver, ordinal: int) -> None:
    """Compare platform and GPU with what the plan was built for. Raises `EngineError`."""
    here = f"{platform.system()}-{platform.machine()}"
    if sidecar.platform != here:
        raise EngineError(
            f"the engine '{plan}' was built on {sidecar.platform}, this is {here}: {_BUILD_AGAIN} "
            "on this machine."
        )
    gpu = driver.gpu(ordinal)
    have = ".".join(map(str, gpu.compute_capability))
    portable = not sidecar.compute_capability or "hardware_compatible" in sidecar.flags
    if not portable and sidecar.compute_capability != have:
        raise EngineError(
            f"the engine '{plan}' was built for GPUs of compute capability "
            f"{sidecar.compute_capability}, cuda:{ordinal} is {gpu.name} with {have}: "
            f"{_BUILD_AGAIN} on this machine."
        )


def check_library(plan: Path, sidecar: PlanSidecar, library: Library) -> None:
    """Compare the library with the one that built the plan. Raises `EngineError`."""
    wanted = f"{TITLES[sidecar.library]} {sidecar.library_version}"
    compatible = "version_compatible" in sidecar.flags
    if compatible:
        same = _major(library.version) == _major(sidecar.library_version)
    else:
        same = library.version == sidecar.library_version
    if library.name != sidecar.library or not same:
        raise EngineError(
            f"the engine '{plan}' was built with {wanted}, installed is {library.title}: install "
            f"{'a library of the same major version' if compatible else wanted}, or "
            f"{_BUILD_AGAIN}."
        )


def _major(version: str) -> str:
    return version.partition(".")[0]


def check_engine(plan: Path, sidecar: PlanSidecar, engine: CudaEngine) -> tuple[Tensor, ...]:
    """Compare a loaded plan with its sidecar; its inputs and outputs. Raises `EngineError`."""
    if engine.name != sidecar.network_name:
        raise EngineError(
            f"the engine '{plan}' calls itself '{engine.name[:24]}', its sidecar wants "
            f"'{sidecar.network_name[:24]}...': copy both again, or {_BUILD_AGAIN}."
        )
    tensors = _tensors(plan, engine)
    if sidecar.manifest.graph == "snippet":
        _compare_tensors(plan, tensors, snippet_tensors(sidecar.manifest))
    _compare_profiles(plan, sidecar, engine, tensors)
    return tensors


def snippet_tensors(manifest: Manifest) -> tuple[Tensor, ...]:
    """Inputs and outputs that a manifest promises of a graph of snippets."""
    if manifest.frames is not None:
        picture = manifest.frames
        length = manifest.sampling.snippet_length
        size: tuple[int, ...] = (length, picture.height, picture.width, 3)
        name = "frames"
        dtype: np.dtype[np.generic] = np.dtype(np.uint8)
    else:
        assert manifest.features is not None
        name, size = "features", (manifest.features.size,)
        dtype = np.dtype(np.float32)
    outputs = tuple(
        Tensor(
            name=output,
            is_input=False,
            dtype=np.dtype(np.float32),
            shape=(None, len(manifest.classes)),
        )
        for output in SNIPPET_OUTPUTS
    )
    return (Tensor(name=name, is_input=True, dtype=dtype, shape=(None, *size)), *outputs)


def _tensors(plan: Path, engine: CudaEngine) -> tuple[Tensor, ...]:
    tensors = []
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        kind = engine.get_tensor_dtype(name).name
        if kind not in _DTYPES:
            raise EngineError(
                f"the engine '{plan}' has a tensor '{name}' of type {kind}, which a host cannot "
                f"give or take: {_BUILD_AGAIN}."
            )
        shape = tuple(int(size) for size in engine.get_tensor_shape(name))
        tensor = Tensor(
            name=name,
            is_input=engine.get_tensor_mode(name).name == "INPUT",
            dtype=np.dtype(_DTYPES[kind]),
            shape=tuple(None if size < 0 else size for size in shape),
        )
        tensors.append(tensor)
    return tuple(tensors)


def _compare_tensors(plan: Path, have: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> None:
    for what, is_input in (("inputs", True), ("outputs", False)):
        present = {str(tensor) for tensor in have if tensor.is_input == is_input}
        promised = {str(tensor) for tensor in wanted if tensor.is_input == is_input}
        if present != promised:
            raise EngineError(
                f"the engine '{plan}' has the {what} {_listed(present)}, but its manifest wants "
                f"{_listed(promised)}: {_BUILD_AGAIN}."
            )


def _compare_profiles(
    plan: Path, sidecar: PlanSidecar, engine: CudaEngine, tensors: tuple[Tensor, ...]
) -> None:
    """The sidecar's profiles choose what runs: they must be the plan's own."""
    names = [tensor.name for tensor in tensors if tensor.is_input]
    have = [
        {name: _shape_range(engine, name, index) for name in names}
        for index in range(engine.num_optimization_profiles)
    ]
    if have != [profile.inputs for profile in sidecar.profiles]:
        raise EngineError(
            f"the engine '{plan}' has other optimization profiles than its sidecar says: copy both "
            f"again, or {_BUILD_AGAIN}."
        )


def _shape_range(engine: CudaEngine, name: str, index: int) -> ShapeRange:
    minimum, optimum, maximum = (
        tuple(int(size) for size in shape) for shape in engine.get_tensor_profile_shape(name, index)
    )
    return ShapeRange(minimum=minimum, optimum=optimum, maximum=maximum)


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
