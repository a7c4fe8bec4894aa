"""What an engine is: a file that turns snippets into logits, and what is known of it unopened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, TypeAlias

from wsgn.engines.tensorrt.sidecar import PlanSidecar
from wsgn.errors import EngineError
from wsgn.manifest import Manifest
from wsgn.support.arrays import AnyArray, Float32Array


@dataclass(frozen=True, kw_only=True)
class EngineDescription:
    """What an engine file says of itself, before a library or a driver is touched."""

    path: Path
    manifest: Manifest
    # Of the file, in hexadecimal digits; a plan's is its sidecar's until the plan is opened.
    sha256: str
    # Of a TensorRT plan; None for an ONNX file.
    sidecar: PlanSidecar | None = None
    # Whether an ONNX file keeps weights in another file, with which no engine opens.
    has_external_data: bool = False
    # What is odd about the file and does not keep it from running, in sentences.
    notices: tuple[str, ...] = ()


# An engine's input, or of one that has several (frames and flow) each by its name.
EngineInputs: TypeAlias = AnyArray | Mapping[str, AnyArray]


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

    def infer(self, inputs: EngineInputs) -> EngineOutputs:
        """Logits of frames (N, L, H, W, 3) uint8, or of features (N, D) float32.

        One on optical flow takes {"frames": ..., "flow": (N, L, H, W, 2) float32}.
        """
        ...

    def submit(self, inputs: EngineInputs) -> Pending:
        """As `infer`, but an engine on a GPU returns while it computes."""
        ...

    def close(self) -> None:
        """Release the engine; it cannot be used afterwards."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def require_one_file(description: EngineDescription) -> None:
    """Raise an `EngineError` where the weights of an ONNX file lie beside it."""
    if description.has_external_data:
        raise EngineError(
            f"the engine '{description.path}' keeps its weights in another file: export it again "
            "as one file with export/to_onnx.py."
        )


def named_inputs(engine: str, names: Sequence[str], inputs: EngineInputs) -> dict[str, AnyArray]:
    """Every input by its name; one that has none is the first. Raises `EngineError`."""
    given = dict(inputs) if isinstance(inputs, Mapping) else {names[0]: inputs}
    if set(given) != set(names):
        raise EngineError(
            f"the engine '{engine}' takes {' and '.join(names)}, got "
            f"{' and '.join(given) or 'nothing'}."
        )
    return given


def require_snippets(description: EngineDescription) -> None:
    """Raise an `EngineError` unless the engine gives logits of snippets."""
    graph = description.manifest.graph
    if graph != "snippet":
        raise EngineError(
            f"the engine '{description.path}' holds the {graph} graph, for hosts of your own; "
            "wsgn-run takes the snippet graph: export it without --graph."
        )
