"""`wsgn::FrameSelection`: the scores of whole videos as a function inside the ONNX document."""

from __future__ import annotations

import onnx

from wsgn.export.graphs.selection_function import (
    Attributes,
    parsed_function,
    weight_attributes,
    weight_text,
)
from wsgn.manifest import SelectionRule

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
_PROBABILITIES = {
    "softmax": "    class_probabilities = Softmax <axis = 2> (class_logits)\n",
    "sigmoid": "    class_probabilities = Sigmoid (class_logits)\n",
}


def frame_selection_attributes(rule: SelectionRule) -> Attributes:
    """The options of the node, which a plugin in the function's place reads."""
    return weight_attributes(rule) | {
        "weight_scale": rule.weight_scale,
        "class_activation": rule.class_activation,
        "gate": rule.gate,
        "gate_level": rule.gate_level,
    }


def frame_selection_function(rule: SelectionRule) -> onnx.FunctionProto:
    """The function for one rule.

    Inputs: selection_logits and class_logits (B, T, C), mu and sigma (C). Outputs: scores (B, T, C)
    and video_scores (B, C). All float32.
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
        body += _EXPONENTIAL + _UNITS[rule.softmax_scale]
    body += weight_text(rule)
    body += "    video_scores = ReduceMean <keepdims = 0> (scores, time)\n"
    signature = (
        f"{NAME} <{', '.join(frame_selection_attributes(rule))}>"
        " (selection_logits, class_logits, mu, sigma) => (scores, video_scores)"
    )
    return parsed_function(signature, body)
