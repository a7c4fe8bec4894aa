"""`wsgn::FrameSelection`: the scores of whole videos as a function inside the ONNX document."""

from __future__ import annotations

import onnx

from wsgn.export.graphs.selection_function import (
    SMALLEST,
    Attributes,
    attention_attributes,
    average_text,
    components_text,
    gate_attributes,
    parsed_function,
    per_frame_text,
    scores_text,
    weight_attributes,
)
from wsgn.manifest import AVERAGE, SelectionRule, VideoScore

NAME = "FrameSelection"

# Logits are taken relative to the largest of their video before anything is summed, and the mean is
# taken twice: what rounding leaves of it the first time, the second takes away. A class whose
# logits are all equal has the variance 0 then, at any height, not that of its rounding.
_BELOW = """
    maximum = ReduceMax (selection_logits, time)
    below = Sub (selection_logits, maximum)
"""
_LOCAL = """
    rough_mean = ReduceMean (below, time)
    rough_distance = Sub (below, rough_mean)
    rest_of_mean = ReduceMean (rough_distance, time)
    distance = Sub (rough_distance, rest_of_mean)
    distance_squared = Mul (distance, distance)
    plain_variance = ReduceMean (distance_squared, time)
    epsilon_value = Constant <value_float: float = @epsilon> ()
    variance = Add (plain_variance, epsilon_value)
"""
_EXPONENTIAL = """
    exponential = Exp (below)
"""
_UNITS = {
    "sum_one": "    softmax_unit = ReduceSum (exponential, time)\n",
    "mean_one": "    softmax_unit = ReduceMean (exponential, time)\n",
    "soft_gate": "    softmax_unit = ReduceMean (exponential, time)\n",
    "max_one": "",
}
# Of the scale average: the sum of each component over the video.
_SUMS = {
    "local_gaussian": """
    local_gaussian_total = ReduceSum (local_gaussian, time)
    local_gaussian_sum = Max (local_gaussian_total, smallest)
""",
    "global_gaussian": """
    global_gaussian_total = ReduceSum (global_gaussian, time)
    global_gaussian_sum = Max (global_gaussian_total, smallest)
""",
    "temporal_softmax": "    temporal_softmax_sum = ReduceSum (exponential, time)\n",
}
_COUNT = f"""
    smallest = Constant <value_float = {SMALLEST}> ()
    length = Shape <start = 1, end = 2> (selection_logits)
    count = Cast <to = 1> (length)
"""
# What the gate `product` takes the mean of, and the average the shares: the weights of the scale
# per_frame, max_one.
_PEAKS = {
    "local_gaussian": "local_gaussian",
    "global_gaussian": "global_gaussian",
    "temporal_softmax": "exponential",
}
_PROBABILITIES = {
    "softmax": "    class_probabilities = Softmax <axis = 2> (class_logits)\n",
    "sigmoid": "    class_probabilities = Sigmoid (class_logits)\n",
    "identity": "    class_probabilities = Identity (class_logits)\n",
}
_TOP = """
    per_pick = Constant <value_int: int = @snippets_per_pick> ()
    one = Constant <value_int = 1> ()
    num_snippets = Shape <start = 1, end = 2> (selection_logits)
    rest = Sub (per_pick, one)
    rounded_up = Add (num_snippets, rest)
    num_picks = Div (rounded_up, per_pick)
    picked, places = TopK <axis = 1> (evidence, num_picks)
    pooled = ReduceMean <keepdims = 0> (picked, time)
"""
# log(p / (1 - p)) and log p at the smallest normal float32, and at the largest below 1.
_LOGITS = """
    lowest_logit = Constant <value_float = -87.33654> ()
    highest_logit = Constant <value_float = 16.635532> ()
    evidence = Clip (class_logits, lowest_logit, highest_logit)
"""
_LOG_SOFTMAX = """
    log_probabilities = LogSoftmax <axis = 2> (class_logits)
    lowest_logarithm = Constant <value_float = -87.33654> ()
    evidence = Max (log_probabilities, lowest_logarithm)
"""
_ACTIVATIONS = {"none": "Identity", "sigmoid": "Sigmoid", "softmax": "Softmax <axis = 1>"}


