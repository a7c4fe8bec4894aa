"""The compiled kernels without torch: launched by pycuda and cuda-bindings, right and how fast.

    python -m benchmarks.gpu.launch -o results/launch

Every result is held against the paper's equations in float64 (`wsgn.localization`).
Times are of NumPy arrays in and out, beside the same kernels in torch with the same copies.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.gpu.part import NotHere, Results, part_parser, reason_alone, run_as_part
from benchmarks.measuring import Budget, Spread, time_in_turn
from benchmarks.tables import table
from wsgn.engines.cuda.driver import Gpu, probe_driver
from wsgn.engines.cuda.open import BINDINGS, open_device
from wsgn.engines.kernels.launcher import SelectionKernels
from wsgn.errors import WsgnError
from wsgn.export.to_cubin import main as compile_ahead
from wsgn.kernels.ahead_of_time.bundle import TARGETS
from wsgn.localization.scoring import frame_scores
from wsgn.manifest import COMPONENTS, SelectionRule
from wsgn.selection.api import frame_selection
from wsgn.support.arrays import AnyArray

# Videos of one batch, in snippets; classes of THUMOS14 and Charades.
LENGTHS = (1, 63, 1000, 200, 5000)
CLASSES = (20, 157)
SCALES = ("sum_one", "mean_one", "max_one")
# float32 against float64, of scores up to 1 (mean_one: up to T / k).
TOLERANCE = 2e-5
SECONDS_FOR_A_TABLE = 3.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """One binding, or torch, on one shape."""

    way: str
    num_classes: int
    time_us: Spread
    largest_difference: float


def main(argv: Sequence[str] | None = None) -> int:
    """Compile, launch, compare, time."""
    parser = part_parser("benchmarks.gpu.launch", __doc__, budget_seconds=60.0)
    return run_as_part(parser, measure, argv)


def measure(arguments: argparse.Namespace, budget: Budget) -> Results:
    """Every scale for correctness, one for the times."""
    try:
        gpu = probe_driver().gpu(0)
    except WsgnError as reason:
        raise NotHere(reason_alone(reason)) from reason
    target = _target(gpu)
    left_out: dict[str, str] = {}
    rows: list[Row] = []
    wrong: list[str] = []
    for num_classes, scale in itertools.product(CLASSES, SCALES):
        if budget.left < 0:
            left_out[f"{num_classes} classes, {scale}"] = "the budget was spent"
            continue
        with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
            bundle = Path(folder) / "kernels"
            command = [
                "--classes", str(num_classes), "--softmax-scale", scale, "-o", str(bundle),
                "--targets", str(target),
            ]  # fmt: skip
            if compile_ahead(command) != 0:
                wrong.append(f"kernels for {gpu} cannot be compiled.")
                continue
            rule = _rule(num_classes, scale)
            rows += _rows(bundle, rule, num_classes, opened, left_out, wrong)
    if not rows and not wrong:
        raise NotHere("; ".join(left_out.values()))
    return Results(
        document={"rows": [asdict(row) for row in rows]},
        table=_table(rows),
        left_out=left_out,
        wrong=tuple(wrong),
    )


def _target(gpu: Gpu) -> int:
    """What to compile for this GPU: itself, or the latest before it whose PTX is for later ones."""
    major, minor = gpu.compute_capability
    wanted = 10 * major + minor
    # From 9.0 on code is for its own GPU alone.
    fitting = [one for one in TARGETS if one == wanted or one <= min(wanted, 89)]
    if not fitting:
        raise NotHere(f"kernels are compiled for compute capability 8.0 and later, this is {gpu}")
    return max(fitting)


def _rule(num_classes: int, scale: str) -> SelectionRule:
    generator = np.random.default_rng(num_classes)
    return SelectionRule(
        components=COMPONENTS,
        softmax_scale=scale,
        class_activation="softmax",
        global_mean=tuple(generator.normal(size=num_classes)),
        global_std=tuple(generator.uniform(0.5, 2.0, num_classes)),
    )


def _rows(
    bundle: Path,
    rule: SelectionRule,
    num_classes: int,
    opened: ExitStack,
    left_out: dict[str, str],
    wrong: list[str],
) -> list[Row]:
    """All bindings on one batch, and torch beside them where the times are taken."""
    generator = np.random.default_rng(0)
    shape = (sum(LENGTHS), num_classes)
    x, h = (generator.normal(size=shape).astype(np.float32) for _ in range(2))
    offsets = np.cumsum([0, *LENGTHS])
    expected = _expected(x, h, offsets, rule)
    works: dict[str, Callable[[], AnyArray]] = {}
    for binding in BINDINGS:
        try:
            device = open_device(0, binding=binding)
            opened.callback(device.close)
            kernels = opened.enter_context(SelectionKernels.open(bundle, device, rule, num_classes))
            works[binding] = partial(_scores, kernels, x, h, offsets)
            works[binding]()
        except WsgnError as reason:
            works.pop(binding, None)
            left_out[binding] = reason_alone(reason)
    if torch.cuda.is_available():
        works["torch"] = lambda: _in_torch(x, h, offsets, rule)
    differences = {}
    for name, work in works.items():
        differences[name] = float(np.abs(work() - expected).max() / max(1.0, expected.max()))
        if not differences[name] <= TOLERANCE:
            wrong.append(
                f"{name} differs from float64 by {differences[name]:.1e} for {num_classes} classes "
                f"and {rule.softmax_scale}, at most {TOLERANCE:.0e} is allowed."
            )
    if rule.softmax_scale != SCALES[0]:
        return []
    times = time_in_turn(works, SECONDS_FOR_A_TABLE)
    return [
        Row(
            way=name,
            num_classes=num_classes,
            time_us=time_us,
            largest_difference=differences[name],
        )
        for name, time_us in times.items()
    ]


def _expected(x: AnyArray, h: AnyArray, offsets: AnyArray, rule: SelectionRule) -> AnyArray:
    """Frame scores (N, C) in float64."""
    exponentials = np.exp(h.astype(np.float64) - h.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    parts = [
        frame_scores(x[start:end].astype(np.float64), probabilities[start:end], rule)
        for start, end in itertools.pairwise(offsets)
    ]
    return np.concatenate(parts)


def _scores(kernels: SelectionKernels, x: AnyArray, h: AnyArray, offsets: AnyArray) -> AnyArray:
    return kernels.score(x, h, offsets).scores


def _in_torch(x: AnyArray, h: AnyArray, offsets: AnyArray, rule: SelectionRule) -> AnyArray:
    on_gpu = [torch.from_numpy(array).cuda() for array in (x, h, offsets)]
    mu, sigma = (
        torch.tensor(values, dtype=torch.float32, device="cuda")
        for values in (rule.global_mean, rule.global_std)
    )
    result = frame_selection(
        on_gpu[0], on_gpu[1], on_gpu[2], mu, sigma,
        softmax_scale=rule.softmax_scale, epsilon=rule.variance_epsilon,
    )  # fmt: skip
    scores: AnyArray = result.scores.cpu().numpy()
    return scores


def _table(rows: Sequence[Row]) -> str:
    heading = ["launched by", "classes", "microseconds (10 to 90 %)", "difference from float64"]
    lines = [
        [row.way, row.num_classes, row.time_us, f"{row.largest_difference:.1e}"] for row in rows
    ]
    words = f"Frame scores of {len(LENGTHS)} videos, {sum(LENGTHS):,} snippets in all, with copies."
    return f"{words}\n\n{table(heading, lines)}"


if __name__ == "__main__":
    sys.exit(main())
