"""What the GPU's counters say of each kernel, read by Nsight Compute (ncu).

    python -m benchmarks.gpu.counters -o results/counters

Time, bytes from and to memory, occupancy, and what warps wait for, on a batch of many videos and on
one long video, where the merges' tails show.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from benchmarks.gpu.part import (
    NotHere,
    Results,
    find_tool,
    finish_tool,
    part_parser,
    require_driver,
    run_as_part,
    write_results,
)
from benchmarks.measuring import Budget
from benchmarks.tables import table

TOOL = "ncu"
CASES = {
    "128 x 1,100": ["--lengths", *(128 * ["1100"])],
    "1 x 50,000": ["--lengths", "50000"],
}
_KERNELS = "regex:describe_|pool_|finish_|gradients|score_"
_TIME, _BYTES = "gpu__time_duration.sum", "dram__bytes.sum"
_STALLS = {
    name: f"smsp__average_warps_issue_stalled_{name}_per_issue_active.ratio"
    for name in ("long_scoreboard", "short_scoreboard", "barrier", "math_pipe_throttle", "wait")
}
METRICS = {
    "time": _TIME,
    "bytes": _BYTES,
    "dram_percent": "dram__throughput.avg.pct_of_peak_sustained_elapsed",
    "issue_percent": "sm__inst_issued.avg.pct_of_peak_sustained_active",
    "occupancy_percent": "sm__warps_active.avg.pct_of_peak_sustained_active",
    "registers": "launch__registers_per_thread",
    **_STALLS,
}
_TO_MICROSECONDS = {
    "nsecond": 1e-3,
    "ns": 1e-3,
    "usecond": 1.0,
    "us": 1.0,
    "msecond": 1e3,
    "ms": 1e3,
}
_TO_BYTES = {"byte": 1.0, "Kbyte": 1e3, "Mbyte": 1e6, "Gbyte": 1e9}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One launch."""

    case: str
    kernel: str
    time_us: float
    gigabytes_per_second: float
    # Of METRICS, whatever is not above.
    counters: dict[str, float]


def main(argv: Sequence[str] | None = None) -> int:
    """Profile every case."""
    parser = part_parser("benchmarks.gpu.counters", __doc__, budget_seconds=90.0)
    return run_as_part(parser, measure, argv)


def measure(arguments: argparse.Namespace, budget: Budget) -> Results:
    """One case after the other: two at once would share the counters."""
    require_driver()
    tool = find_tool(TOOL)
    rows: list[Row] = []
    left_out: dict[str, str] = {}
    for case, options in CASES.items():
        command = [
            tool, "--csv", "--page", "raw", "--kernel-name", _KERNELS,
            # The clocks of a machine that is lent stay as they are.
            "--clock-control", "none", "--metrics", ",".join(METRICS.values()),
            sys.executable, "-m", "benchmarks.gpu.once", "--main", "--classes", "157", *options,
        ]  # fmt: skip
        text = finish_tool(command, budget, os.environ)
        found = list(read_rows(case, text))
        if not found:
            lines = text.strip().splitlines()
            left_out[case] = f"ncu gave no counters ({lines[-1] if lines else 'it said nothing'})"
        rows += found
        if rows:
            write_results(arguments.output, _results(rows, left_out))
    if not rows:
        raise NotHere("; ".join(f"{case}: {reason}" for case, reason in left_out.items()))
    return _results(rows, left_out)


def read_rows(case: str, text: str) -> Iterator[Row]:
    """From ncu's table, which has a row of units below its heading, among other lines."""
    lines = text.splitlines()
    start = next((at for at, line in enumerate(lines) if line.startswith('"ID"')), None)
    if start is None:
        return
    table_lines = [line for line in lines[start:] if line.startswith('"')]
    heading, units, *launches = csv.reader(io.StringIO("\n".join(table_lines)))
    unit_of = dict(zip(heading, units, strict=True))
    for launch in launches:
        values = dict(zip(heading, launch, strict=True))
        numbers = {
            name: float(values[metric].replace(",", ""))
            for name, metric in METRICS.items()
            if values.get(metric) not in (None, "", "n/a")
        }
        time_us = numbers.pop("time") * _TO_MICROSECONDS[unit_of[_TIME]]
        moved = numbers.pop("bytes", 0.0) * _TO_BYTES[unit_of.get(_BYTES, "byte")]
        yield Row(
            case=case,
            kernel=values["Kernel Name"],
            time_us=time_us,
            gigabytes_per_second=moved / time_us / 1e3,
            counters=numbers,
        )


def _results(rows: Sequence[Row], left_out: dict[str, str]) -> Results:
    names = [name for name in METRICS if name not in ("time", "bytes")]
    heading = ["batch", "kernel", "microseconds", "GB / s"]
    heading += [name.replace("_percent", ", %").replace("_", " ") for name in names]
    lines = [
        [
            row.case, row.kernel, f"{row.time_us:.1f}", f"{row.gigabytes_per_second:,.0f}",
            *(f"{row.counters[name]:.3g}" if name in row.counters else "" for name in names),
        ]
        for row in rows
    ]  # fmt: skip
    words = "Stalls are warps that wait for each instruction issued; 157 classes, bf16."
    return Results(
        document={"launches": [asdict(row) for row in rows]},
        table=f"{words}\n\n{table(heading, lines)}",
        left_out=left_out,
    )


if __name__ == "__main__":
    sys.exit(main())
