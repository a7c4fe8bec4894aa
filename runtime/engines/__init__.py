"""Engines: a file that turns snippets into logits, on the device that was asked for."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from wsgn.errors import EngineError
from wsgn.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class EngineOutputs:
    """What an engine says about N snippets."""

    # (N, C) each.
    selection_logits: npt.NDArray[np.float32]
    class_probabilities: npt.NDArray[np.float32]


class Engine(Protocol):
    """A pure function of snippets: it keeps nothing between calls and serves many streams."""

    # What people call it (the file's name), and the hash of the file.
    name: str
    sha256: str
    manifest: Manifest

    def infer(self, inputs: npt.NDArray[Any]) -> EngineOutputs:
        """Logits of frames (N, L, H, W, 3) uint8, or of features (N, D) float32."""
        ...

    def close(self) -> None:
        """Release the engine; it cannot be used afterwards."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def open_engine(
    path: str | os.PathLike[str], *, device: str = "cpu", num_threads: int | None = None
) -> Engine:
    """Load an engine and check everything that can be checked before a video is decoded.

    `device` is `cpu`, `cuda` or `cuda:N`; there is no fallback to another. `num_threads` is for the
    CPU; by default one core is left to decoding. Raises `EngineError`.
    """
    path = Path(path)
    check_is_file(path)
    if path.suffix.lower() in (".plan", ".engine", ".trt"):
        raise EngineError(
            f"TensorRT engines are not supported by this version ('{path}'): "
            "give the .onnx file that it was built from."
        )
    from .onnxruntime_engine import OnnxRuntimeEngine

    return OnnxRuntimeEngine(path, device=device, num_threads=num_threads)


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """The manifest of an engine file, without loading its graph. Raises `EngineError`."""
    from .onnx_file import manifest_of, read_onnx_file

    path = Path(path)
    check_is_file(path)
    return manifest_of(read_onnx_file(path))


def check_is_file(path: Path) -> None:
    """Raise an `EngineError` unless the path is a file that can be read."""
    if path.is_dir():
        raise EngineError(f"the engine '{path}' is a directory: give the .onnx file.")
    if not path.exists():
        raise EngineError(f"the engine '{path}' does not exist: check the path given to --engine.")
    if not os.access(path, os.R_OK):
        raise EngineError(f"the engine '{path}' may not be read: check its permissions.")


def file_sha256(path: Path) -> str:
    """Hash of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
