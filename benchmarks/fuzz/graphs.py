"""ONNX graphs that no exporter of this project makes, with the manifest of one that it made.

A graph that computes for ever, or asks for all memory, is no case: what an engine costs is its
maker's to say (docs/manifest.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from benchmarks.fuzz.case import Case, Draw, Surface
from benchmarks.fuzz.engines import (
    ENGINE,
    demo_manifest,
    demo_model,
    demo_words,
    whole_engine,
    with_manifest,
)
from benchmarks.fuzz.of_tests import field
from benchmarks.fuzz.videos import read_events

_NUM_CLASSES = 7
_SHAPE: tuple[str | int, ...] = ("N", 8, 48, 64, 3)
# Numbers of fields in onnx.proto.
_GRAPH, _NODE, _OUTPUT, _ATTRIBUTE, _GRAPH_OF_ATTRIBUTE = 7, 1, 12, 5, 6
_OUTPUTS = ("selection_logits", "class_probabilities")


def _model(
    nodes: list[Any],
    *,
    initializers: list[Any] | None = None,
    inputs: list[Any] | None = None,
    outputs: list[Any] | None = None,
    opset: int = 18,
    **more: Any,
) -> Any:
    frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, _SHAPE)
    usual = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", None]) for name in _OUTPUTS
    ]
    graph = helper.make_graph(
        nodes, "crafted", [frames] if inputs is None else inputs,
        usual if outputs is None else outputs, initializers or [],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, **more)


def _array(name: str, values: Any, kind: Any = np.float32) -> Any:
    return numpy_helper.from_array(np.asarray(values, dtype=kind), name)


def _linear(logits: Any, *, num_classes: int = _NUM_CLASSES) -> tuple[list[Any], list[Any]]:
    """Nodes and initializers: the mean of the frames times some weights, and a softmax of that."""
    nodes = [
        helper.make_node("Cast", ["frames"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "last"], ["column"]),
        helper.make_node("MatMul", ["column", "weights"], [_OUTPUTS[0]]),
        helper.make_node("Softmax", [_OUTPUTS[0]], [_OUTPUTS[1]], axis=-1),
    ]
    weights = np.broadcast_to(np.asarray(logits, np.float32), (1, num_classes))
    axes = _array("axes", [1, 2, 3, 4], np.int64)
    return nodes, [axes, _array("last", [1], np.int64), _array("weights", weights)]


def _values(draw: Draw) -> Any:
    number = draw.choice((float("nan"), float("inf"), float("-inf"), 3e38, -3e38, 1e-40, 0.0, 1.0))
    nodes, initializers = _linear([number])
    return _model(nodes, initializers=initializers)


def _classes(draw: Draw) -> Any:
    nodes, initializers = _linear([0.01], num_classes=draw.choice((1, 6, 8, 100, 10_000)))
    return _model(nodes, initializers=initializers)


def _rows(draw: Draw) -> Any:
    nodes, initializers = _linear([0.01])
    nodes[3].output[0] = nodes[4].input[0] = "all"
    kind = draw.randrange(4)
    if kind == 0:
        nodes.append(helper.make_node("Transpose", ["all"], [_OUTPUTS[0]]))
    elif kind == 1:
        nodes.append(helper.make_node("Concat", ["all", "all"], [_OUTPUTS[0]], axis=0))
    elif kind == 2:
        nodes.append(helper.make_node("ReduceMean", ["all"], [_OUTPUTS[0]], keepdims=0))
    else:
        nodes.append(helper.make_node("Unsqueeze", ["all", "last"], [_OUTPUTS[0]]))
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in _OUTPUTS]
    return _model(nodes, initializers=initializers, outputs=outputs)


def _kinds(draw: Draw) -> Any:
    kind = draw.choice(
        (TensorProto.DOUBLE, TensorProto.INT64, TensorProto.FLOAT16, TensorProto.BOOL)
    )
    nodes, initializers = _linear([0.01])
    nodes[3].output[0] = nodes[4].input[0] = "all"
    nodes.append(helper.make_node("Cast", ["all"], [_OUTPUTS[0]], to=kind))
    outputs = [
        helper.make_tensor_value_info(name, number, ["N", _NUM_CLASSES])
        for name, number in zip(_OUTPUTS, (kind, TensorProto.FLOAT), strict=True)
    ]
    return _model(nodes, initializers=initializers, outputs=outputs)


def _names(draw: Draw) -> Any:
    nodes, initializers = _linear([0.01])
    model = _model(nodes, initializers=initializers)
    graph = model.graph
    kind = draw.randrange(6)
    if kind == 0:
        del graph.output[draw.randrange(2)]
    elif kind == 1:
        del graph.input[0]
    elif kind == 2:
        graph.output[1].name = draw.choice(("", "selection_logits", "x", "\u202e"))
    elif kind == 3:
        extra = helper.make_tensor_value_info("more", TensorProto.FLOAT, ["N"])
        graph.input.append(extra)
    elif kind == 4:
        graph.input[0].name = "frames\n"
    else:
        del graph.node[:]
    return model


def _inputs(draw: Draw) -> Any:
    nodes, initializers = _linear([0.01])
    kind = draw.choice((TensorProto.FLOAT, TensorProto.INT8, TensorProto.STRING, TensorProto.UINT8))
    shape: Any = draw.choice(
        (["N", 8, 48, 64, 3], [1, 8, 48, 64, 3], [2**40, 8, 48, 64, 3], [0, 8, 48, 64, 3],
         ["N", 9, 48, 64, 3], ["N", 3, 8, 48, 64], ["N"], [], None, ["N", -1, -1, -1, -1])
    )  # fmt: skip
    inputs = [helper.make_tensor_value_info("frames", kind, shape)]
    return _model(nodes, initializers=initializers, inputs=inputs)


def _outside(draw: Draw) -> Any:
    nodes, initializers = _linear([0.01])
    weights = initializers[2]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (
        ("location", draw.choice(("/etc/passwd", "../x", "weights", "", "/dev/zero", "\u202e"))),
        ("offset", draw.choice(("0", "-1", str(2**63), "x"))),
        ("length", draw.choice(("28", "-1", str(2**63), ""))),
    ):
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    return _model(nodes, initializers=initializers)


def _sizes(draw: Draw) -> Any:
    nodes, initializers = _linear([0.01])
    weights = initializers[2]
    del weights.dims[:]
    weights.dims.extend(
        draw.choice(([2**40, 2**40], [-1, 7], [0], [7, 1], [2**62, 2], [1] * 300, [1, 7, 1]))
    )
    if draw.random() < 0.5:
        weights.raw_data = draw.randbytes(draw.choice((0, 1, 27, 29, 1000)))
    weights.data_type = draw.choice((1, 1, 1, 0, 8, 9, 999))
    return _model(nodes, initializers=initializers)


def _operators(draw: Draw) -> Any:
    nodes, initializers = _linear([0.01])
    node = nodes[draw.randrange(len(nodes))]
    kind = draw.randrange(5)
    if kind == 0:
        node.op_type = draw.choice(("", "NoSuchOperator", "If", "Loop", "Scan", "Softmax"))
    elif kind == 1:
        node.domain = draw.choice(("com.microsoft", "x", "ai.onnx.ml", "\u202e"))
    elif kind == 2:
        # A circle.
        node.input[0] = nodes[-1].output[0]
    elif kind == 3:
        node.attribute.append(helper.make_attribute("axis", draw.choice((99, -99, 2**62))))
    else:
        del node.output[:]
    return _model(nodes, initializers=initializers, opset=draw.choice((18, 18, 1, 9999)))


def _functions(draw: Draw) -> Any:
    """A function that calls itself, or has nothing in it."""
    inner = [helper.make_node("f", ["x"], ["y"], domain="own")] if draw.random() < 0.5 else []
    function = helper.make_function(
        "own", "f", ["x"], ["y"], inner,
        [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)],
    )  # fmt: skip
    nodes, initializers = _linear([0.01])
    nodes.append(helper.make_node("f", [_OUTPUTS[0]], ["more"], domain="own"))
    model = _model(nodes, initializers=initializers, functions=[function])
    model.opset_import.append(helper.make_opsetid("own", 1))
    return model


_CRAFTS: tuple[Callable[[Draw], Any], ...] = (
    _values, _classes, _rows, _kinds, _names, _inputs, _outside, _sizes, _operators,
    _functions,
)  # fmt: skip


def _crafted(draw: Draw, bases: Path) -> Case:
    craft = draw.choice(_CRAFTS)
    data = with_manifest(craft(draw), _unsealed())
    return Case(files={ENGINE: data}, words=demo_words(), change=craft.__name__.lstrip("_"))


def _unsealed() -> str:
    """The packaged engine's manifest without the checksum, which is of another graph."""
    manifest = demo_manifest()
    manifest.pop("checksum", None)
    return json.dumps(manifest)


