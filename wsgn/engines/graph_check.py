"""Does a graph that a library has loaded take and give what its manifest says?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsgn.engines.tensors import GraphTensors
from wsgn.errors import EngineError


@dataclass(frozen=True, kw_only=True)
class LoadedTensor:
    """An input or output of a loaded graph."""

    # NumPy's name of the element type, or whatever the library calls another one.
    dtype: str
    # None where the size is dynamic.
    shape: tuple[int | None, ...]

    def fits(self, wanted: LoadedTensor) -> bool:
        """A dynamic size fits any; one that must be dynamic may not be fixed."""
        return (
            self.dtype == wanted.dtype
            and len(self.shape) == len(wanted.shape)
            and all(
                size is None or size == other
                for size, other in zip(self.shape, wanted.shape, strict=True)
            )
        )

    def __str__(self) -> str:
        sizes = ", ".join("N" if size is None else str(size) for size in self.shape)
        return f"{self.dtype} ({sizes})"


def check_graph(
    tensors: GraphTensors,
    inputs: Mapping[str, LoadedTensor],
    outputs: Mapping[str, LoadedTensor],
    path: Path,
) -> None:
    """Raise an `EngineError` unless inputs and outputs are those that the manifest wants."""
    for what, wanted, have in (
        ("inputs", tensors.inputs, inputs),
        ("outputs", tensors.outputs, outputs),
    ):
        by_name = {one.name: LoadedTensor(dtype=one.dtype.name, shape=one.sizes) for one in wanted}
        if set(have) != set(by_name) or not all(have[name].fits(by_name[name]) for name in by_name):
            raise EngineError(
                f"the engine '{path}' has the {what} {_listed(have)}, but its manifest wants "
                f"{_listed(by_name)}: export it again with export/to_onnx.py."
            )


def loaded_shape(sizes: Iterable[object]) -> tuple[int | None, ...]:
    """A shape whose dynamic sizes are whatever is no int."""
    return tuple(size if isinstance(size, int) else None for size in sizes)


def check_outputs(
    name: str, expected: tuple[int, int], logits: np.ndarray, probabilities: np.ndarray
) -> None:
    """Raise an `EngineError` unless both outputs of an engine are (N, C) as expected."""
    if logits.shape != expected or probabilities.shape != expected:
        raise EngineError(
            f"the engine '{name}' gave outputs of shape {logits.shape} and {probabilities.shape} "
            f"where {expected} is wanted: export it again."
        )


def _listed(tensors: Mapping[str, LoadedTensor]) -> str:
    return ", ".join(f"{name} {tensor}" for name, tensor in tensors.items()) or "none"
