"""A run on a GPU: the operator by every implementation, torch.compile, then the training step."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks.kernels.baselines import FUSED, LOOPED, PACKED, PADDED, compiled_baseline
from benchmarks.kernels.correctness import (
    Examiner,
    StepExaminer,
    Verdict,
    exact_step,
    examiner,
    step_examiner,
    step_results,
)
from benchmarks.kernels.results import BOTH, FORWARD, Gap, OperatorRow, Results, StepRow, one_line
from benchmarks.kernels.roofline import (
    LARGE_COPY_BYTES,
    arithmetic_roofline,
    bytes_needed,
    gigabytes_per_second,
    roofline_of,
    time_copy,
)
from benchmarks.kernels.step import BASELINE, PLANS, StepPlan, TrainingStep, make_feed
from benchmarks.kernels.timing import (
    DeviceStopwatch,
    captured,
    count_launches,
    host_cost,
    peak_device_bytes,
)
from benchmarks.kernels.workload import (
    GPU_SHAPES,
    Implementation,
    Shape,
    Workload,
    dtype_name,
    make_batch,
)
from benchmarks.measuring import Budget
from wsgn.kernels.ahead_of_time.compiled import compile_report


@dataclass(kw_only=True)
class GpuSession:
    """One run."""

    device: torch.device
    stopwatch: DeviceStopwatch
    budget: Budget
    results: Results
    # Compare with float64 and time nothing.
    check_only: bool = False

    def add(self, row: OperatorRow | StepRow) -> None:
        """Keep a row, and say it as it comes."""
        if isinstance(row, OperatorRow):
            self.results.operator.append(row)
        else:
            self.results.steps.append(row)
        print(one_line(row), file=sys.stderr, flush=True)

    def skip(self, what: str, reason: object, *, failed: bool = False) -> None:
        """Keep what was not measured."""
        first_line = str(reason).strip().split("\n")[0][:300]
        self.results.gaps.append(Gap(what=what, reason=first_line, failed=failed))
        print(f"{what}: skipped: {first_line}", file=sys.stderr, flush=True)

    def fits(self, what: str, seconds: float, *, reserve: float = 0.0) -> bool:
        """Whether there is time for something; where not, that is kept."""
        fits = self.budget.allows(seconds, reserve=reserve)
        if not fits:
            self.skip(what, f"no time left in the budget of {self.budget.seconds:.0f} s")
        return fits

    @contextmanager
    def guarded(self, what: str, *, ours: bool) -> Iterator[None]:
        """Go on after an error; out of memory, and a baseline that fails, are no bug of ours."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            self.skip(what, f"out of memory: {error}")
        except Exception as error:
            # Triton's errors share no base class with PyTorch's.
            self.skip(what, f"{type(error).__name__}: {error}", failed=ours)


# The host's own time is measured where the GPU has next to nothing to do.
MOST_SNIPPETS_FOR_HOST_COST = 1000


def measure_roofline(session: GpuSession, shape: Shape, dtype: torch.dtype) -> None:
    """Copies of as many bytes, and the instructions of our kernels."""
    results = session.results
    for measured in (FORWARD, BOTH):
        copy = time_copy(session.stopwatch, bytes_needed(shape, measured, dtype), session.device)
        arithmetic = arithmetic_roofline(shape, measured, dtype, results.compiled, results.machine)
        results.rooflines.append(roofline_of(shape, measured, dtype, copy, arithmetic))


def measure_operator(
    session: GpuSession, shape: Shape, dtype: torch.dtype, implementations: Sequence[Implementation]
) -> None:
    """Rows for implementations on one shape; what is wrong gets a row without times."""
    batch = make_batch(shape, dtype, session.device)
    judge = examiner(batch, session.results.softmax_scale)
    for implementation in implementations:
        what = f"{implementation.name}, {shape.name}, {dtype_name(dtype)}"
        with session.guarded(what, ours=implementation is FUSED):
            _measure_implementation(session, shape, implementation, judge)
        # A caching allocator full of another one's blocks would be part of the next one's time.
        torch.cuda.empty_cache()


def _measure_implementation(
    session: GpuSession, shape: Shape, implementation: Implementation, judge: Examiner
) -> None:
    workload = Workload(implementation, judge.batch, judge.softmax_scale)
    for measured, work in ((FORWARD, workload.forward), (BOTH, workload.both)):
        row = OperatorRow(
            shape=shape.name,
            dtype=dtype_name(judge.batch.x.dtype),
            measured=measured,
            implementation=implementation.name,
            verdict=judge.compare(workload.outcome(work())),
        )
        if row.verdict.is_right and not session.check_only:
            row = _timed(session, row, work)
            row = _timed_as_graph(session, row, work, workload, judge)
            if shape.num_snippets <= MOST_SNIPPETS_FOR_HOST_COST and row.verdict.is_right:
                row = replace(row, host_time_us=host_cost(work))
        session.add(row)


def _timed(
    session: GpuSession, row: OperatorRow, work: Callable[[], Sequence[Tensor]]
) -> OperatorRow:
    return replace(
        row,
        time_us=session.stopwatch.time(work),
        peak_bytes=peak_device_bytes(work),
        # The profiler may be out of order on a machine, and no work starts nothing.
        launches=count_launches(work) or None,
    )