def frame_selection_attributes(rule: SelectionRule) -> Attributes:
    """The options of the node that a plugin in the function's place reads."""
    return (
        weight_attributes(rule)
        | gate_attributes(rule)
        | {"class_activation": rule.class_activation}
    )


def node_attributes(rule: SelectionRule) -> Attributes:
    """All options of the node."""
    score = rule.video_score
    return (
        frame_selection_attributes(rule)
        | attention_attributes(rule)
        | {
            "video_pooling": score.pooling,
            "video_of": score.of,
            "video_activation": score.activation,
            "snippets_per_pick": score.snippets_per_pick,
        }
    )


def input_names(rule: SelectionRule) -> tuple[str, ...]:
    """selection_logits and class_logits (B, T, C), then constants (C)."""
    bias = ("bias",) if rule.video_score.bias else ()
    return ("selection_logits", "class_logits", "mu", "sigma", *bias)


def frame_selection_function(rule: SelectionRule) -> onnx.FunctionProto:
    """The function for one rule, with `input_names`.

    Outputs: scores (B, T, C) and video_scores (B, C). All float32.
    """
    body = _PROBABILITIES[rule.class_activation]
    body += "    time = Constant <value_ints = [1]> ()\n"
    uses_local = "local_gaussian" in rule.components
    uses_softmax = "temporal_softmax" in rule.components
    if uses_local or uses_softmax:
        body += _BELOW
    if uses_local:
        body += _LOCAL
    if uses_softmax:
        body += _EXPONENTIAL
    body += components_text(rule)
    if rule.components and rule.weight_scale == AVERAGE:
        body += _COUNT + "".join(_SUMS[name] for name in rule.components)
        body += average_text(rule, _PEAKS, "count")
    elif rule.components:
        body += _UNITS[rule.softmax_scale] if uses_softmax else ""
        body += per_frame_text(rule)
    body += scores_text(rule, _PEAKS) + _video_text(rule)
    signature = (
        f"{NAME} <{', '.join(node_attributes(rule))}>"
        f" ({', '.join(input_names(rule))}) => (scores, video_scores)"
    )
    return parsed_function(signature, body)


def _video_text(rule: SelectionRule) -> str:
    """`video_scores` from `scores`, or from `weight` and what it pools."""
    score = rule.video_score
    if score.pooling == "frame_scores":
        return "    video_scores = ReduceMean <keepdims = 0> (scores, time)\n"
    text = _evidence_text(rule, score)
    if score.pooling == "top":
        text += _TOP
    elif rule.components:
        text += "    weighted = Mul (weight, evidence)\n"
        text += "    pooled = ReduceMean <keepdims = 0> (weighted, time)\n"
    else:
        text += "    pooled = ReduceMean <keepdims = 0> (evidence, time)\n"
    shifted = "pooled"
    if score.bias:
        shifted = "shifted"
        text += "    shifted = Add (pooled, bias)\n"
    return text + f"    video_scores = {_ACTIVATIONS[score.activation]} ({shifted})\n"


def _evidence_text(rule: SelectionRule, score: VideoScore) -> str:
    """What is pooled: class probabilities, or the logits that a host can tell from these.

    Of a softmax that is log p. Near 0 and 1 they are cut as `wsgn.localization.scoring` cuts
    probabilities, so that a graph and a host pool the same numbers.
    """
    if score.of == "probabilities":
        return "    evidence = Identity (class_probabilities)\n"
    if rule.class_activation == "softmax":
        return _LOG_SOFTMAX
    if rule.class_activation == "sigmoid":
        return _LOGITS
    return "    evidence = Identity (class_logits)\n"
