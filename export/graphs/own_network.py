"""A user's own ONNX network inside an exported graph, in place of the node that stands for it."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper
from torch import nn

from wsgn.backbones.config import OnnxConfig
from wsgn.backbones.onnx_file import OnnxNetwork
from wsgn.backbones.onnx_network import DOMAIN, OnnxBackbone

# Before every name of the network; weights that begin so are a backbone's (see half).
_PREFIX = "front.network."


def put_in_networks(document: onnx.ModelProto, graph: nn.Module) -> None:
    """Put the nodes and weights of the graph's ONNX backbone where its one node stands."""
    places = [node for node in document.graph.node if node.domain == DOMAIN]
    backbones = [module for module in graph.modules() if isinstance(module, OnnxBackbone)]
    for node, backbone in zip(places, backbones, strict=True):
        _replace(document, node, backbone)
    if not places:
        return
    kept = [one for one in document.opset_import if one.domain != DOMAIN]
    document.ClearField("opset_import")
    document.opset_import.extend(kept)


def _replace(document: onnx.ModelProto, place: NodeProto, backbone: OnnxBackbone) -> None:
    network, outer = backbone.network, document.graph
    renamed = _renamed(network, place, backbone.config)
    nodes: list[NodeProto] = []
    for node in outer.node:
        nodes += renamed.node if node == place else [node]
    outer.ClearField("node")
    outer.node.extend(nodes)
    outer.initializer.extend(renamed.initializer)


def _renamed(network: OnnxNetwork, place: NodeProto, config: OnnxConfig) -> onnx.GraphProto:
    """The network's graph with names of its own, between the place's input and output."""
    graph = onnx.GraphProto()
    graph.CopyFrom(network.document.graph)
    pooled = config.place_axes > 0
    inside = f"{_PREFIX}{network.output_name}" if pooled else place.output[0]
    names = {network.input_name: place.input[0], network.output_name: inside}
    for node in graph.node:
        node.name = f"{_PREFIX}{node.name or node.output[0]}"
        for values in (node.input, node.output):
            values[:] = [names.get(name, f"{_PREFIX}{name}") if name else "" for name in values]
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, f"{_PREFIX}{tensor.name}")
    if pooled:
        axis_numbers = np.arange(2, 2 + config.place_axes, dtype=np.int64)
        axes = numpy_helper.from_array(axis_numbers, f"{_PREFIX}places")
        graph.initializer.append(axes)
        mean = helper.make_node(
            "ReduceMean", [inside, axes.name], [place.output[0]], f"{_PREFIX}mean", keepdims=0
        )
        graph.node.append(mean)
    return graph
