"""What can be shown without a GPU: the kernels' results, their compiled code, and the CPU path.

`python -m benchmarks.kernels.cpu SCALE`, under TRITON_INTERPRET=1, is the process in which Triton's
interpreter runs the kernels on CPU tensors, statement by statement, for results as JSON lines.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch

from benchmarks.kernels.baselines import (
    FUSED,
    LOOPED,
    PACKED,
    PADDED,
    compiled_baseline,
    compiled_operator,
)
from benchmarks.kernels.correctness import Verdict, examiner
from benchmarks.kernels.results import BOTH, Gap, OperatorRow, Results, one_line
from benchmarks.kernels.timing import peak_cpu_bytes
from benchmarks.kernels.workload import (
    CPU_SHAPES,
    EPSILON,
    INTERPRETER_SHAPES,
    Batch,
    Implementation,
    Outcome,
    Shape,
    Workload,
    dtype_name,
    make_batch,
)
from benchmarks.measuring import Budget, time_in_turn
from wsgn.kernels.ahead_of_time.compiled import compile_report
from wsgn.kernels.launch import backward, forward
from wsgn.selection.reference import Inputs, Options

IMPLEMENTATIONS = (PACKED, PADDED, LOOPED, FUSED)
# For the times of one shape.
AIM_SECONDS, QUICK_AIM_SECONDS = 4.0, 0.5
# The interpreter needs seconds for the shapes chosen; a hanging kernel must not hold up the rest.
INTERPRETER_SHARE = 0.5
COMPILED_TARGETS = (90, 80, 100)
COMPILED_DTYPES = (torch.bfloat16, torch.float32)
COMPILED_CLASSES = (157,)
# Of a shape, and of the kernels of one target and type, before one was seen.
SHAPE_SECONDS, COMPILE_SECONDS = 10.0, 6.0
# Of what torch.compile makes and takes.
COMPILER_SECONDS = 40.0

# In results.
INTERPRETED = "ours, interpreted"

Part = tuple[str, float, Callable[[], None]]


def run_on_cpu(results: Results, *, budget_seconds: float, quick: bool) -> None:
    """Fill the results; each part says on stderr what it does."""
    budget = Budget(seconds=budget_seconds)
    for name, seconds, part in _parts(results, budget_seconds, quick=quick):
        if not budget.allows(seconds):
            reason = f"no time left in the budget of {budget.seconds:.0f} s"
            results.gaps.append(Gap(what=name, reason=reason))
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            part()
        # Triton's errors share no base class, and the other parts do not depend on it.
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error).strip()[:300]}"
            results.gaps.append(Gap(what=name, reason=reason, failed=True))
    results.seconds = budget.used


def _parts(results: Results, budget_seconds: float, *, quick: bool) -> Iterator[Part]:
    """Name, expected seconds and work, in the order of what matters most."""
    yield "interpreter", 0.0, lambda: _interpret(results, INTERPRETER_SHARE * budget_seconds)
    cases = [(shape, torch.float32) for shape in (CPU_SHAPES[-1:] if quick else CPU_SHAPES)]
    cases += [] if quick else [(CPU_SHAPES[0], torch.bfloat16)]
    aim_seconds = QUICK_AIM_SECONDS if quick else AIM_SECONDS
    for shape, dtype in cases:
        work = partial(compare, results, shape, dtype, aim_seconds)
        yield f"comparison, {shape.name}, {dtype_name(dtype)}", SHAPE_SECONDS, work
    if not quick:
        yield "torch.compile", COMPILER_SECONDS, lambda: _compare_compiled(results, aim_seconds)
    for target in COMPILED_TARGETS[:1] if quick else COMPILED_TARGETS:
        for dtype in COMPILED_DTYPES:
            compiling = partial(_compile, results, target, dtype)
            yield f"compile report, sm_{target}, {dtype_name(dtype)}", COMPILE_SECONDS, compiling


def compare(
    results: Results,
    shape: Shape,
    dtype: torch.dtype,
    aim_seconds: float,
    implementations: Sequence[Implementation] = IMPLEMENTATIONS,
) -> None:
    """Plain formulas under autograd beside the operator: right first, then time and memory."""
    judge = examiner(make_batch(shape, dtype, torch.device("cpu")), results.softmax_scale)
    workloads = {p.name: Workload(p, judge.batch, judge.softmax_scale) for p in implementations}
    verdicts = {name: judge.compare(w.outcome(w.both())) for name, w in workloads.items()}
    right = {name: w.both for name, w in workloads.items() if verdicts[name].is_right}
    times = time_in_turn(right, aim_seconds)
    for name, verdict in verdicts.items():
        row = OperatorRow(
            shape=shape.name,
            dtype=dtype_name(dtype),
            measured=BOTH,
            implementation=name,
            verdict=verdict,
            time_us=times.get(name),
            peak_bytes=peak_cpu_bytes(right[name]) if name in right else None,
        )
        results.operator.append(row)
        print(one_line(row), file=sys.stderr, flush=True)


def _compare_compiled(results: Results, aim_seconds: float) -> None:
    """The operator and the packed formulas under torch.compile, beside both without."""
    chosen = (PACKED, FUSED, compiled_baseline(), compiled_operator())
    compare(
        results,
        replace(CPU_SHAPES[0], name=f"{CPU_SHAPES[0].name}, in turn with compiled"),
        torch.float32,
        aim_seconds,
        chosen,
    )


def _interpret(results: Results, limit_seconds: float) -> None:
    """In a process of its own: Triton reads the variable once, when it is imported."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.kernels.cpu", results.softmax_scale],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        timeout=limit_seconds,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(_last_line(done.stderr) or f"exit code {done.returncode}")
    results.interpreted += [row_from_json(line) for line in done.stdout.splitlines()]


