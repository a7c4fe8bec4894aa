"""The roofline: the time of a device copy of as many bytes, and of the arithmetic at full rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks.kernels.results import BOTH, FORWARD, Roofline
from benchmarks.kernels.timing import DeviceStopwatch
from benchmarks.kernels.workload import Shape, dtype_name
from benchmarks.measuring import Spread
from benchmarks.results import Machine
from wsgn.kernels.ahead_of_time.compiled import KernelReport

# Reads and writes of an (N, C) tensor that cannot be avoided: x and h are read, and read again in
# the backward (the loss must be known before the first gradient is) while dx and dh are written.
ACCESSES = {FORWARD: 2, BOTH: 6}
# Per multiprocessor and cycle, compute capability 8.0 to 10.0: 4 warps issue one instruction each,
# and 16 special functions start (CUDA programming guide, throughput of arithmetic instructions).
ISSUED_PER_CYCLE, SPECIAL_PER_CYCLE = 128, 16
BACKWARD_KERNELS = ("gradients",)
LARGE_COPY_BYTES = 2**32


def bytes_needed(shape: Shape, measured: str, dtype: torch.dtype) -> int:
    """Least traffic of the operator; what is per video or per snippet is left out."""
    return ACCESSES[measured] * shape.num_elements * dtype.itemsize


def time_copy(stopwatch: DeviceStopwatch, num_bytes: int, device: torch.device) -> Spread:
    """A device copy that reads and writes `num_bytes` together."""
    source = torch.empty(max(1, num_bytes // 2), dtype=torch.int8, device=device)
    target = torch.empty_like(source)
    return stopwatch.time(lambda: target.copy_(source))


def gigabytes_per_second(num_bytes: int, copy_us: Spread) -> float:
    """Rate of a copy."""
    return num_bytes / copy_us.median / 1e3


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """Times in microseconds that the instructions need at the highest clock, all slots used."""

    instructions_us: float
    special_functions_us: float


def arithmetic_roofline(
    shape: Shape,
    measured: str,
    dtype: torch.dtype,
    compiled: Sequence[KernelReport],
    machine: Machine,
) -> Arithmetic | None:
    """From the compile report; None where the machine or the kernels are not known well enough.

    Kernels whose counts are not known take a small fraction of the time and are left out.
    """
    if machine.multiprocessors is None or machine.clock_megahertz is None:
        return None
    kernels = [
        report
        for report in matching(compiled, dtype, shape.num_classes, machine.capability)
        if measured == BOTH or report.kernel not in BACKWARD_KERNELS
        if not math.isnan(report.instructions_per_element)
    ]
    if not kernels:
        return None
    cycles_per_us = machine.multiprocessors * machine.clock_megahertz
    instructions = sum(report.instructions_per_element for report in kernels)
    special = sum(report.special_functions_per_element for report in kernels)
    return Arithmetic(
        instructions_us=shape.num_elements * instructions / ISSUED_PER_CYCLE / cycles_per_us,
        special_functions_us=shape.num_elements * special / SPECIAL_PER_CYCLE / cycles_per_us,
    )


def matching(
    compiled: Sequence[KernelReport], dtype: torch.dtype, num_classes: int, capability: int | None
) -> list[KernelReport]:
    """The reports of the nearest older architecture and the nearest number of classes."""
    name = str(dtype).removeprefix("torch.")
    reports = [r for r in compiled if r.dtype == name and r.target <= (capability or 0)]
    if not reports:
        return []
    target = max(report.target for report in reports)
    reports = [report for report in reports if report.target == target]
    nearest = min((r.num_classes for r in reports), key=lambda c: (abs(c - num_classes), c))
    return [report for report in reports if report.num_classes == nearest]


def roofline_of(
    shape: Shape,
    measured: str,
    dtype: torch.dtype,
    copy_us: Spread,
    arithmetic: Arithmetic | None,
) -> Roofline:
    """The row that is stored."""
    return Roofline(
        shape=shape.name,
        dtype=dtype_name(dtype),
        measured=measured,
        bytes=bytes_needed(shape, measured, dtype),
        copy_us=copy_us,
        instructions_us=arithmetic.instructions_us if arithmetic else None,
        special_functions_us=arithmetic.special_functions_us if arithmetic else None,
    )
