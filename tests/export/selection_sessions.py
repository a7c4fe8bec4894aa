"""The functions of scores alone, in ONNX Runtime: a document whose one node calls the function."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from wsgn.export.graphs import frame_selection, streaming_selection
from wsgn.export.graphs.selection_function import DOMAIN, OPSET
from wsgn.localization.streaming_state import prior_rows, state_rows
from wsgn.manifest import (
    ATTENTION,
    AVERAGE,
    CLASS_ACTIVATIONS,
    COMPONENTS,
    GATES,
    IDENTITY,
    SCORING_SCALES,
    Prior,
    SelectionRule,
    VideoScore,
)

NUM_CLASSES = 3
MU, SIGMA = (0.5, -0.2, 0.0), (1.0, 1.5, 0.8)
PRIOR = Prior(
    count=8.0,
    mean=(0.1, 0.0, -0.3),
    variance=(1.0, 0.7, 1.2),
    log_mean_exponential=(0.5, 0.4, 0.2),
    maximum=(2.0, 1.5, 1.8),
    mean_local=(0.6, 0.55, 0.5),
    mean_global=(0.4, 0.5, 0.3),
)
NO_PRIOR = Prior(
    count=0.0, mean=(0.0,) * 3, variance=(0.0,) * 3, log_mean_exponential=(0.0,) * 3,
    maximum=(0.0,) * 3, mean_local=(0.0,) * 3, mean_global=(0.0,) * 3,
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
_BIAS = (0.3, -0.4, 0.1)
# Ways to pool a video's score, in turn; class logits need an activation.
_VIDEO_SCORES = (
    VideoScore(pooling="top", of="logits", activation="sigmoid"),
    VideoScore(pooling="weighted", of="logits", activation="sigmoid", bias=_BIAS),
    VideoScore(pooling="top", of="logits", activation="softmax", snippets_per_pick=3),
    VideoScore(pooling="weighted"),
    VideoScore(pooling="top"),
    VideoScore(),
)
_POOLED = {"softmax": _VIDEO_SCORES, "sigmoid": _VIDEO_SCORES, IDENTITY: _VIDEO_SCORES[:3]}
_ACTIVATIONS = (*CLASS_ACTIVATIONS, IDENTITY)
# Every subset with every gate under the weighted average; activations and video scores take turns.
AVERAGE_RULES = [
    SelectionRule(
        components=components,
        softmax_scale="max_one",
        class_activation=(activation := _ACTIVATIONS[index % 3]),
        weight_scale=AVERAGE,
        gate=gate,
        gate_level=0.4 if gate == "hard" else 0.1,
        global_mean=MU,
        global_std=SIGMA,
        video_score=_POOLED[activation][index // 3 % len(_POOLED[activation])],
    )
    for index, (components, gate) in enumerate(itertools.product(SUBSETS, GATES))
]
# Those of other methods (wsgn.methods.rules).
OTHER_RULES = [
    SelectionRule(
        components=(ATTENTION,),
        softmax_scale="max_one",
        class_activation="sigmoid",
        video_score=VideoScore(pooling="weighted", of="logits", activation="sigmoid", bias=_BIAS),
    ),
    SelectionRule(
        components=(),
        softmax_scale="max_one",
        class_activation=IDENTITY,
        video_score=VideoScore(pooling="top", of="logits", activation="softmax"),
    ),
]


def rule_name(rule: SelectionRule) -> str:
    """A name for a test's case."""
    letters = "".join(name[0] for name in rule.components) or "naive"
    if rule in RULES:
        return f"{letters}-{rule.softmax_scale}-{rule.class_activation}"
    score = rule.video_score
    return f"{letters}-{rule.gate}-{rule.class_activation}-{score.pooling}-{score.activation}"


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
        frame_selection.input_names(rule),
        ["scores", "video_scores"],
        domain=DOMAIN,
        **frame_selection.node_attributes(rule),
    )
    values = ("B", "T", NUM_CLASSES)
    shapes: dict[str, tuple[object, ...]] = {
        "selection_logits": values, "class_logits": values, "scores": values,
        "video_scores": ("B", NUM_CLASSES),
    }  # fmt: skip
    constants: dict[str, object] = {"mu": MU, "sigma": SIGMA}
    if rule.video_score.bias:
        constants["bias"] = rule.video_score.bias
    function = frame_selection.frame_selection_function(rule)
    return _session(node, function, shapes, constants)


def streaming_session(
    rule: SelectionRule, prior: Prior = PRIOR, *, calls: str = "any"
) -> onnxruntime.InferenceSession:
    """selection_logits, class_probabilities (B, N, C), state -> scores (B, N, C), next_state."""
    node = helper.make_node(
        streaming_selection.NAME,
        ["selection_logits", "class_probabilities", "state", "mu", "sigma", "prior"],
        ["scores", "next_state"],
        domain=DOMAIN,
        **streaming_selection.node_attributes(rule),
    )
    values, state = ("B", "N", NUM_CLASSES), ("B", len(state_rows(rule)), NUM_CLASSES)
    shapes: dict[str, tuple[object, ...]] = {
        "selection_logits": values, "class_probabilities": values, "scores": values,
        "state": state, "next_state": state,
    }  # fmt: skip
    constants = {"mu": MU, "sigma": SIGMA, "prior": prior_rows(prior, rule)}
    function = streaming_selection.streaming_selection_function(rule, calls=calls)
    return _session(node, function, shapes, constants)
