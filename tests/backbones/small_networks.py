"""ONNX networks as users have them, small: a convolution, and what may follow or be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS, OUTPUTS = 3, 5


def network(
    shape: tuple[int | str, ...] = ("N", 3, 16, 16),
    *,
    ending: str = "features",
    element: int = TensorProto.FLOAT,
    opset: int = 17,
) -> onnx.ModelProto:
    """Images or snippets to features (N, 5): 'features', 'maps', 'tokens' or 'fixed'."""
    generator = np.random.default_rng(1)
    rank = len(shape)
    to_channels = {
        4: [0, 1, 2, 3] if shape[1] == 3 else [0, 3, 1, 2],
        5: [0, 1, 2, 3, 4] if shape[1] == 3 else [0, 2, 1, 3, 4] if shape[2] == 3 else
        [0, 4, 1, 2, 3],
    }[rank]  # fmt: skip
    weight = generator.normal(0, 0.3, (OUTPUTS, CHANNELS, *(3,) * (rank - 2))).astype(np.float32)
    places = np.arange(2, rank, dtype=np.int64)
    nodes = [
        helper.make_node("Cast", ["frames"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["numbers"], ["ordered"], perm=to_channels),
        helper.make_node("Conv", ["ordered", "weight"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["maps"]),
        helper.make_node("ReduceMean", ["maps"], ["features"], axes=places.tolist(), keepdims=0),
        helper.make_node("Reshape", ["maps", "tokens_shape"], ["tokens"]),
        helper.make_node("Reshape", ["features", "fixed_shape"], ["fixed"]),
        helper.make_node("MatMul", ["features", "classes"], ["logits"]),
    ]
    constants = {
        "weight": weight,
        "tokens_shape": np.array([0, 5, -1], dtype=np.int64),
        "fixed_shape": np.array([1, -1], dtype=np.int64),
        "classes": generator.normal(0, 1, (OUTPUTS, 9)).astype(np.float32),
    }
    # Their number is checked, their sizes are not.
    axes = {"features": ["a", 5], "maps": ["a", 5, *"bcd"[: rank - 2]], "tokens": ["a", 5, "b"]}
    axes["fixed"] = [1, "a"]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("frames", element, shape)],
        [helper.make_tensor_value_info(ending, TensorProto.FLOAT, axes[ending])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    document = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    document.ir_version = 8
    return document


def written(path: Path, document: onnx.ModelProto) -> Path:
    path.write_bytes(document.SerializeToString())
    return path
