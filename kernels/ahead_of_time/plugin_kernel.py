"""`single_kernel.score_videos` compiled to the PTX that a TensorRT plugin takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import triton
from triton.backends.compiler import GPUTarget

from wsgn.manifest import ACTIVATIONS, GATES
from wsgn.selection.reference import Options

from ..single_kernel import score_videos
from ..tiles import LANES
from . import ptx
from .bundle import PTX_VERSION, without_source_lines
from .compiled import check_ahead_of_time

# Twice those of a chunk, since a video has only this program.
WARPS = 8
# Snippets that a warp holds in the two walks for statistics; in the third it holds whole rows.
_HELD = 4
# TensorRT passes inputs, then integers, then outputs. It promises no alignment, so none is assumed.
_SIGNATURE = {
    "x_ptr": "*fp32",
    "h_ptr": "*fp32",
    "mu_ptr": "*fp32",
    "sigma_ptr": "*fp32",
    "num_snippets": "i32",
    "scores_ptr": "*fp32",
    "video_scores_ptr": "*fp32",
}


@dataclass(frozen=True, kw_only=True)
class PluginKernel:
    """PTX without Triton's own pointers, and how it is launched: one program for each video."""

    name: str
    ptx: str
    num_threads: int
    shared_bytes: int


def constants_for(options: Options) -> dict[str, int | bool | float]:
    """What the kernel is specialised on."""
    return {
        "C": options.num_classes,
        "TILES": -(-options.num_classes // int(LANES.value)),
        "HELD": _HELD,
        "WARPS": WARPS,
        "LOCAL": options.use_local,
        "GLOBAL": options.use_global,
        "SOFTMAX": options.use_softmax,
        "MAX_ONE": options.max_one,
        "MEAN_ONE": options.mean_one,
        "AVERAGE": options.average,
        "ACTIVATION": ACTIVATIONS.index(options.class_activation),
        "GATE": GATES.index(options.gate),
        "GATE_LEVEL": options.gate_level,
        "EPSILON": options.epsilon,
    }


def compile_plugin_kernel(options: Options, capability: int) -> PluginKernel:
    """For one compute capability, such as 90."""
    found = compile_single_kernel(options, capability)
    text: str = found.asm["ptx"]
    types = ptx.parameter_types(text)
    assert len(types) == len(_SIGNATURE) + ptx.NUM_SCRATCH, types
    return PluginKernel(
        name=found.metadata.name,
        ptx=ptx.without_scratch(text),
        num_threads=found.metadata.num_warps * 32,
        shared_bytes=found.metadata.shared,
    )


def compile_single_kernel(options: Options, capability: int) -> Any:
    """Triton's result, with machine code."""
    check_ahead_of_time()
    constants = constants_for(options)
    names: list[str] = score_videos.arg_names
    source = triton.compiler.ASTSource(
        fn=score_videos,
        signature={name: _SIGNATURE.get(name, "constexpr") for name in names},
        constexprs={(index,): constants[name] for index, name in enumerate(names)
                    if name in constants},
    )  # fmt: skip
    with without_source_lines():
        return triton.compile(
            source,
            target=GPUTarget("cuda", capability, 32),
            options={"num_warps": WARPS, "enable_fp_fusion": True, "ptx_version": PTX_VERSION},
        )