def _timed_as_graph(
    session: GpuSession,
    row: OperatorRow,
    work: Callable[[], Sequence[Tensor]],
    workload: Workload,
    judge: Examiner,
) -> OperatorRow:
    """Replay into outputs full of NaN and compare again; a wrong replay takes every time away."""
    what = f"CUDA graph, {row.implementation}, {row.shape}, {row.dtype}, {row.measured}"
    with session.guarded(what, ours=row.implementation == FUSED.name):
        replay, outputs = captured(work)
        verdict = _verdict_of_replay(replay, outputs, workload, judge)
        if not verdict.is_right:
            return replace(row, verdict=verdict, time_us=None)
        graph_time_us = session.stopwatch.time(replay)
        return replace(row, graph_time_us=graph_time_us)
    return row


def _verdict_of_replay(
    replay: Callable[[], object], outputs: Sequence[Tensor], workload: Workload, judge: Examiner
) -> Verdict:
    for output in outputs:
        output.fill_(torch.nan)
    replay()
    return judge.compare(workload.outcome(outputs))


# Steps back to back, so that copies on another stream can overlap; and how often.
CALLS, ROWS = 5, 7
# Without and with torch.compile of the heads; measured values are not known yet.
EXPECTED_SECONDS = {False: 4.0, True: 20.0}


@dataclass(frozen=True, kw_only=True)
class StepCase:
    """One shape, width and type, and the variants that are measured."""

    shape: Shape
    width: int
    dtype: torch.dtype
    plans: tuple[StepPlan, ...] = PLANS

    @property
    def name(self) -> str:
        """As in tables."""
        return f"{self.shape.name}, width {self.width}, {dtype_name(self.dtype)}"


def step_cases(shapes: Sequence[Shape], *, quick: bool) -> list[StepCase]:
    """Many videos with every variant; few long ones, one short one and float32 with the main ones.

    Both widths; the cases that matter most come first.
    """
    many, long, *_, short = shapes
    main = tuple(plan for plan in PLANS if not plan.compiled and plan.feed == "resident")
    half = torch.bfloat16
    cases = [StepCase(shape=many, width=1024, dtype=half, plans=main if quick else PLANS)]
    if not quick:
        cases += [
            StepCase(shape=many, width=2048, dtype=half),
            StepCase(shape=long, width=1024, dtype=half, plans=main),
            StepCase(shape=short, width=1024, dtype=half, plans=main),
            StepCase(shape=many, width=1024, dtype=torch.float32, plans=main[:3]),
        ]
    return cases


def measure_case(session: GpuSession, case: StepCase) -> None:
    """Rows for every variant that fits into the budget; the first one is the yardstick."""
    assert case.plans[0] is BASELINE
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(case.shape.num_snippets, case.width, generator=generator)
    if case.dtype == torch.bfloat16:
        # As they are stored, and stay on a GPU; rounded once, so that autocast takes nothing more.
        features = features.bfloat16().half()  # (N, D)
    judge: StepExaminer | None = None
    for plan in case.plans:
        what = f"training step, {plan.name}, {case.name}"
        if plan is not BASELINE and judge is None:
            session.skip(what, "there is nothing to hold it against")
        elif session.fits(what, EXPECTED_SECONDS[plan.compiled]):
            with session.guarded(what, ours=plan.operator == "ours"):
                judge = _measure_plan(session, case, plan, features, judge)
            torch.cuda.empty_cache()


def _measure_plan(
    session: GpuSession,
    case: StepCase,
    plan: StepPlan,
    features: Tensor,
    judge: StepExaminer | None,
) -> StepExaminer:
    scale = session.results.softmax_scale
    training = TrainingStep(
        plan, case.shape, case.width, dtype=case.dtype, device=session.device, softmax_scale=scale
    )
    step = runnable(training, plan, features, session.device)
    found = step_results(training, step)
    if judge is None:
        exact = exact_step(case.shape, case.width, features, session.device, scale)
        judge = step_examiner(exact, found, case.dtype)
    row = StepRow(
        shape=case.shape.name,
        dtype=dtype_name(case.dtype),
        width=case.width,
        plan=plan.name,
        verdict=judge.compare(found),
    )
    if row.verdict.is_right and not session.check_only:
        row = replace(
            row,
            time_us=session.stopwatch.time_row(step, calls=CALLS, rows=ROWS),
            peak_bytes=peak_device_bytes(step),
            launches=count_launches(step) or None,
        )
    session.add(row)
    return judge


def runnable(
    training: TrainingStep, plan: StepPlan, features: Tensor, device: torch.device
) -> Callable[[], Tensor]:
    """One step with features from where the plan takes them; gives the loss."""
    # Two copies on the host, as batches of a data set have addresses of their own.
    feed = make_feed(plan.feed, [features, features.clone()], device)
    # Twice, as a graph is recorded the second time.
    for _ in range(2):
        training.run(feed.next())
    return lambda: training.run(feed.next())


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
        budget=Budget(seconds=budget_seconds),
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
                measure_roofline(session, shape, dtype)
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
            measure_operator(session, shape, dtype, (compiled_baseline(),))
        expected = max(expected, time.monotonic() - started)
        yield
