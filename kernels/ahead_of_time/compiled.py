"""The kernels compiled for GPUs that are not there, and what their machine code shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget

from wsgn.selection.reference import Inputs, Options

from .. import launch
from ..describe_kernels import describe_chunks
from ..launch import Plan
from ..tiles import LANES
from ..versions import OLDEST_AHEAD_OF_TIME, require_triton
from .sass import MachineCode, read_cubin

# Any batch compiles the same kernels; this one is small.
_OFFSETS = (0, 100, 300)
_DTYPES = (torch.bfloat16, torch.float32)
_CLASSES = (157, 20)


@dataclass(frozen=True, kw_only=True)
class KernelReport:
    """One kernel for one GPU; the counts are of its walk over the batch, for one lane."""

    kernel: str
    # Compute capability: 80, 90, 100.
    target: int
    # Of the logits.
    dtype: str
    num_classes: int
    registers: int
    spilled_bytes: int
    shared_bytes: int
    # Widest load from global memory inside the walk, and its waits for other warps.
    load_bits: int
    barriers: int
    # Issued by a lane for an element (n, c) of the batch, columns beyond C included; NaN for
    # kernels that walk over chunks, whose work is a small fraction of the others'.
    instructions_per_element: float
    special_functions_per_element: float


class _AbsentGPU:
    """As much of a Triton driver as compiling asks for."""

    def __init__(self, capability: int) -> None:
        self._capability = capability

    def get_current_device(self) -> int:
        # Triton keeps what it compiled by device.
        return self._capability

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self._capability, 32)


@contextmanager
def absent_gpu(capability: int) -> Iterator[None]:
    """Compile for a GPU of this compute capability that need not be there."""
    config = triton.runtime.driver
    # Its attributes are others in other versions, and looking for a GPU raises where none is.
    earlier = dict(vars(config))
    config.set_active(_AbsentGPU(capability))
    try:
        yield
    finally:
        vars(config).clear()
        vars(config).update(earlier)


def example_inputs(
    dtype: torch.dtype,
    num_classes: int,
    *,
    width: int | None = None,
    offsets: Sequence[int] = _OFFSETS,
) -> Inputs:
    """A batch to compile for; its values are not looked at."""
    x = torch.zeros(offsets[-1], width or num_classes, dtype=dtype)
    return Inputs(
        x=x,
        h=x.clone(),
        cu_seqlens=torch.tensor(offsets),
        mu=torch.zeros(num_classes),
        sigma=torch.ones(num_classes),
    )


def check_compiles() -> None:
    """Raise inside Triton's interpreter, which compiles nothing."""
    if not isinstance(describe_chunks, triton.JITFunction):
        raise RuntimeError("kernels cannot be compiled with TRITON_INTERPRET set: unset it.")


def check_ahead_of_time() -> None:
    """Raise where nothing that runs elsewhere can be compiled."""
    check_compiles()
    require_triton(OLDEST_AHEAD_OF_TIME, "compiling kernels ahead of time", "2.11")


def compile_report(
    targets: Sequence[int] = (80, 90, 100),
    dtypes: Sequence[torch.dtype] = _DTYPES,
    classes: Sequence[int] = _CLASSES,
    *,
    weight_scale: str = "per_frame",
) -> tuple[KernelReport, ...]:
    """Forward and one-pass backward with all components, softmax and mean-one or averaged.

    Raises:
        RuntimeError: inside Triton's interpreter, which compiles nothing.
    """
    reports = []
    for target in targets:
        for dtype in dtypes:
            for num_classes in classes:
                kernels = compile_kernels(target, dtype, num_classes, weight_scale=weight_scale)
                for name, code in kernels.items():
                    reports.append(_report(name, target, dtype, num_classes, code))
    return tuple(reports)


def compile_kernels(
    target: int,
    dtype: torch.dtype,
    num_classes: int,
    *,
    width: int | None = None,
    softmax_scale: str = "mean_one",
    class_activation: str = "softmax",
    weight_scale: str = "per_frame",
    frame_gradient: bool = False,
    offsets: Sequence[int] = _OFFSETS,
) -> dict[str, MachineCode]:
    """Machine code by name of kernel, from the very launches of a training step."""
    check_compiles()
    compiled: dict[str, MachineCode] = {}

    def compile_only(
        kernel: Any, grid: tuple[int, ...], *arguments: object, **constants: Any
    ) -> None:
        name = kernel.__name__
        if frame_gradient and constants.get("WEIGHTED") and name != "gradients":
            name += "_weighted"
        found = kernel.warmup(*arguments, grid=grid, **constants)
        compiled[name] = read_cubin(found.asm["cubin"], shared_bytes=found.metadata.shared)

    inputs = example_inputs(dtype, num_classes, width=width, offsets=offsets)
    options = Options(
        num_classes, True, True, True, softmax_scale, class_activation, 1e-6, weight_scale
    )  # fmt: skip
    with absent_gpu(target):
        result = launch.forward(inputs, options, frame_scores=frame_gradient, launch=compile_only)
        launch.backward(
            inputs, options, result.row_numbers, result.statistics, result.scores,
            result.video_scores, launch=compile_only,
        )  # fmt: skip
    return compiled


def _report(
    name: str, target: int, dtype: torch.dtype, num_classes: int, code: MachineCode
) -> KernelReport:
    per_turn = _elements_of_turn(name, num_classes)
    return KernelReport(
        kernel=name,
        target=target,
        dtype=str(dtype).removeprefix("torch."),
        num_classes=num_classes,
        registers=code.registers,
        spilled_bytes=code.spilled_bytes,
        shared_bytes=code.shared_bytes,
        load_bits=code.load_bits,
        barriers=code.count("BAR"),
        instructions_per_element=len(code.main_loop) / per_turn,
        special_functions_per_element=code.count("MUFU") / per_turn,
    )


def _elements_of_turn(name: str, num_classes: int) -> float:
    """Elements of the batch that a lane takes in a turn of the main loop, on average."""
    lanes = int(LANES.value)
    plan: Plan = launch.plan_for(num_classes)
    rows = {
        # Takes one tile of the row at a time.
        "describe_chunks": plan.describe_held / -(-num_classes // lanes),
        "pool_chunks": plan.pool_held,
        "score_chunks": plan.score_held / -(-num_classes // lanes),
        "gradients": plan.gradient_held,
    }
    return rows.get(name, float("nan")) * num_classes / lanes