def _nested(draw: Draw, bases: Path) -> Case:
    """Graphs in graphs, deeper than the onnx package writes them."""
    levels = draw.choice((1, 10, 30, 34, 60, 200, 2000))
    node = helper.make_node("Constant", [], ["inner"], value=_array("c", [1.0]))
    content = node.SerializeToString()
    output = field(_OUTPUT, field(1, b"inner"))
    for _ in range(levels):
        graph = field(_NODE, content) + output
        branches = (
            field(_ATTRIBUTE, field(1, name) + field(_GRAPH_OF_ATTRIBUTE, graph) + field(20, 5))
            for name in (b"then_branch", b"else_branch")[: 1 if levels > 10 else 2]
        )
        content = field(1, b"yes") + field(2, b"inner") + field(4, b"If") + b"".join(branches)
    nodes, initializers = _linear([0.01])
    model = _model(nodes, initializers=[*initializers, _array("yes", True, np.bool_)])
    # Fields of one message that comes twice are those of one.
    data = with_manifest(model, _unsealed()) + field(_GRAPH, field(_NODE, content))
    return Case(files={ENGINE: data}, words=demo_words(), change=f"{levels} graphs in graphs")


def _metadata(draw: Draw, bases: Path) -> Case:
    text = json.dumps(demo_manifest())
    kind = draw.choice(("none", "empty", "two", "not text", "other"))
    data = with_manifest(demo_model(), text)
    if kind == "none":
        data = data.replace(b"wsgn.manifest", b"wsgn.manifesT")
    elif kind == "empty":
        data = with_manifest(demo_model(), "")
    elif kind == "two":
        data += data[-(len(text) + 40) :]
    elif kind == "not text":
        data = with_manifest(demo_model(), draw.randbytes(100))
    else:
        data = with_manifest(
            demo_model(), draw.choice(("[]", "null", "1", '"x"', "{}", "{" * 5000))
        )
    return Case(files={ENGINE: data}, words=demo_words(), change=f"metadata: {kind}")


def _either(draw: Draw, bases: Path) -> Case:
    kind = draw.random()
    return (_metadata if kind < 0.1 else _nested if kind < 0.2 else _crafted)(draw, bases)


SURFACES = (
    Surface(name="ONNX crafted", share=50, whole=whole_engine, damaged=_either, read=read_events),
)
