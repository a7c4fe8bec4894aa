"""Small engines with known answers for the Triton server tests, and the server's own protobuf."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from manifests import small_manifest
from onnx import TensorProto, helper, numpy_helper
from peers import peers_with

from wsgn.engines.tensorrt.sidecar import (
    PlanSidecar,
    Profile,
    ShapeRange,
    network_name,
    sidecar_path,
)
from wsgn.manifest import METADATA_KEY, FeatureInput, FrameInput, Manifest
from wsgn.support.arrays import AnyArray

SIZE = 4
NUM_CLASSES = 3
WEIGHTS = np.random.default_rng(5).normal(size=(SIZE, NUM_CLASSES)).astype(np.float32)


def features_manifest(graph: str) -> Manifest:
    """Three classes on four channels."""
    return replace(small_manifest(), frames=None, features=FeatureInput(size=SIZE), graph=graph)


def frames_manifest(graph: str) -> Manifest:
    """Three classes on snippets of 8 frames of 6 x 5."""
    return replace(small_manifest(), frames=FrameInput(height=6, width=5), graph=graph)


def snippet_engine(path: Path) -> Path:
    """Selection logits are features @ WEIGHTS, class probabilities their softmax."""
    return _save(
        path,
        features_manifest("snippet"),
        [
            helper.make_node("MatMul", ["features", "weights"], ["selection_logits"]),
            helper.make_node("Softmax", ["selection_logits"], ["class_probabilities"], axis=-1),
        ],
        {"features": ("N", SIZE)},
        {"selection_logits": ("N", NUM_CLASSES), "class_probabilities": ("N", NUM_CLASSES)},
    )


def whole_video_engine(path: Path) -> Path:
    """The score of a snippet is the softmax of its logits over time; of a video, their mean."""
    return _save(
        path,
        features_manifest("whole-video"),
        [
            helper.make_node("MatMul", ["features", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
            helper.make_node("ReduceMean", ["logits", "time"], ["video_scores"], keepdims=0),
        ],
        {"features": ("B", "T", SIZE)},
        {"scores": ("B", "T", NUM_CLASSES), "video_scores": ("B", NUM_CLASSES)},
        {"time": np.array([1])},
    )


def streaming_engine(path: Path) -> Path:
    """The score of a snippet is the mean of all logits so far; the state their number and sum."""
    scored = ("B", "N", NUM_CLASSES)
    state = ("B", 5, NUM_CLASSES)
    node = helper.make_node
    return _save(
        path,
        features_manifest("streaming"),
        [
            node("MatMul", ["features", "weights"], ["selection_logits"]),
            node("Softmax", ["selection_logits"], ["class_probabilities"], axis=-1),
            node("Split", ["state", "parts"], ["count", "sum", "rest"], axis=1),
            node("CumSum", ["selection_logits", "axis"], ["sums_here"]),
            node("Add", ["sums_here", "sum"], ["sums"]),
            node("Sub", ["selection_logits", "selection_logits"], ["zeros"]),
            node("Add", ["zeros", "one"], ["ones"]),
            node("CumSum", ["ones", "axis"], ["counts_here"]),
            node("Add", ["counts_here", "count"], ["counts"]),
            node("Div", ["sums", "counts"], ["scores"]),
            node("Slice", ["counts", "last", "end", "axis_list"], ["count_after"]),
            node("Slice", ["sums", "last", "end", "axis_list"], ["sum_after"]),
            node("Concat", ["count_after", "sum_after", "rest"], ["next_state"], axis=1),
        ],
        {"features": ("B", "N", SIZE), "state": state},
        dict.fromkeys(("selection_logits", "class_probabilities", "scores"), scored)
        | {"next_state": state},
        {
            "parts": np.array([1, 1, 3]),
            "axis": np.array(1),
            "one": np.float32(1),
            "last": np.array([-1]),
            "end": np.array([np.iinfo(np.int64).max]),
            "axis_list": np.array([1]),
        },
    )


ENGINES = {
    "snippet": snippet_engine,
    "streaming": streaming_engine,
    "whole-video": whole_video_engine,
}


def plan(path: Path, manifest: Manifest, *profiles: Profile, **changes: Any) -> Path:
    """A file that passes for a TensorRT plan with these profiles, and its sidecar."""
    path.write_bytes(b"a plan")
    fields = {
        "format_version": 1,
        "manifest": manifest,
        "plan_sha256": hashlib.sha256(b"a plan").hexdigest(),
        "library": "tensorrt",
        "library_version": "11.4.0.106",
        "compute_capability": "9.0",
        "platform": "Linux-x86_64",
        "network_name": network_name(manifest),
        "flags": (),
        "profiles": profiles,
    }
    sidecar_path(path).write_text(PlanSidecar(**(fields | changes)).to_json())
    return path


def profile(
    name: str, **inputs: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
) -> Profile:
    """A profile of (minimum, optimum, maximum) by input."""
    return Profile(
        name=name,
        inputs={
            key: ShapeRange(minimum=low, optimum=best, maximum=high)
            for key, (low, best, high) in inputs.items()
        },
    )


def model_config_class() -> Any:
    """The server's own ModelConfig message, or a skip."""
    name = "wsgn_test_model_config_pb2"
    if name not in sys.modules:
        # By itself, because the package around it wants much more.
        file = peers_with("tritonclient") / "tritonclient" / "grpc" / "model_config_pb2.py"
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name].ModelConfig


def _save(
    path: Path,
    manifest: Manifest,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[str | int, ...]],
    outputs: dict[str, tuple[str | int, ...]],
    constants: dict[str, AnyArray | np.generic] | None = None,
) -> Path:
    def values(shapes: dict[str, tuple[str | int, ...]]) -> list[onnx.ValueInfoProto]:
        make = helper.make_tensor_value_info
        return [make(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]

    tensors = {"weights": WEIGHTS, **(constants or {})}
    graph = helper.make_graph(
        nodes,
        "engine",
        values(inputs),
        values(outputs),
        [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()],
    )
    document = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(document, {METADATA_KEY: manifest.to_json()})
    onnx.checker.check_model(document, full_check=True)
    onnx.save(document, str(path))
    return path
