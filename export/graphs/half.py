"""Convolutions in float16, with the heads and everything that averages left in float32."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

# What computes in float16, by its weights; of matrix products only those of a backbone.
_CONVOLUTION = "Conv"
_PRODUCTS = ("Gemm", "MatMul")
# Where the weights of backbones lie. The heads' logits are compared with thresholds: their
# products stay in float32.
_BACKBONES = ("model.backbone.", "front.", "snippets.model.backbone.", "snippets.front.")
# These lose nothing in float16 where what they read is in it already.
_CARRIED = frozenset({"Relu", "MaxPool", "Concat", "Pad", "Add", "Identity", "Reshape"})


def convolutions_in_half(document: onnx.ModelProto) -> None:
    """Let convolutions, and a backbone's fully connected layers, read, hold and give float16.

    Casts stand only where float16 and float32 meet. Inputs and outputs of the graph stay as they
    are. Raises nothing: a graph without convolutions stays as it is.
    """
    _HalfPass(document.graph).run()
    onnx.checker.check_model(document, full_check=True)


class _HalfPass:
    """One walk over the nodes, which an ONNX graph keeps in the order of their dependence."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        # Values that are float16 now, and casts that exist: (value, type) -> name.
        self._half: set[str] = set()
        self._casts: dict[tuple[str, int], str] = {}
        self._nodes: list[NodeProto] = []

    def run(self) -> None:
        """Rewrite the graph."""
        for node in list(self._graph.node):
            if self._computes_in_half(node):
                self._put_half(node)
            else:
                self._put_single(node)
        outputs = {value.name for value in self._graph.output}
        assert not outputs & self._half, "the heads are in float32"
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)
        used = {name for node in self._nodes for name in node.input}
        kept = [tensor for tensor in self._constants.values() if tensor.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)

    def _computes_in_half(self, node: NodeProto) -> bool:
        if node.op_type == _CONVOLUTION:
            return True
        if node.op_type in _PRODUCTS:
            return any(
                name in self._constants and name.startswith(_BACKBONES) for name in node.input
            )
        values = [name for name in node.input if name and name not in self._constants]
        return node.op_type in _CARRIED and bool(values) and self._half.issuperset(values)

    def _put_half(self, node: NodeProto) -> None:
        for index, name in enumerate(node.input):
            if name in self._constants:
                node.input[index] = self._half_constant(name)
            elif name and name not in self._half:
                node.input[index] = self._cast(name, TensorProto.FLOAT16)
        self._half.update(node.output)
        self._nodes.append(node)

    def _put_single(self, node: NodeProto) -> None:
        for index, name in enumerate(node.input):
            if name in self._half:
                node.input[index] = self._cast(name, TensorProto.FLOAT)
        self._nodes.append(node)

    def _cast(self, name: str, to: int) -> str:
        if (name, to) not in self._casts:
            result = f"{name}_{'half' if to == TensorProto.FLOAT16 else 'single'}"
            self._nodes.append(helper.make_node("Cast", [name], [result], to=to))
            self._casts[name, to] = result
        return self._casts[name, to]

    def _half_constant(self, name: str) -> str:
        """The float16 form of a float32 constant; others (shapes, pads) are what they are."""
        tensor = self._constants[name]
        if tensor.data_type != TensorProto.FLOAT:
            return name
        half = f"{name}_half"
        if half not in self._constants:
            values = numpy_helper.to_array(tensor)
            with np.errstate(over="ignore"):
                added = numpy_helper.from_array(values.astype(np.float16), half)
            self._constants[half] = added
        return half
