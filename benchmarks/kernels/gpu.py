"""A run on a GPU: plain peers first, then torch.compile, then the training step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import torch

from benchmarks.kernels.baselines import FUSED, LOOPED, PACKED, PADDED, compiled_peer
from benchmarks.kernels.gpu_operator import measure_floor, measure_operator
from benchmarks.kernels.gpu_step import measure_case, step_cases
from benchmarks.kernels.results import Results
from benchmarks.kernels.roofline import (
    LARGE_COPY_BYTES,
    dtype_name,
    gigabytes_per_second,
    time_copy,
)
from benchmarks.kernels.session import Budget, GpuSession
from benchmarks.kernels.shapes import GPU_SHAPES, Shape
from benchmarks.kernels.timing import DeviceStopwatch
from wsgn.kernels.ahead_of_time.compiled import compile_report

Pair = tuple[Shape, torch.dtype]

PLAIN = (FUSED, PACKED, PADDED, LOOPED)
DTYPES = (torch.bfloat16, torch.float32)
# What a part is expected to take before one was seen; then the longest so far counts.
OPERATOR_SECONDS, COMPILE_SECONDS = 8.0, 20.0
# Kept for the training step while shapes go through torch.compile.
STEP_SECONDS = 80.0


def run_on_gpu(
    results: Results,
    *,
    budget_seconds: float,
    quick: bool,
    check_only: bool,
    save: Callable[[], object],
) -> None:
    """Fill the results, in the order of what matters most; `save` is called after each part."""
    device = torch.device("cuda", torch.cuda.current_device())
    session = GpuSession(
        device=device,
        stopwatch=DeviceStopwatch(device),
        budget=Budget.of(budget_seconds),
        results=results,
        check_only=check_only,
    )
    for _ in run_parts(session, quick=quick):
        results.seconds = session.budget.used
        save()


def run_parts(session: GpuSession, *, quick: bool) -> Iterator[None]:
    """One part after the other."""
    shapes = (GPU_SHAPES[0], GPU_SHAPES[1], GPU_SHAPES[-1]) if quick else GPU_SHAPES
    dtypes = DTYPES[:1] if quick else DTYPES
    pairs = [(shape, dtype) for dtype in dtypes for shape in shapes]
    if not session.check_only:
        _ceilings(session, dtypes)
    yield from _plain(session, pairs)
    if not session.check_only:
        yield from _compiled(session, pairs[:1] if quick else pairs)
    for case in step_cases(GPU_SHAPES, quick=quick or session.check_only):
        measure_case(session, case)
        yield


def _ceilings(session: GpuSession, dtypes: Sequence[torch.dtype]) -> None:
    """The rate of a large copy, and the instructions of the kernels as compiled for this GPU."""
    copy = time_copy(session.stopwatch, LARGE_COPY_BYTES, session.device)
    session.results.copy_gigabytes_per_second = gigabytes_per_second(LARGE_COPY_BYTES, copy)
    torch.cuda.empty_cache()
    with session.guarded("compile report", ours=True):
        capability = session.results.machine.capability
        assert capability is not None
        session.results.compiled += compile_report(
            targets=(capability,), dtypes=dtypes, classes=(157, 20)
        )


def _plain(session: GpuSession, pairs: Sequence[Pair]) -> Iterator[None]:
    expected = OPERATOR_SECONDS
    for shape, dtype in pairs:
        what = f"operator, {shape.name}, {dtype_name(dtype)}"
        if not session.fits(what, expected):
            continue
        started = time.monotonic()
        with session.guarded(what, ours=True):
            if not session.check_only:
                measure_floor(session, shape, dtype)
            measure_operator(session, shape, dtype, PLAIN)
        expected = max(expected, time.monotonic() - started)
        yield


def _compiled(session: GpuSession, pairs: Sequence[Pair]) -> Iterator[None]:
    expected = COMPILE_SECONDS
    for shape, dtype in pairs:
        what = f"torch.compile, {shape.name}, {dtype_name(dtype)}"
        if not session.fits(what, expected, reserve=STEP_SECONDS):
            continue
        started = time.monotonic()
        with session.guarded(what, ours=False):
            measure_operator(session, shape, dtype, (compiled_peer(),))
        expected = max(expected, time.monotonic() - started)
        yield
