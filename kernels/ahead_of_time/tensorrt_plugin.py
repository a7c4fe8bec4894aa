"""A TensorRT plugin for `wsgn::FrameSelection`, made from the Triton kernels and baked into plans.

Opt-in: the node's function of standard operators is the default. Nothing of this module is needed
where a plan runs, since the plan holds the kernel's PTX. TensorRT lets a plugin launch one kernel,
with integers as extra arguments, so this is `single_kernel.score_videos`, compiled for the number
of classes and the options of the node. With changing shapes TensorRT loads the PTX anew and keeps
what it had (https://github.com/NVIDIA/TensorRT/issues/4849): give such a plan one shape.

The parser takes the plugin for a node with the attribute `plugin_namespace` = NAMESPACE, in a
network that was created with NETWORK_FLAG.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import replace
from types import GenericAlias
from typing import Any

from wsgn.engines.tensorrt.library import Library
from wsgn.errors import EngineError, UsageError
from wsgn.manifest import COMPONENTS

from .bundle import options_for
from .plugin_kernel import compile_plugin_kernel

NAMESPACE = "wsgn"
PLUGIN = f"{NAMESPACE}::FrameSelection"
# Of NetworkDefinitionCreationFlag.
NETWORK_FLAG = "PREFER_AOT_PYTHON_PLUGINS"
# The node's attributes, as export/graphs/frame_selection.py writes them. The parser passes those
# that the node has, so it must have all.
ATTRIBUTES = {
    "use_local": int,
    "use_global": int,
    "use_softmax": int,
    "softmax_scale": str,
    "weight_scale": str,
    "class_activation": str,
    "gate": str,
    "gate_level": float,
    "epsilon": float,
}
# Selection and class logits (B, T, C), mu and sigma (C); then scores (B, T, C) and (B, C).
_INPUTS = ("selection_logits", "class_logits", "mu", "sigma")
_NUM_OUTPUTS = 2


@functools.cache
def register(library: Library, compute_capability: tuple[int, int]) -> None:
    """Let the library's ONNX parser take the plugin, compiled for GPUs of this capability.

    Raises:
        EngineError: the library takes no plugin, or has one for another GPU in this process.
    """
    if library.name != "tensorrt":
        raise EngineError(
            f"{library.title} takes no Python plugin (it would end the process): build without "
            "the plugin, or with TensorRT."
        )
    try:
        plugins = importlib.import_module("tensorrt.plugin")
    except ImportError as error:
        raise EngineError(
            f"{library.title} has no module tensorrt.plugin ({error}): install the package "
            "tensorrt 10.13 or later, or build without the plugin."
        ) from error
    if not hasattr(plugins, "aot_impl"):
        raise EngineError(
            f"{library.title} takes no plugin that is compiled ahead of time: install TensorRT "
            "10.13 or later, or build without the plugin."
        )
    try:
        plugins.register(PLUGIN)(_describe(plugins))
        plugins.autotune(PLUGIN)(_autotune(plugins))
        plugins.aot_impl(PLUGIN)(_compile(plugins, compute_capability))
    except ValueError as error:
        raise EngineError(
            f"{library.title} does not take the plugin {PLUGIN} ({error}): build without it; for "
            "several GPUs, build each plan in a process of its own."
        ) from error


def _describe(plugins: Any) -> Callable[..., Any]:
    """Shapes and types of the outputs."""

    def describe(
        selection_logits: Any,
        class_logits: Any,
        mu: Any,
        sigma: Any,
        use_local: Any,
        use_global: Any,
        use_softmax: Any,
        softmax_scale: Any,
        weight_scale: Any,
        class_activation: Any,
        gate: Any,
        gate_level: Any,
        epsilon: Any,
    ) -> Any:
        videos, _, classes = selection_logits.shape_expr
        video_scores = plugins.from_shape_expr((videos, classes), selection_logits.dtype)
        return selection_logits.like(), video_scores

    return _annotated(describe, plugins, {"return": _outputs_of(plugins)})


def _autotune(plugins: Any) -> Callable[..., Any]:
    """The types and formats that the kernel knows."""

    def autotune(
        selection_logits: Any, class_logits: Any, mu: Any, sigma: Any, outputs: Any
    ) -> Any:
        types = ", ".join(["FP32"] * (len(_INPUTS) + _NUM_OUTPUTS))
        return [plugins.AutoTuneCombination(types, "LINEAR")]

    result = GenericAlias(list, (plugins.AutoTuneCombination,))
    return _annotated(
        autotune, plugins, {"outputs": _outputs_of(plugins), "return": result}, attributes=False
    )


def _compile(plugins: Any, compute_capability: tuple[int, int]) -> Callable[..., Any]:
    """The kernel, its launch and its integer."""

    def compile_kernel(
        selection_logits: Any,
        class_logits: Any,
        mu: Any,
        sigma: Any,
        use_local: int,
        use_global: int,
        use_softmax: int,
        softmax_scale: str,
        weight_scale: str,
        class_activation: str,
        gate: str,
        gate_level: float,
        epsilon: float,
        outputs: Any,
        tactic: int,
    ) -> Any:
        videos, snippets, classes = selection_logits.shape_expr
        if not classes.is_constant:
            raise UsageError("the plugin needs a fixed number of classes, the network's is not.")
        flags = (use_local, use_global, use_softmax)
        options = options_for(
            classes.constant_value(),
            components=[name for name, used in zip(COMPONENTS, flags, strict=True) if used],
            softmax_scale=softmax_scale.strip("\0"),
            class_activation=class_activation.strip("\0"),
            weight_scale=weight_scale.strip("\0"),
            gate=gate.strip("\0"),
        )
        options = replace(options, epsilon=epsilon, gate_level=gate_level)
        major, minor = compute_capability
        kernel = compile_plugin_kernel(options, 10 * major + minor)
        launch = plugins.KernelLaunchParams(
            grid_x=videos, block_x=kernel.num_threads, shared_mem=kernel.shared_bytes
        )
        integers = plugins.SymIntExprs(1)
        integers[0] = plugins.SymInt32(snippets)
        return kernel.name, kernel.ptx, launch, integers

    result = GenericAlias(tuple, (str, str, plugins.KernelLaunchParams, plugins.SymIntExprs))
    return _annotated(
        compile_kernel, plugins, {"outputs": _outputs_of(plugins), "tactic": int, "return": result}
    )


def _outputs_of(plugins: Any) -> GenericAlias:
    """The type of the outputs' descriptions."""
    return GenericAlias(tuple, (plugins.TensorDesc,) * _NUM_OUTPUTS)


def _annotated(
    function: Callable[..., Any], plugins: Any, more: dict[str, Any], *, attributes: bool = True
) -> Callable[..., Any]:
    """TensorRT reads the signature; its types are known only once the library is loaded."""
    inputs = dict.fromkeys(_INPUTS, plugins.TensorDesc)
    function.__annotations__ = {**inputs, **(ATTRIBUTES if attributes else {}), **more}
    return function
