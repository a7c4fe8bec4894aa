"""The training step on a GPU: each change to it alone, then together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks.kernels.feeding import make_feed
from benchmarks.kernels.results import StepRow
from benchmarks.kernels.roofline import dtype_name
from benchmarks.kernels.session import GpuSession
from benchmarks.kernels.shapes import Shape
from benchmarks.kernels.step import BASELINE, PLANS, StepPlan, TrainingStep
from benchmarks.kernels.step_check import StepExaminer, exact_step, step_examiner, step_results
from benchmarks.kernels.timing import captured
from benchmarks.kernels.traces import count_launches, peak_device_bytes

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
    features = features.to(case.dtype)  # (N, D)
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
            time=session.stopwatch.time_row(step, calls=CALLS, rows=ROWS),
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
    training.run(feed.next())
    if not plan.graph:
        return lambda: training.run(feed.next())
    static = feed.next()
    replay, (loss,) = captured(lambda: (training.run(static),), training.forget_gradients)

    def step() -> Tensor:
        replay()
        return loss

    return step
