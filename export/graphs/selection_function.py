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
# The smallest float32 of full precision. A sum is at least this where something is divided by it:
# far from mu the global Gaussian is 0 in float32, and so is its weight then.
SMALLEST = "1.1754944e-38"

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
_ATTENTION = """
    attention = Sigmoid (selection_logits)
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
_LEVEL = "    level = Constant <value_float: float = @gate_level> ()\n"
# `gate` from `weight`; only under the scale average `product` too, from `peak_*`.
_GATES = {
    "none": "    gate = Identity (weight)\n",
    "cut": "    most = Constant <value_float = 1.0> ()\n    gate = Min (weight, most)\n",
    "soft": f"{_LEVEL}    reach = Add (weight, level)\n    gate = Div (weight, reach)\n",
    "hard": f"{_LEVEL}    is_open = GreaterOrEqual (weight, level)\n"
    "    gate = Cast <to = 1> (is_open)\n",
}


def weight_attributes(rule: SelectionRule) -> Attributes:
    """The options of a weight as a node says them, for whoever puts a plugin in its place."""
    return {
        "use_local": int("local_gaussian" in rule.components),
        "use_global": int("global_gaussian" in rule.components),
        "use_softmax": int("temporal_softmax" in rule.components),
        "softmax_scale": rule.softmax_scale,
        "epsilon": rule.variance_epsilon,
    }


def gate_attributes(rule: SelectionRule) -> Attributes:
    """What the weight is scaled to, and its gate, likewise."""
    return {"weight_scale": rule.weight_scale, "gate": rule.gate, "gate_level": rule.gate_level}


def attention_attributes(rule: SelectionRule) -> Attributes:
    """What the plugin does not know."""
    return {"use_attention": int("attention" in rule.components)}


def components_text(rule: SelectionRule) -> str:
    """`local_gaussian`, `global_gaussian` and `attention`, as far as they are in use, from

    local_gaussian    `distance` from the mean, and `variance` with epsilon
    global_gaussian   `selection_logits`, `mu`, `sigma`; it gives `global_exponent` too
    """
    text = ""
    if "local_gaussian" in rule.components:
        text += _LOCAL_GAUSSIAN
    if "global_gaussian" in rule.components:
        text += _GLOBAL_GAUSSIAN
    if "attention" in rule.components:
        text += _ATTENTION
    return text


def per_frame_text(rule: SelectionRule) -> str:
    """`weight` of the scale per_frame, from the components and

    temporal_softmax  `exponential`, and but for max_one `softmax_unit`: its sum or its mean
    """
    text = ""
    if "temporal_softmax" in rule.components:
        text = {SOFT_GATE: _SOFT_GATE, "max_one": _MAX_ONE}.get(rule.softmax_scale, _PLAIN_SOFTMAX)
    return text + f"    weight = Mean ({', '.join(rule.components)})\n"


def average_text(rule: SelectionRule, values: dict[str, str], count: str) -> str:
    """`weight` of the scale average: each component over its mean, from `..._sum` and the count."""
    text = "".join(
        f"    {name}_share = Div ({values[name]}, {name}_sum)\n" for name in rule.components
    )
    shares = ", ".join(f"{name}_share" for name in rule.components)
    return text + f"    share = Mean ({shares})\n    weight = Mul (share, {count})\n"


def scores_text(rule: SelectionRule, peak: dict[str, str]) -> str:
    """`scores` from `class_probabilities` and, where there are components, `weight`.

    `peak` names what the gate `product` takes the mean of instead of the weight.
    """
    value = "class_probabilities"
    text = ""
    if rule.class_activation == "identity":
        value = "activation"
        text = "    activation = Relu (class_probabilities)\n"
    if not rule.components and rule.gate in ("none", "cut", "product"):
        return text + f"    scores = Identity ({value})\n"
    if not rule.components:
        text += "    weight = Constant <value_float = 1.0> ()\n"
    if rule.gate == "product":
        text += f"    gate = Mean ({', '.join(peak[name] for name in rule.components)})\n"
    else:
        text += _GATES[rule.gate]
    return text + f"    scores = Mul (gate, {value})\n"


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
