"""The fused kernel in a plan, in the place of `wsgn::FrameSelection`: opt-in, whole-video graphs.

The kernel is compiled by `wsgn.kernels.ahead_of_time.tensorrt_plugin`, which is named here and
imported nowhere: no neighbour of wsgn imports another.
"""

from __future__ import annotations

import importlib
from dataclasses import replace

import onnx
from onnx import helper

from wsgn.errors import EngineError, MissingExtraError, UsageError
from wsgn.export.graphs.frame_selection import NAME
from wsgn.export.plan.input import PlanInput
from wsgn.export.plan.target import Target

# What the parser asks a node for before it takes a plugin in place of its function.
_NAMESPACE_ATTRIBUTE, _NAMESPACE = "plugin_namespace", "wsgn"


def with_plugin(source: PlanInput) -> PlanInput:
    """The same file with its selection marked for the plugin. Raises `UsageError`."""
    rule = source.manifest.selection
    if source.manifest.graph != "whole-video":
        raise UsageError(
            f"--plugin is for whole-video graphs, '{source.path}' holds the "
            f"{source.manifest.graph} graph: leave it out, or export with --graph whole-video."
        )
    if not rule.components or rule.softmax_scale == "soft_gate":
        raise UsageError(
            "--plugin has no kernel for a selection without components or with the scale "
            "soft_gate: leave it out."
        )
    document = onnx.ModelProto.FromString(source.for_tensorrt)
    for node in document.graph.node:
        if node.op_type == NAME:
            node.attribute.append(helper.make_attribute(_NAMESPACE_ATTRIBUTE, _NAMESPACE))
    return replace(source, for_tensorrt=document.SerializeToString())


def register_plugin(target: Target) -> None:
    """Let the library's parser take the plugin. Raises `EngineError` where it cannot."""
    if target.gpu is None:
        raise EngineError(
            f"--plugin compiles for the GPU of this machine, and {target.why_not_run}."
        )
    try:
        plugin = importlib.import_module("wsgn.kernels.ahead_of_time.tensorrt_plugin")
    except ImportError as error:
        raise MissingExtraError(f"The plugin ({error.name})", "train") from error
    plugin.register(target.library, target.gpu.compute_capability)
