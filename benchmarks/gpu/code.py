"""What the GPU reaches, and the machine code of the kernels as this Triton compiles them for it.

    python -m benchmarks.gpu.code -o results/code [--expect prepared/code.json]

Without a GPU, `--target 90` compiles for one. The binaries are those that the later parts launch:
they come from the same cache, in which `gpu.sh --prepare` may have put them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.part import NotHere, Results, part_parser, run_as_part, write_results
from benchmarks.measuring import Budget, digits
from benchmarks.tables import table
from wsgn.kernels.ahead_of_time.compiled import KernelReport, compile_report

CLASSES = (157, 20)
DTYPES = (torch.bfloat16, torch.float32)
# Of the instructions of an element, between two Tritons.
TOLERANCE = 0.05
# Rows of the square matrices of which the product's rate is taken.
MATRIX_SIZE = 8192


def main(argv: Sequence[str] | None = None) -> int:
    """Measure two rates, compile, compare."""
    parser = part_parser("benchmarks.gpu.code", __doc__, budget_seconds=120.0)
    add = parser.add_argument
    add("--target", type=int, metavar="N", help="compute capability times 10; that of the GPU")
    add("--expect", type=Path, metavar="JSON", help="what another machine's compiler made")
    return run_as_part(parser, measure, argv)


def measure(arguments: argparse.Namespace, budget: Budget) -> Results:
    """The rates first, then one type and number of classes after the other."""
    target: int | None = arguments.target
    rates: dict[str, float] = {}
    if target is None:
        if not torch.cuda.is_available():
            raise NotHere(f"PyTorch {torch.__version__} finds no CUDA device; --target compiles")
        major, minor = torch.cuda.get_device_capability()
        target = 10 * major + minor
        rates = _rates()
    reports: list[KernelReport] = []
    left_out: dict[str, str] = {}
    expected = _expected(arguments.expect)
    before, started = cached_binaries(), time.time()
    for dtype in DTYPES:
        for num_classes in CLASSES:
            if reports and budget.left < 0:
                left_out[f"{dtype}, {num_classes} classes"] = "the budget was spent"
                continue
            reports += compile_report((target,), (dtype,), (num_classes,))
            found = _results(reports, rates, left_out, (before, cached_binaries(started)), expected)
            write_results(arguments.output, found)
    return _results(reports, rates, left_out, (before, cached_binaries(started)), expected)


def cached_binaries(since: float = 0.0) -> int | None:
    """In Triton's cache, written at this time or later; None where it has its usual place.

    Their number alone says nothing of what was compiled: what is not found where its group says is
    compiled anew under the same name.
    """
    folder = os.environ.get("TRITON_CACHE_DIR")
    if folder is None:
        return None
    times = [path.stat().st_mtime for path in Path(folder).rglob("*.cubin")]
    return sum(moment >= since for moment in times)


def _rates() -> dict[str, float]:
    from benchmarks.kernels.roofline import LARGE_COPY_BYTES, gigabytes_per_second, time_copy
    from benchmarks.kernels.timing import DeviceStopwatch

    device = torch.device("cuda", torch.cuda.current_device())
    stopwatch = DeviceStopwatch(device)
    copy = gigabytes_per_second(LARGE_COPY_BYTES, time_copy(stopwatch, LARGE_COPY_BYTES, device))
    size = (MATRIX_SIZE, MATRIX_SIZE)
    left, right = (torch.randn(size, device=device, dtype=torch.bfloat16) for _ in range(2))
    product_us = stopwatch.time(lambda: left @ right).median
    teraflops = 2 * MATRIX_SIZE**3 / product_us / 1e6
    return {"copy_gigabytes_per_second": copy, "bf16_teraflops": teraflops}


def _expected(path: Path | None) -> list[KernelReport]:
    if path is None or not path.is_file():
        return []
    rows: list[dict[str, Any]] = json.loads(path.read_text())["kernels"]
    # No number stands as null.
    for row in rows:
        row |= {name: math.nan for name, value in row.items() if value is None}
    return [KernelReport(**row) for row in rows]


def differences(found: Sequence[KernelReport], expected: Sequence[KernelReport]) -> list[str]:
    """Sentences about spills, waits inside a walk, and code that is not what was expected."""
    wanted = {_key(report): report for report in expected}
    wrong = []
    for report in found:
        name = f"{report.kernel} ({report.dtype}, {report.num_classes} classes)"
        if report.spilled_bytes:
            wrong.append(f"{name} spills {report.spilled_bytes} bytes.")
        if report.barriers:
            wrong.append(f"{name} has {report.barriers} barriers in its main loop.")
        other = wanted.get(_key(report))
        if other is None:
            continue
        have, want = report.instructions_per_element, other.instructions_per_element
        if abs(have - want) > TOLERANCE * want:
            wrong.append(f"{name} has {have:.1f} instructions an element, expected {want:.1f}.")
    return wrong


def _key(report: KernelReport) -> tuple[str, str, int, int]:
    return report.kernel, report.dtype, report.num_classes, report.target


def _results(
    reports: Sequence[KernelReport],
    rates: dict[str, float],
    left_out: dict[str, str],
    binaries: tuple[int | None, int | None],
    expected: Sequence[KernelReport],
) -> Results:
    # In the cache at first, and compiled since.
    before, compiled = binaries
    words = [f"{name.replace('_', ' ')}: {digits(rate)}." for name, rate in rates.items()]
    if before is not None:
        words.append(f"Binaries in the cache before: {before}, compiled here: {compiled}.")
    return Results(
        document={
            "rates": rates,
            "kernels": [asdict(report) for report in reports],
            "binaries_before": before,
            "binaries_compiled": compiled,
        },
        table="\n".join([*words, "", _table(reports)]),
        left_out=left_out,
        wrong=tuple(differences(reports, expected)),
    )


def _table(reports: Sequence[KernelReport]) -> str:
    heading = [
        "kernel", "sm", "dtype", "C", "registers", "spilled bytes", "barriers in the walk",
        "instructions an element",
    ]  # fmt: skip
    rows = [
        [
            row.kernel, row.target, row.dtype, row.num_classes, row.registers, row.spilled_bytes,
            row.barriers,
            # Not of what walks over chunks.
            "" if math.isnan(row.instructions_per_element)
            else f"{row.instructions_per_element:.1f}",
        ]
        for row in reports
    ]  # fmt: skip
    return table(heading, rows)


if __name__ == "__main__":
    sys.exit(main())
