"""What is looked at in an ONNX file before TensorRT reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto, external_data_helper

from wsgn.errors import EngineError, UsageError
from wsgn.manifest import METADATA_KEY, Manifest

_REMEDY = "give a file made by export/to_onnx.py"


@dataclass(frozen=True, kw_only=True)
class GraphInput:
    """An input of the graph."""

    name: str
    # Element type, one of TensorProto's.
    element_type: int
    # A number, or the name of a dimension that is given when the graph runs: ("N", 1024).
    dimensions: tuple[int | str, ...]

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """With a size for each named dimension."""
        return tuple(sizes[d] if isinstance(d, str) else d for d in self.dimensions)


@dataclass(frozen=True, kw_only=True)
class PlanInput:
    """An ONNX file that can become a plan."""

    path: Path
    # The whole file, as ONNX Runtime takes it and as TensorRT does.
    content: bytes
    for_tensorrt: bytes
    manifest: Manifest
    inputs: tuple[GraphInput, ...]
    # Names.
    outputs: tuple[str, ...]
    # Whether a part of the graph computes in float16.
    half: bool

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the dimensions that are given when the graph runs, in the inputs' order."""
        named = (d for i in self.inputs for d in i.dimensions if isinstance(d, str))
        return tuple(dict.fromkeys(named))


def read_plan_input(path: Path) -> PlanInput:
    """Read an ONNX file of one piece with a manifest. Raises `EngineError` with what to do."""
    content = _read(path)
    document = onnx.ModelProto()
    try:
        document.ParseFromString(content)
    # The protocol buffer library has no error of its own that all its versions share.
    except Exception as error:
        raise EngineError(_malformed(path, content)) from error
    if not document.graph.node or not document.graph.output:
        raise EngineError(_malformed(path, content))
    tensors = list(_tensors(document))
    if any(external_data_helper.uses_external_data(tensor) for tensor in tensors):
        raise EngineError(
            f"the engine '{path}' keeps its weights in another file: export it again as one file "
            "with export/to_onnx.py."
        )
    manifest = _manifest_of(path, document)
    # Inputs with a value of their own are weights.
    weights = {tensor.name for tensor in document.graph.initializer}
    inputs = [value for value in document.graph.input if value.name not in weights]
    half = _computes_in_half(document, tensors)
    outputs = tuple(value.name for value in document.graph.output)
    graph_inputs = tuple(_graph_input(path, value) for value in inputs)
    return PlanInput(
        path=path,
        content=content,
        for_tensorrt=content,
        manifest=manifest,
        inputs=graph_inputs,
        outputs=outputs,
        half=half,
    )


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise EngineError(f"the engine '{path}' is a directory: give the .onnx file.")
    try:
        # Reading a pipe or a device would never end.
        if path.exists() and not path.is_file():
            raise EngineError(f"the engine '{path}' is no regular file: {_REMEDY}.")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise EngineError(f"the engine '{path}' does not exist: check its path.") from error
    except OSError as error:
        raise EngineError(
            f"the engine '{path}' cannot be read ({error.strerror}): check its permissions."
        ) from error
    if not content:
        raise EngineError(f"the engine '{path}' is an empty file: export it again.")
    return content


def _malformed(path: Path, content: bytes) -> str:
    # Every ONNX file starts with its version, field 1 of the document.
    if content[:1] == b"\x08":
        return f"the engine '{path}' is truncated or damaged: copy or export it again."
    return f"the engine '{path}' is not an ONNX file: {_REMEDY}."


def _manifest_of(path: Path, document: onnx.ModelProto) -> Manifest:
    texts = {entry.key: entry.value for entry in document.metadata_props}
    if METADATA_KEY not in texts:
        raise EngineError(
            f"the engine '{path}' has no manifest (metadata key '{METADATA_KEY}'), which says its "
            f"classes and sampling: {_REMEDY}."
        )
    try:
        return Manifest.from_json(texts[METADATA_KEY])
    except UsageError as error:
        raise EngineError(f"the engine '{path}' cannot be used: {error}") from error


def _graph_input(path: Path, value: onnx.ValueInfoProto) -> GraphInput:
    tensor = value.type.tensor_type
    dimensions: list[int | str] = []
    for dimension in tensor.shape.dim:
        if dimension.dim_param:
            dimensions.append(str(dimension.dim_param))
        elif dimension.dim_value > 0:
            dimensions.append(int(dimension.dim_value))
        else:
            raise EngineError(
                f"the input '{value.name}' of the engine '{path}' has a dimension without a size "
                f"and without a name: {_REMEDY}."
            )
    return GraphInput(name=value.name, element_type=tensor.elem_type, dimensions=tuple(dimensions))


def _computes_in_half(document: onnx.ModelProto, tensors: Iterable[TensorProto]) -> bool:
    casts = (
        attribute.i == TensorProto.FLOAT16
        for node in _nodes(document)
        if node.op_type == "Cast"
        for attribute in node.attribute
        if attribute.name == "to"
    )
    return any(tensor.data_type == TensorProto.FLOAT16 for tensor in tensors) or any(casts)


def _nodes(document: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node, also of functions and of graphs inside nodes."""
    waiting = [*document.graph.node, *(node for f in document.functions for node in f.node)]
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                waiting += graph.node


def _tensors(document: onnx.ModelProto) -> Iterator[TensorProto]:
    """Every constant, also of functions and of graphs inside nodes."""
    yield from document.graph.initializer
    for node in _nodes(document):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for graph in (attribute.g, *attribute.graphs):
                yield from graph.initializer
