"""Small ONNX files for tests of plans, written by hand: no torch, no export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from manifests import CLASSES, small_manifest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from wsgn.export.graphs.frame_selection import (
    NAME,
    frame_selection_function,
    node_attributes,
)
from wsgn.manifest import METADATA_KEY, FeatureInput, Manifest

SIZE = 5
NUM_CLASSES = len(CLASSES)


def feature_manifest(graph: str = "snippet") -> Manifest:
    """Of a model on features of SIZE channels."""
    return replace(small_manifest(), frames=None, features=FeatureInput(size=SIZE), graph=graph)


def document(
    nodes: Sequence[NodeProto],
    *,
    inputs: dict[str, tuple[int, Sequence[str | int]]],
    outputs: dict[str, Sequence[str | int]],
    constants: dict[str, np.ndarray] | None = None,
    manifest: Manifest | None = None,
) -> onnx.ModelProto:
    """A graph; inputs by name are (element type, shape), outputs are float32."""
    graph = helper.make_graph(
        list(nodes),
        "small",
        [
            helper.make_tensor_value_info(name, kind, shape)
            for name, (kind, shape) in inputs.items()
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in outputs.items()
        ],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("example.org", 1)]
    made = helper.make_model(graph, opset_imports=opsets)
    made.ir_version = 9
    if manifest is not None:
        helper.set_model_props(made, {METADATA_KEY: manifest.to_json()})
    return made


def heads(*, open_axis: str = "N", manifest: Manifest | None = None) -> onnx.ModelProto:
    """Two matrix products and a softmax: a snippet graph on features."""
    random = np.random.default_rng(0)
    return document(
        [
            helper.make_node("MatMul", ["features", "first"], ["selection_logits"], name="first"),
            helper.make_node("MatMul", ["features", "second"], ["logits"], name="second"),
            helper.make_node("Softmax", ["logits"], ["class_probabilities"], name="softmax"),
        ],
        inputs={"features": (TensorProto.FLOAT, [open_axis, SIZE])},
        outputs={
            "selection_logits": [open_axis, NUM_CLASSES],
            "class_probabilities": [open_axis, NUM_CLASSES],
        },
        constants={
            name: random.normal(size=(SIZE, NUM_CLASSES)).astype(np.float32)
            for name in ("first", "second")
        },
        manifest=manifest or feature_manifest(),
    )


def running_sum() -> onnx.ModelProto:
    """A streaming graph that adds what it was given so far: scores = state + features."""
    axes = np.array([1], dtype=np.int64)
    return document(
        [
            helper.make_node("MatMul", ["features", "weights"], ["seen"], name="seen"),
            helper.make_node("ReduceSum", ["seen", "axes"], ["added"], name="added"),
            helper.make_node("Add", ["state", "added"], ["next_state"], name="next"),
            helper.make_node("ReduceSum", ["next_state", "axes"], ["total"], name="total"),
            helper.make_node("Add", ["seen", "total"], ["scores"], name="scores"),
        ],
        inputs={
            "features": (TensorProto.FLOAT, ["B", "N", SIZE]),
            "state": (TensorProto.FLOAT, ["B", 5, NUM_CLASSES]),
        },
        outputs={"scores": ["B", "N", NUM_CLASSES], "next_state": ["B", 5, NUM_CLASSES]},
        constants={"weights": np.ones((SIZE, NUM_CLASSES), dtype=np.float32), "axes": axes},
        manifest=feature_manifest("streaming"),
    )


def selection() -> onnx.ModelProto:
    """A whole-video graph that is its selection alone; mu and sigma come from outside too."""
    manifest = feature_manifest("whole-video")
    logits = (TensorProto.FLOAT, ("B", "T", NUM_CLASSES))
    classes = (TensorProto.FLOAT, (NUM_CLASSES,))
    inputs = {"selection_logits": logits, "class_logits": logits, "mu": classes, "sigma": classes}
    outputs = {"scores": logits[1], "video_scores": ("B", NUM_CLASSES)}
    attributes = node_attributes(manifest.selection)
    node = helper.make_node(NAME, list(inputs), list(outputs), domain="wsgn", **attributes)
    made = document([node], inputs=inputs, outputs=outputs, manifest=manifest)
    made.functions.append(frame_selection_function(manifest.selection))
    made.opset_import.append(helper.make_opsetid("wsgn", 1))
    return made


def save(made: onnx.ModelProto, path: Path) -> Path:
    """Write the file."""
    path.write_bytes(made.SerializeToString())
    return path
