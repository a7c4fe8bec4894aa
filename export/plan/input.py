"""What is looked at in an ONNX file before TensorRT reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
from onnx import TensorProto, helper, numpy_helper

from wsgn.engines.kernels.bundle import pools_as_the_kernels
from wsgn.errors import EngineError, UsageError
from wsgn.export.graphs.frame_selection import NAME as FRAME_SELECTION
from wsgn.export.graphs.frame_selection import frame_selection_attributes
from wsgn.export.graphs.reading import (
    REMEDY,
    all_nodes,
    all_tensors,
    manifest_of,
    require_one_piece,
)
from wsgn.manifest import ATTENTION, AVERAGE, IDENTITY, SOFT_GATE, Manifest, SelectionRule
from wsgn.support.arrays import Float32Array

# What the parser asks a node for before it takes a plugin in place of its function.
_NAMESPACE_ATTRIBUTE, _NAMESPACE = "plugin_namespace", "wsgn"


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


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureScale:
    """What a graph brings its features to numbers near 1 by: its model's `Standardise`."""

    # (D,) float32 each.
    mean: Float32Array
    deviation: Float32Array


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
    # None where the graph takes features as they are, or frames.
    feature_scale: FeatureScale | None = None

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
    require_one_piece(path, document)
    manifest = manifest_of(path, document)
    # Inputs with a value of their own are weights.
    weights = {tensor.name for tensor in document.graph.initializer}
    inputs = [value for value in document.graph.input if value.name not in weights]
    half = _computes_in_half(document)
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
        feature_scale=None if manifest.features is None else _feature_scale(document),
    )


def with_plugin(source: PlanInput) -> PlanInput:
    """The same file with its selection marked for the fused kernel. Raises `UsageError`.

    The kernel takes the place of `wsgn::FrameSelection`: opt-in, for whole-video graphs.
    """
    rule = source.manifest.selection
    if source.manifest.graph != "whole-video":
        raise UsageError(
            f"--plugin is for whole-video graphs, '{source.path}' holds the "
            f"{source.manifest.graph} graph: leave it out, or export with --graph whole-video."
        )
    missing = _not_in_the_kernel(rule)
    if missing:
        raise UsageError(f"--plugin has no kernel for a selection {missing}: leave it out.")
    document = onnx.ModelProto.FromString(source.for_tensorrt)
    for node in document.graph.node:
        if node.op_type == FRAME_SELECTION:
            _keep_what_the_plugin_reads(node, rule)
            node.attribute.append(helper.make_attribute(_NAMESPACE_ATTRIBUTE, _NAMESPACE))
    return replace(source, for_tensorrt=document.SerializeToString())


def _not_in_the_kernel(rule: SelectionRule) -> str:
    """What of a rule the fused kernel does not compute, in words; empty where it has all."""
    if not rule.components:
        return "without components"
    if ATTENTION in rule.components:
        return f"by {ATTENTION}"
    if rule.weight_scale != AVERAGE and rule.softmax_scale == SOFT_GATE:
        return f"with the scale {SOFT_GATE}"
    if rule.class_activation == IDENTITY:
        return "of class logits"
    if not pools_as_the_kernels(rule):
        return "whose video scores are no weighted mean of probabilities"
    return ""


def _keep_what_the_plugin_reads(node: onnx.NodeProto, rule: SelectionRule) -> None:
    """The parser hands over all options of a node, and the plugin wants its own and no others."""
    known = frame_selection_attributes(rule)
    kept = [attribute for attribute in node.attribute if attribute.name in known]
    # Files that are older than an option mean what the manifest's default means.
    there = {attribute.name for attribute in kept}
    kept += [
        helper.make_attribute(name, value) for name, value in known.items() if name not in there
    ]
    del node.attribute[:]
    node.attribute.extend(kept)


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise EngineError(f"the engine '{path}' is a directory: give the .onnx file.")
    try:
        # Reading a pipe or a device would never end.
        if path.exists() and not path.is_file():
            raise EngineError(f"the engine '{path}' is no regular file: {REMEDY}.")
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
    return f"the engine '{path}' is not an ONNX file: {REMEDY}."


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
                f"and without a name: {REMEDY}."
            )
    return GraphInput(name=value.name, element_type=tensor.elem_type, dimensions=tuple(dimensions))


def _feature_scale(document: onnx.ModelProto) -> FeatureScale | None:
    """By the names that the layer's constants keep in an export."""
    found = {}
    for tensor in document.graph.initializer:
        layer, _, name = tensor.name.rpartition(".")
        if layer.endswith("standardise"):
            found[name] = numpy_helper.to_array(tensor)
    if set(found) != {"mean", "deviation"}:
        return None
    return FeatureScale(mean=found["mean"], deviation=found["deviation"])


def _computes_in_half(document: onnx.ModelProto) -> bool:
    casts = (
        attribute.i == TensorProto.FLOAT16
        for node in all_nodes(document)
        if node.op_type == "Cast"
        for attribute in node.attribute
        if attribute.name == "to"
    )
    tensors = all_tensors(document)
    return any(tensor.data_type == TensorProto.FLOAT16 for tensor in tensors) or any(casts)
