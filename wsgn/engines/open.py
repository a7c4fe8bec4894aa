"""An engine file: described once, then opened on the device that was asked for."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from wsgn.engines.devices import CPU, CUDA, OPENVINO, DeviceName, device_name
from wsgn.engines.engine import Engine, EngineDescription
from wsgn.engines.onnx_file import manifest_of, notices_of, read_onnx_file
from wsgn.engines.tensorrt.sidecar import is_plan, read_sidecar
from wsgn.errors import EngineError
from wsgn.manifest import Manifest
from wsgn.support.counts import checked_count


def describe_engine(path: str | os.PathLike[str]) -> EngineDescription:
    """Read an engine file once, without loading its graph. Raises `EngineError`."""
    path = Path(path)
    _check_is_file(path)
    if is_plan(path):
        sidecar = read_sidecar(path)
        return EngineDescription(
            path=path, manifest=sidecar.manifest, sha256=sidecar.plan_sha256, sidecar=sidecar
        )
    file = read_onnx_file(path)
    return EngineDescription(
        path=path,
        manifest=manifest_of(file),
        sha256=file.sha256,
        has_external_data=file.has_external_data,
        notices=notices_of(file),
    )


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """The manifest of an engine file, without loading its graph. Raises `EngineError`."""
    return describe_engine(path).manifest


def open_engine(
    engine: str | os.PathLike[str] | EngineDescription,
    *,
    device: str | None = None,
    num_threads: int | None = None,
) -> Engine:
    """Load an engine and check everything that can be checked before a video is decoded.

    Args:
        engine: an .onnx file, a TensorRT plan with its sidecar beside it, or the description of
            one, which is then not read again.
        device: `cpu`, `cuda` or `cuda:N`, `openvino` (or `openvino:gpu`, `openvino:npu`),
            `coreml`, `dml`, and there is no fallback to another; by default a plan runs on
            `cuda:0`, and an ONNX file on `cpu`.
        num_threads: of the CPU; by default one core is left to decoding.

    Returns:
        An engine: `infer` turns frames (N, L, H, W, 3) uint8, or features (N, D) float32, into
        `selection_logits` and `class_probabilities` (N, C). Close it, or use it in a `with`.

    Raises:
        EngineError: the file or the device cannot be used; it says why.
        UsageError: there is no device of that name.
    """
    wanted = None if device is None else device_name(device)
    path = engine.path if isinstance(engine, EngineDescription) else Path(engine)
    _check_is_file(path)
    if is_plan(path) and wanted is not None and wanted.kind != CUDA:
        raise EngineError(
            f"the engine '{path}' is a TensorRT plan, which runs on a GPU only: leave out "
            f"--device {device} or say --device cuda, or give the .onnx file."
        )
    description = engine if isinstance(engine, EngineDescription) else _described_aloud(path)
    if description.sidecar is not None:
        from wsgn.engines.tensorrt.engine import TensorRtEngine

        ordinal = None if wanted is None else wanted.ordinal
        return TensorRtEngine(description, ordinal=ordinal or 0)
    if num_threads is not None:
        checked_count("the number of threads", num_threads)
    if wanted is not None and wanted.kind == OPENVINO:
        from wsgn.engines.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(description, device=wanted, num_threads=num_threads)
    from wsgn.engines.onnxruntime_engine import OnnxRuntimeEngine

    cpu = DeviceName(kind=CPU, part="")
    return OnnxRuntimeEngine(description, device=wanted or cpu, num_threads=num_threads)


def _described_aloud(path: Path) -> EngineDescription:
    """The description of a file that nobody has looked at: what is odd about it is a warning."""
    description = describe_engine(path)
    for notice in description.notices:
        warnings.warn(notice, stacklevel=3)
    return description


def _check_is_file(path: Path) -> None:
    """Raise an `EngineError` unless the path is a file that can be read."""
    if path.is_dir():
        raise EngineError(f"the engine '{path}' is a directory: give the .onnx or .plan file.")
    if not path.exists():
        raise EngineError(
            f"the engine '{path}' does not exist: check its path, or make one (README, Train your "
            "own); 'wsgn-run --demo' runs the packaged one and says where it lies."
        )
    if not os.access(path, os.R_OK):
        raise EngineError(f"the engine '{path}' may not be read: check its permissions.")