def row_from_json(line: str) -> OperatorRow:
    """A row as the interpreter's process prints it."""
    document = json.loads(line)
    verdict = Verdict(**document.pop("verdict"))
    return OperatorRow(**document, verdict=verdict)


def _last_line(text: str) -> str:
    lines: Sequence[str] = text.strip().splitlines()
    return lines[-1] if lines else ""


def _compile(results: Results, target: int, dtype: torch.dtype) -> None:
    results.compiled += compile_report(targets=(target,), dtypes=(dtype,), classes=COMPILED_CLASSES)


def main() -> int:
    """Check every small shape in every type."""
    for shape in INTERPRETER_SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            print(json.dumps(dataclasses.asdict(check(shape, dtype, sys.argv[1]))), flush=True)
    return 0


def check(shape: Shape, dtype: torch.dtype, softmax_scale: str) -> OperatorRow:
    """One shape and type."""
    judge = examiner(make_batch(shape, dtype, torch.device("cpu")), softmax_scale)
    return OperatorRow(
        shape=f"{shape.name}, C {shape.num_classes}",
        dtype=dtype_name(dtype),
        measured=BOTH,
        implementation=INTERPRETED,
        verdict=judge.compare(run_kernels(judge.batch, softmax_scale)),
    )


def run_kernels(batch: Batch, softmax_scale: str) -> Outcome:
    """The kernels called directly: the operator would send CPU tensors to plain PyTorch."""
    x, h, mu, sigma = batch.leaves
    inputs = Inputs(x=x, h=h, cu_seqlens=batch.layout.cu_seqlens, mu=mu, sigma=sigma)
    options = Options(len(mu), True, True, True, softmax_scale, "softmax", EPSILON)
    kept = forward(inputs, options, frame_scores=False)
    found = backward(inputs, options, kept.row_numbers, kept.statistics, None, batch.gradient)
    gradients = (found.x, found.h, found.mu, found.sigma)
    return Outcome(video_scores=kept.video_scores, gradients=gradients)


if __name__ == "__main__":
    sys.exit(main())
