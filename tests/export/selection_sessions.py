"""The functions of scores alone, in ONNX Runtime: a document whose one node calls the function."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from wsgn.export.graphs import frame_selection, streaming_selection
from wsgn.export.graphs.selection_function import DOMAIN, OPSET, weight_attributes
from wsgn.localization.streaming_state import prior_rows
from wsgn.manifest import CLASS_ACTIVATIONS, COMPONENTS, SCORING_SCALES, Prior, SelectionRule

NUM_CLASSES = 3
MU, SIGMA = (0.5, -0.2, 0.0), (1.0, 1.5, 0.8)
PRIOR = Prior(
    count=8.0,
    mean=(0.1, 0.0, -0.3),
    variance=(1.0, 0.7, 1.2),
    log_mean_exponential=(0.5, 0.4, 0.2),
    maximum=(2.0, 1.5, 1.8),
)
NO_PRIOR = Prior(
    count=0.0, mean=(0.0,) * 3, variance=(0.0,) * 3, log_mean_exponential=(0.0,) * 3,
    maximum=(0.0,) * 3,
)  # fmt: skip
SUBSETS = [subset for size in range(4) for subset in itertools.combinations(COMPONENTS, size)]
# Every subset, scale and activation; a scale changes nothing where the softmax is not in use.
RULES = [
    SelectionRule(
        components=components,
        softmax_scale=scale,
        class_activation=activation,
        global_mean=MU,
        global_std=SIGMA,
    )
    for components in SUBSETS
    for scale in SCORING_SCALES
    for activation in CLASS_ACTIVATIONS
]


def rule_name(rule: SelectionRule) -> str:
    """A name for a test's case."""
    letters = "".join(name[0] for name in rule.components) or "naive"
    return f"{letters}-{rule.softmax_scale}-{rule.class_activation}"


def _session(
    node: onnx.NodeProto,
    function: onnx.FunctionProto,
    shapes: dict[str, tuple[object, ...]],
    constants: dict[str, object],
) -> onnxruntime.InferenceSession:
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    }
    graph = helper.make_graph(
        [node],
        "selection",
        [values[name] for name in node.input if name in values],
        [values[name] for name in node.output],
        [
            onnx.numpy_helper.from_array(np.asarray(value, dtype=np.float32), name)
            for name, value in constants.items()
        ],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def frame_selection_session(rule: SelectionRule) -> onnxruntime.InferenceSession:
    """selection_logits, class_logits (B, T, C) -> scores (B, T, C), video_scores (B, C)."""
    node = helper.make_node(
        frame_selection.NAME,
        ["selection_logits", "class_logits", "mu", "sigma"],
        ["scores", "video_scores"],
        domain=DOMAIN,
        **frame_selection.frame_selection_attributes(rule),
    )
    values = ("B", "T", NUM_CLASSES)
    shapes: dict[str, tuple[object, ...]] = {
        "selection_logits": values, "class_logits": values, "scores": values,
        "video_scores": ("B", NUM_CLASSES),
    }  # fmt: skip
    function = frame_selection.frame_selection_function(rule)
    return _session(node, function, shapes, {"mu": rule.global_mean, "sigma": rule.global_std})


def streaming_session(rule: SelectionRule, prior: Prior = PRIOR) -> onnxruntime.InferenceSession:
    """selection_logits, class_probabilities (B, N, C), state -> scores (B, N, C), next_state."""
    node = helper.make_node(
        streaming_selection.NAME,
        ["selection_logits", "class_probabilities", "state", "mu", "sigma", "prior"],
        ["scores", "next_state"],
        domain=DOMAIN,
        **weight_attributes(rule),
    )
    values, state = ("B", "N", NUM_CLASSES), ("B", 5, NUM_CLASSES)
    shapes: dict[str, tuple[object, ...]] = {
        "selection_logits": values, "class_probabilities": values, "scores": values,
        "state": state, "next_state": state,
    }  # fmt: skip
    constants = {"mu": rule.global_mean, "sigma": rule.global_std, "prior": prior_rows(prior, rule)}
    function = streaming_selection.streaming_selection_function(rule)
    return _session(node, function, shapes, constants)
