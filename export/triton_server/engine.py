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
from wsgn.engines.tensors import GraphTensors, TensorSpec, graph_tensors
from wsgn.errors import EngineError, MissingExtraError
from wsgn.manifest import Manifest

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, kw_only=True)
class ServedEngine:
    """An engine file that has been looked at."""

    path: Path
    manifest: Manifest
    tensors: GraphTensors
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


def largest_batch(engine: ServedEngine) -> int:
    """The most that a server may put into one batch of a plan: its profiles take all up to there.

    A server joins requests without knowing the profiles, so a larger batch must take every number
    of snippets that a single stream or video may have.
    """
    assert engine.plan is not None
    profiles = engine.plan.profiles
    main = engine.tensors.inputs[0]
    lengths: set[int | None] = {None}
    if len(main.axes) == 2:
        # Where the answer can change.
        ends = {size for p in profiles for size in _second(p.inputs[main.name])}
        lengths = {size + by for size in ends for by in (-1, 0, 1)}
    lengths = {length for length in lengths if _is_taken(profiles, main.name, 1, length)}
    batch = 0
    while lengths and all(_is_taken(profiles, main.name, batch + 1, length) for length in lengths):
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
    tensors = graph_tensors(sidecar.manifest)
    for profile in sidecar.profiles:
        found = {name: len(shapes.minimum) for name, shapes in profile.inputs.items()}
        if found != {spec.name: len(spec.shape) for spec in tensors.inputs}:
            raise EngineError(
                f"the profile '{profile.name}' of the plan '{path}' is not for the inputs "
                f"{', '.join(spec.name for spec in tensors.inputs)}: build the plan again."
            )
    return ServedEngine(path=path, manifest=sidecar.manifest, tensors=tensors, plan=sidecar)


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
    tensors = graph_tensors(manifest)
    graph = document.graph
    if not (_fit(graph.input, tensors.inputs) and _fit(graph.output, tensors.outputs)):
        raise EngineError(
            f"the graph of the engine '{path}' has other inputs or outputs than its manifest "
            f"({manifest.graph}) says: export it again."
        )
    return ServedEngine(path=path, manifest=manifest, tensors=tensors)


def _fit(values: Sequence[onnx.ValueInfoProto], wanted: Sequence[TensorSpec]) -> bool:
    """Whether these are the inputs or outputs that are wanted, in their order."""
    import onnx

    kinds = {"float32": onnx.TensorProto.FLOAT, "uint8": onnx.TensorProto.UINT8}
    have = [(value.name, value.type.tensor_type.elem_type, _sizes(value)) for value in values]
    return have == [(one.name, kinds[one.dtype.name], one.sizes) for one in wanted]


def _sizes(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    return tuple(
        dim.dim_value if dim.HasField("dim_value") else None
        for dim in value.type.tensor_type.shape.dim
    )
