"""Engines: a file that turns snippets into logits, on the device that was asked for."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from wsgn.engines.tensorrt.sidecar import PLAN_SUFFIXES, read_sidecar
from wsgn.errors import EngineError, UsageError
from wsgn.manifest import Manifest
from wsgn.support.arrays import AnyArray, Float32Array


@dataclass(frozen=True, kw_only=True)
class EngineOutputs:
    """What an engine says about N snippets."""

    # (N, C) each.
    selection_logits: Float32Array
    class_probabilities: Float32Array


class Pending(Protocol):
    """What an engine was asked for and may still compute."""

    @property
    def ready(self) -> bool:
        """Whether `result` returns at once, so that there is nothing to wait for."""
        ...

    def result(self) -> EngineOutputs:
        """Wait for the outputs. Raises `EngineError`."""
        ...


@dataclass(frozen=True, kw_only=True)
class ReadyOutputs:
    """`Pending` of an engine that computes while it is asked."""

    outputs: EngineOutputs
    ready: bool = True

    def result(self) -> EngineOutputs:
        """The outputs."""
        return self.outputs


class Engine(Protocol):
    """A pure function of snippets: it keeps nothing between calls and serves many streams."""

    # What people call it (the file's name), and the hash of the file.
    name: str
    sha256: str
    manifest: Manifest
    # Where it runs: "cpu", "cuda:0".
    device: str

    def infer(self, inputs: AnyArray) -> EngineOutputs:
        """Logits of frames (N, L, H, W, 3) uint8, or of features (N, D) float32."""
        ...

    def submit(self, inputs: AnyArray) -> Pending:
        """As `infer`, but an engine on a GPU returns while it computes."""
        ...

    def close(self) -> None:
        """Release the engine; it cannot be used afterwards."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def open_engine(
    path: str | os.PathLike[str], *, device: str | None = None, num_threads: int | None = None
) -> Engine:
    """Load an engine and check everything that can be checked before a video is decoded.

    `device` is `cpu`, `cuda` or `cuda:N`, and there is no fallback to another; by default a
    TensorRT plan runs on `cuda:0`, which alone can, and an ONNX file on `cpu`. `num_threads` is for
    the CPU; by default one core is left to decoding. Raises `EngineError`.
    """
    path = Path(path)
    ordinal = None if device is None else cuda_ordinal(device)
    check_is_file(path)
    if path.suffix.lower() in PLAN_SUFFIXES:
        if device is not None and ordinal is None:
            raise EngineError(
                f"the engine '{path}' is a TensorRT plan, which runs on a GPU only: leave out "
                f"--device {device} or say --device cuda, or give the .onnx file."
            )
        from wsgn.engines.tensorrt.engine import TensorRtEngine

        return TensorRtEngine(path, ordinal=ordinal or 0)
    from wsgn.engines.onnxruntime_engine import OnnxRuntimeEngine

    return OnnxRuntimeEngine(path, ordinal=ordinal, num_threads=num_threads)


def cuda_ordinal(device: str) -> int | None:
    """The number of a GPU, 0 of plain `cuda`; None of `cpu`. Raises `UsageError`."""
    match = re.fullmatch(r"cpu|cuda(?::(\d+))?", device, re.ASCII)
    if match is None:
        raise UsageError(f"the device must be cpu, cuda or cuda:N, got '{device}'.")
    return None if device == "cpu" else int(match.group(1) or 0)


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """The manifest of an engine file, without loading its graph. Raises `EngineError`."""
    from wsgn.engines.onnx_file import manifest_of, read_onnx_file

    path = Path(path)
    check_is_file(path)
    if path.suffix.lower() in PLAN_SUFFIXES:
        return read_sidecar(path).manifest
    return manifest_of(read_onnx_file(path))


def require_snippets(manifest: Manifest, path: Path) -> None:
    """Raise an `EngineError` unless the engine gives logits of snippets."""
    if manifest.graph != "snippet":
        raise EngineError(
            f"the engine '{path}' holds the {manifest.graph} graph, for hosts of your own; "
            "wsgn-run takes the snippet graph: export it without --graph."
        )


def check_is_file(path: Path) -> None:
    """Raise an `EngineError` unless the path is a file that can be read."""
    if path.is_dir():
        raise EngineError(f"the engine '{path}' is a directory: give the .onnx or .plan file.")
    if not path.exists():
        raise EngineError(f"the engine '{path}' does not exist: check the path given to --engine.")
    if not os.access(path, os.R_OK):
        raise EngineError(f"the engine '{path}' may not be read: check its permissions.")


def file_sha256(path: Path) -> str:
    """Hash of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
