"""What must hold before a plan runs: each thing that does not is one sentence.

In this order nothing is touched that could crash: the files, then the driver, then the library.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wsgn.engines.cuda.driver import Driver
from wsgn.engines.tensorrt.bindings import CudaEngine
from wsgn.engines.tensorrt.library import TITLES, Library
from wsgn.engines.tensorrt.sidecar import PlanSidecar, ShapeRange, read_sidecar
from wsgn.engines.tensors import GraphTensors, TensorSpec, graph_tensors
from wsgn.errors import EngineError

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


def check_engine(plan: Path, sidecar: PlanSidecar, engine: CudaEngine) -> GraphTensors:
    """Compare a loaded plan with its sidecar; its inputs and outputs. Raises `EngineError`."""
    if engine.name != sidecar.network_name:
        raise EngineError(
            f"the engine '{plan}' calls itself '{engine.name[:24]}', its sidecar wants "
            f"'{sidecar.network_name[:24]}...': copy both again, or {_BUILD_AGAIN}."
        )
    tensors = _tensors(plan, engine)
    if sidecar.manifest.graph == "snippet":
        _compare_tensors(plan, tensors, graph_tensors(sidecar.manifest))
    _compare_profiles(plan, sidecar, engine, tensors)
    return tensors


def _tensors(plan: Path, engine: CudaEngine) -> GraphTensors:
    inputs: list[TensorSpec] = []
    outputs: list[TensorSpec] = []
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        kind = engine.get_tensor_dtype(name).name
        if kind not in _DTYPES:
            raise EngineError(
                f"the engine '{plan}' has a tensor '{name}' of type {kind}, which a host cannot "
                f"give or take: {_BUILD_AGAIN}."
            )
        sizes = (int(size) for size in engine.get_tensor_shape(name))
        tensor = TensorSpec(
            name=name,
            dtype=np.dtype(_DTYPES[kind]),
            # A plan does not know what its dimensions are called; that of snippets is N.
            shape=tuple("N" if size < 0 else size for size in sizes),
        )
        (inputs if engine.get_tensor_mode(name).name == "INPUT" else outputs).append(tensor)
    return GraphTensors(inputs=tuple(inputs), outputs=tuple(outputs))


def _compare_tensors(plan: Path, have: GraphTensors, wanted: GraphTensors) -> None:
    for what, found, promised in (
        ("inputs", have.inputs, wanted.inputs),
        ("outputs", have.outputs, wanted.outputs),
    ):
        if set(found) != set(promised):
            raise EngineError(
                f"the engine '{plan}' has the {what} {_listed(found)}, but its manifest wants "
                f"{_listed(promised)}: {_BUILD_AGAIN}."
            )


def _compare_profiles(
    plan: Path, sidecar: PlanSidecar, engine: CudaEngine, tensors: GraphTensors
) -> None:
    """The sidecar's profiles choose what runs: they must be the plan's own."""
    names = [tensor.name for tensor in tensors.inputs]
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


def _listed(tensors: Sequence[TensorSpec]) -> str:
    return ", ".join(sorted(map(str, tensors))) or "none"
