"""What a Triton server must be told of an engine file: tensors, manifest, optimization profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wsgn.engines.tensorrt.checks import read_plan
from wsgn.engines.tensorrt.sidecar import (
    PLAN_SUFFIXES,
    PlanSidecar,
    Profile,
    ShapeRange,
    is_plan,
)
from wsgn.errors import EngineError, MissingExtraError
from wsgn.localization.streaming_state import STATE_ROWS
from wsgn.manifest import Manifest

if TYPE_CHECKING:
    import onnx

# Of each kind of graph: the output's name, and how many of its dimensions are free; behind them are
# the classes.
_OUTPUTS = {
    "snippet": {"selection_logits": 1, "class_probabilities": 1},
    "whole-video": {"scores": 2, "video_scores": 1},
    "streaming": {"selection_logits": 2, "class_probabilities": 2, "scores": 2},
}


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """An input or output as a server's config names it."""

    name: str
    # Of the server's enumeration, "TYPE_FP32".
    data_type: str
    # All of them, the batch dimension first where there is one; -1 is free.
    dims: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ServedEngine:
    """An engine file that has been looked at."""

    path: Path
    manifest: Manifest
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    # Of a TensorRT plan; None for an ONNX file.
    plan: PlanSidecar | None = None


def read_engine(path: Path) -> ServedEngine:
    """Look at an engine file without running it. Raises `EngineError` with what to do."""
    if not path.is_file():
        what = "does not exist"
        if path.exists():
            what = "is a directory" if path.is_dir() else "is not a file"
        raise EngineError(f"the engine '{path}' {what}: give an .onnx file or a TensorRT plan.")
    if is_plan(path):
        return _read_plan(path)
    return _read_onnx(path)


def tensors_of(manifest: Manifest) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs of a graph with this manifest."""
    num_classes = len(manifest.classes)
    free = (-1,) * _num_free(manifest)  # (N,), (B, T) or (B, N)
    if manifest.frames is None:
        assert manifest.features is not None
        size = manifest.features.size
        main = TensorSpec(name="features", data_type="TYPE_FP32", dims=(*free, size))
    else:
        frames, length = manifest.frames, manifest.sampling.snippet_length
        dims = (*free, length, frames.height, frames.width, 3)
        main = TensorSpec(name="frames", data_type="TYPE_UINT8", dims=dims)
    outputs = tuple(
        TensorSpec(name=name, data_type="TYPE_FP32", dims=(*(-1,) * num_free, num_classes))
        for name, num_free in _OUTPUTS[manifest.graph].items()
    )
    if manifest.graph != "streaming":
        return (main,), outputs
    state, next_state = [
        TensorSpec(name=name, data_type="TYPE_FP32", dims=(-1, len(STATE_ROWS), num_classes))
        for name in ("state", "next_state")
    ]
    return (main, state), (*outputs, next_state)


def _num_free(manifest: Manifest) -> int:
    """How many dimensions of frames or features have no fixed size."""
    return 1 if manifest.graph == "snippet" else 2


def largest_batch(engine: ServedEngine) -> int:
    """The most that a server may put into one batch of a plan: its profiles take all up to there.

    A server joins requests without knowing the profiles, so a larger batch must take every number
    of snippets that a single stream or video may have.
    """
    assert engine.plan is not None
    profiles = engine.plan.profiles
    main = engine.inputs[0].name
    lengths: set[int | None] = {None}
    if _num_free(engine.manifest) == 2:
        # Where the answer can change.
        ends = {size for p in profiles for size in _second(p.inputs[main])}
        lengths = {size + by for size in ends for by in (-1, 0, 1)}
    lengths = {length for length in lengths if _is_taken(profiles, main, 1, length)}
    batch = 0
    while lengths and all(_is_taken(profiles, main, batch + 1, length) for length in lengths):
        batch += 1
    if not batch:
        raise EngineError(
            f"no optimization profile of the plan '{engine.path}' takes a batch of 1, which a "
            "server may form: build the plan with a profile whose minimum is 1."
        )
    return batch


def _second(shapes: ShapeRange) -> tuple[int, int]:
    return shapes.minimum[1], shapes.maximum[1]


def _is_taken(profiles: Sequence[Profile], main: str, batch: int, length: int | None) -> bool:
    """Whether a profile takes a batch, of so many snippets each where that dimension is free."""
    for profile in profiles:
        fits = True
        for name, shapes in profile.inputs.items():
            shape = [batch, *shapes.minimum[1:]]
            if name == main and length is not None:
                shape[1] = length
            fits = fits and shapes.holds(tuple(shape))
        if fits:
            return True
    return False


def _read_plan(path: Path) -> ServedEngine:
    _, sidecar = read_plan(path)
    if sidecar.library != "tensorrt":
        raise EngineError(
            f"the plan '{path}' is of {sidecar.library}, which a Triton server does not load: "
            "build it with TensorRT, or serve the .onnx file."
        )
    inputs, outputs = tensors_of(sidecar.manifest)
    for profile in sidecar.profiles:
        found = {name: len(shapes.minimum) for name, shapes in profile.inputs.items()}
        if found != {spec.name: len(spec.dims) for spec in inputs}:
            raise EngineError(
                f"the profile '{profile.name}' of the plan '{path}' is not for the inputs "
                f"{', '.join(spec.name for spec in inputs)}: build the plan again."
            )
    return ServedEngine(
        path=path, manifest=sidecar.manifest, inputs=inputs, outputs=outputs, plan=sidecar
    )


def _read_onnx(path: Path) -> ServedEngine:
    try:
        import onnx

        from wsgn.export.graphs.reading import manifest_of, require_one_piece
    except ImportError as error:
        raise MissingExtraError("Reading an ONNX file", "export") from error
    try:
        document = onnx.load(str(path), load_external_data=False)
    except Exception as error:
        # The protocol buffer library has no error of its own that all its versions share.
        raise EngineError(
            f"the engine '{path}' is not an ONNX file: give a file of export/to_onnx.py, or a "
            f"TensorRT plan ({' '.join(PLAN_SUFFIXES)})."
        ) from error
    manifest = manifest_of(path, document)
    require_one_piece(path, document)
    inputs = tuple(_spec(value) for value in document.graph.input)
    outputs = tuple(_spec(value) for value in document.graph.output)
    if (inputs, outputs) != tensors_of(manifest):
        raise EngineError(
            f"the graph of the engine '{path}' has other inputs or outputs than its manifest "
            f"({manifest.graph}) says: export it again."
        )
    return ServedEngine(path=path, manifest=manifest, inputs=inputs, outputs=outputs)


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    import onnx

    tensor = value.type.tensor_type
    # Other types are in no graph of ours, and differ from what the manifest says.
    names: dict[int, str] = {
        onnx.TensorProto.FLOAT: "TYPE_FP32",
        onnx.TensorProto.UINT8: "TYPE_UINT8",
    }
    dims = tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim)
    data_type = names.get(tensor.elem_type, "another")
    return TensorSpec(name=value.name, data_type=data_type, dims=dims)
