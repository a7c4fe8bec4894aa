"""What the two functions of scores have in common, in ONNX's own text syntax.

The syntax is that of https://onnx.ai/onnx/repo-docs/Syntax.html: one operator a line. The symbols
are those of `wsgn.selection.api`.
"""

from __future__ import annotations

import onnx
from onnx import parser

from wsgn.manifest import GATE_HALF, SOFT_GATE, SelectionRule

DOMAIN = "wsgn"
# Later ones have operators that some versions of ONNX Runtime's CUDA provider lack (docs/gpu.md).
OPSET = 18
# The type that ONNX's text gives to an attribute's value.
Attributes = dict[str, int | float | str]

# The smallest float32: below every logit, and exp(it - a logit) is 0.
LOWEST = "-3.4028234e38"

_LOCAL_GAUSSIAN = """
    squared_distance = Mul (distance, distance)
    local_ratio = Div (squared_distance, variance)
    local_exponent = Neg (local_ratio)
    local_gaussian = Exp (local_exponent)
"""
_GLOBAL_GAUSSIAN = """
    global_offset = Sub (selection_logits, mu)
    global_distance = Div (global_offset, sigma)
    squared_global_distance = Mul (global_distance, global_distance)
    global_exponent = Neg (squared_global_distance)
    global_gaussian = Exp (global_exponent)
"""
_PLAIN_SOFTMAX = """
    temporal_softmax = Div (exponential, softmax_unit)
"""
_MAX_ONE = """
    temporal_softmax = Identity (exponential)
"""
_SOFT_GATE = f"""
    mean_one = Div (exponential, softmax_unit)
    gate_half = Constant <value_float = {GATE_HALF}> ()
    gate_width = Add (mean_one, gate_half)
    temporal_softmax = Div (mean_one, gate_width)
"""


def weight_attributes(rule: SelectionRule) -> Attributes:
    """The options of a weight as a node says them, for whoever puts a plugin in its place."""
    return {
        "use_local": int("local_gaussian" in rule.components),
        "use_global": int("global_gaussian" in rule.components),
        "use_softmax": int("temporal_softmax" in rule.components),
        "softmax_scale": rule.softmax_scale,
        "epsilon": rule.variance_epsilon,
    }


def weight_text(rule: SelectionRule) -> str:
    """`scores` from `class_probabilities` and, for the components in use, from

    local_gaussian    `distance` from the mean, and `variance` with epsilon
    global_gaussian   `selection_logits`, `mu`, `sigma`
    temporal_softmax  `exponential`, and but for max_one `softmax_unit`: its sum or its mean
    """
    if not rule.components:
        return "    scores = Identity (class_probabilities)\n"
    text = ""
    if "local_gaussian" in rule.components:
        text += _LOCAL_GAUSSIAN
    if "global_gaussian" in rule.components:
        text += _GLOBAL_GAUSSIAN
    if "temporal_softmax" in rule.components:
        text += {SOFT_GATE: _SOFT_GATE, "max_one": _MAX_ONE}.get(rule.softmax_scale, _PLAIN_SOFTMAX)
    return (
        text
        + f"""
    weight = Mean ({", ".join(rule.components)})
    scores = Mul (weight, class_probabilities)
"""
    )


def parsed_function(signature: str, body: str) -> onnx.FunctionProto:
    """A function of DOMAIN on operators of OPSET; every node has a name of its own."""
    text = f'<opset_import: ["" : {OPSET}], domain: "{DOMAIN}">\n{signature}\n{{\n{body}\n}}'
    function = parser.parse_function(text)
    _name_nodes(function.node, function.name)
    return function


def _name_nodes(nodes: list[onnx.NodeProto], prefix: str) -> None:
    # TensorRT names what has none after its output, which is the calling node's name as well.
    for node in nodes:
        node.name = f"{prefix}.{node.output[0]}"
        for attribute in node.attribute:
            _name_nodes(attribute.g.node, node.name)
