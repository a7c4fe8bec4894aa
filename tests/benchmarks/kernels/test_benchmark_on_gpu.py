"""The order of a run on a GPU, on CPU tensors with stand-ins for what only a GPU can measure."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmarks.kernels import gpu
from benchmarks.kernels.baselines import FUSED, LOOPED, PACKED
from benchmarks.kernels.gpu import GpuSession
from benchmarks.kernels.results import BOTH, FORWARD, Results
from benchmarks.kernels.step import BASELINE, StepPlan
from benchmarks.kernels.workload import Implementation, Shape
from benchmarks.measuring import Budget, Spread, Work, spread_of
from benchmarks.results import describe_machine, finite

CPU = torch.device("cpu")
# Long enough that rounding to bf16 leaves something of the gradient through the local Gaussian.
SHAPE = Shape(name="small", lengths=(40, 1, 70), num_classes=4)


class StandInStopwatch:
    """Calls the work once and says 7 microseconds."""

    def time(self, work: Work) -> Spread:
        work()
        return spread_of([7.0])

    def time_row(self, work: Work, *, calls: int, rows: int) -> Spread:
        work()
        return spread_of([7.0] * rows)


def eager_replay(work: Callable[[], Sequence[Tensor]]) -> tuple[Work, Sequence[Tensor]]:
    """Like a CUDA graph: a replay writes the same tensors again."""
    outputs = work()

    def replay() -> None:
        for output, value in zip(outputs, work(), strict=True):
            output.copy_(value)

    return replay, outputs


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> GpuSession:
    monkeypatch.setattr(gpu, "captured", eager_replay)
    monkeypatch.setattr(gpu, "peak_device_bytes", lambda work: 1000)
    monkeypatch.setattr(gpu, "count_launches", lambda work: 5)
    monkeypatch.setattr(gpu, "host_cost", lambda work: spread_of([3.0]))
    return GpuSession(
        device=CPU,
        stopwatch=StandInStopwatch(),  # type: ignore[arg-type]
        budget=Budget(seconds=1000, clock=lambda: 0.0),
        results=Results(machine=describe_machine(), device="cuda", softmax_scale="max_one"),
    )


def test_a_right_implementation_gets_every_figure(session: GpuSession) -> None:
    gpu.measure_operator(session, SHAPE, torch.float32, [FUSED])
    assert [row.measured for row in session.results.operator] == [FORWARD, BOTH]
    for row in session.results.operator:
        assert row.time_us is not None
        assert row.graph_time_us is not None
        assert row.host_time_us is not None
        assert (row.time_us.median, row.peak_bytes, row.launches) == (7.0, 1000, 5)
    assert session.results.exit_code == 0


def test_a_wrong_implementation_gets_no_speed(
    session: GpuSession, capsys: pytest.CaptureFixture[str]
) -> None:
    def scores(*arguments: object) -> Tensor:
        return LOOPED.video_scores(*arguments) * 1.001  # type: ignore[arg-type]

    wrong = Implementation(name="off by a thousandth", video_scores=scores)
    gpu.measure_operator(session, SHAPE, torch.float32, [wrong, PACKED])
    by_name = {row.implementation: row for row in session.results.operator}
    assert by_name[wrong.name].time_us is None
    assert by_name[PACKED.name].time_us is not None
    assert "WRONG: y 1.0e-03" in capsys.readouterr().err
    assert session.results.exit_code == 1
    assert session.results.wrong[0].startswith("off by a thousandth, small, fp32")


def test_a_replay_that_leaves_values_out_is_wrong(
    session: GpuSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lazy(work: Callable[[], Sequence[Tensor]]) -> tuple[Work, Sequence[Tensor]]:
        return (lambda: None), work()

    monkeypatch.setattr(gpu, "captured", lazy)
    gpu.measure_operator(session, SHAPE, torch.float32, [FUSED])
    assert [row.time_us for row in session.results.operator] == [None, None]
    assert len(session.results.wrong) == 2


@pytest.mark.parametrize("implementation", [FUSED, PACKED], ids=lambda each: each.name)
def test_an_error_fails_the_run_only_where_it_is_ours(
    session: GpuSession, monkeypatch: pytest.MonkeyPatch, implementation: Implementation
) -> None:
    def raises(*_: object) -> Tensor:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(gpu.Workload, "forward", raises)
    gpu.measure_operator(session, SHAPE, torch.float32, [implementation])
    (gap,) = session.results.gaps
    assert gap.reason == "RuntimeError: first line"
    assert session.results.exit_code == int(implementation is FUSED)


def test_a_quick_run_from_end_to_end(session: GpuSession, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = replace(PACKED, name="compiled", is_compiled=True)
    monkeypatch.setattr(gpu, "GPU_SHAPES", (SHAPE, replace(SHAPE, name="long"), SHAPE))
    monkeypatch.setattr(gpu, "LARGE_COPY_BYTES", 1000)
    monkeypatch.setattr(gpu, "compiled_baseline", lambda: compiled)
    monkeypatch.setattr(gpu, "compile_report", lambda **_: ())
    session.results.machine = replace(session.results.machine, capability=90)
    parts = list(gpu.run_parts(session, quick=True))
    # Three shapes, torch.compile of one, one training step.
    assert len(parts) == 5
    found = session.results
    assert found.gaps == []
    assert found.wrong == []
    assert found.copy_gigabytes_per_second is not None
    names = dict.fromkeys(row.implementation for row in found.operator)
    assert list(names) == ["ours", "eager, packed", "eager, padded", "eager, loop", "compiled"]
    assert len(found.rooflines) == 6
    assert [row.plan for row in found.steps] == [
        "eager packed", "ours", "eager loop", "ours, CUDA graph",
    ]  # fmt: skip


def test_what_does_not_fit_is_listed(session: GpuSession) -> None:
    session.budget = Budget(seconds=1.0, clock=lambda: 0.0)
    assert list(gpu._plain(session, [(SHAPE, torch.float32)])) == []
    (gap,) = session.results.gaps
    assert gap.what == "operator, small, fp32"
    assert "budget of 1 s" in gap.reason
    assert session.results.operator == []
    assert session.results.exit_code == 0


def test_every_variant_of_the_step_is_right(session: GpuSession) -> None:
    plans = (
        BASELINE,
        StepPlan(name="ours"),
        StepPlan(name="loop", operator="loop"),
        StepPlan(name="graph", graph=True),
        StepPlan(name="copied", feed="copied"),
    )
    for dtype in (torch.float32, torch.bfloat16):
        case = gpu.StepCase(shape=SHAPE, width=16, dtype=dtype, plans=plans)
        gpu.measure_case(session, case)
    assert [row.plan for row in session.results.steps] == [plan.name for plan in plans] * 2
    assert session.results.wrong == []
    assert all(row.time_us is not None for row in session.results.steps)
    assert session.results.gaps == []


def test_without_a_yardstick_no_step_is_measured(
    session: GpuSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_: object) -> None:
        raise torch.OutOfMemoryError("2 TB")

    monkeypatch.setattr(gpu, "exact_step", too_large)
    plans = (BASELINE, StepPlan(name="ours"))
    case = gpu.StepCase(shape=SHAPE, width=16, dtype=torch.float32, plans=plans)
    gpu.measure_case(session, case)
    assert session.results.steps == []
    assert [gap.reason for gap in session.results.gaps] == [
        "out of memory: 2 TB",
        "there is nothing to hold it against",
    ]
    assert session.results.exit_code == 0


def test_a_wrong_step_gets_no_speed(session: GpuSession, monkeypatch: pytest.MonkeyPatch) -> None:
    real = gpu.step_results

    def biased(training: object, step: Callable[[], Tensor]) -> dict[str, Tensor]:
        found = real(training, step)  # type: ignore[arg-type]
        if len(session.results.steps) == 1:
            found["method.global_mean"] = found["method.global_mean"] * 1.02
        return found

    monkeypatch.setattr(gpu, "step_results", biased)
    plans = (BASELINE, StepPlan(name="ours"))
    case = gpu.StepCase(shape=SHAPE, width=16, dtype=torch.float32, plans=plans)
    gpu.measure_case(session, case)
    assert session.results.steps[1].time_us is None
    assert session.results.wrong == ["training step, ours, small, width 16, fp32"]


def test_checking_times_nothing(session: GpuSession) -> None:
    session.check_only = True
    gpu.measure_operator(session, SHAPE, torch.float32, [FUSED])
    case = gpu.StepCase(shape=SHAPE, width=16, dtype=torch.float32, plans=(BASELINE,))
    gpu.measure_case(session, case)
    rows = [*session.results.operator, *session.results.steps]
    assert [row.time_us for row in rows] == [None] * 3
    assert session.results.wrong == []


def test_the_document_is_strict_json(session: GpuSession) -> None:
    gpu.measure_operator(session, SHAPE, torch.float32, [PACKED])
    row = session.results.operator[0]
    infinite = replace(row, verdict=replace(row.verdict, difference=float("inf")))
    session.results.operator.append(infinite)

    document = json.loads(json.dumps(finite(session.results.document()), allow_nan=False))
    assert document["operator"][-1]["verdict"]["difference"] is None
    assert len(document["wrong"]) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_streamed_features_come_in_order_and_whole() -> None:
    from benchmarks.kernels.step import make_feed

    batches = [torch.full((50_000, 64), float(value)) for value in range(3)]
    feed = make_feed("streamed", batches, torch.device("cuda"))
    for step in range(9):
        features = feed.next()
        assert features.min() == features.max() == float(step % 3)
