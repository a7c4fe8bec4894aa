"""Races and accesses out of bounds in every kernel, looked for by NVIDIA's compute-sanitizer.

    python -m benchmarks.gpu.sanitize -o results/sanitize

Each check stands beside one of a planted mistake, which has to be found: a tool that finds nothing
there finds nothing at all. All run at the same time, since none is timed.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from benchmarks.gpu.part import (
    NotHere,
    Results,
    find_tool,
    finish_tool,
    part_parser,
    require_driver,
    run_as_part,
)
from benchmarks.measuring import Budget
from benchmarks.tables import table

TOOL = "compute-sanitizer"
# The tool's own checks, and the mistake that each of them finds.
CHECKS = {"racecheck": "race", "memcheck": "bounds"}
# "ERROR SUMMARY: 0 errors", "RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)".
_SUMMARY = re.compile(r"SUMMARY: (\d+) (?:error|hazard)")


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one check said of the kernels, or of a planted mistake."""

    check: str
    planted: bool
    # None where it did not end with a summary; then the last line says what came instead.
    errors: int | None
    last_line: str


def main(argv: Sequence[str] | None = None) -> int:
    """Check, and check the checks."""
    parser = part_parser("benchmarks.gpu.sanitize", __doc__, budget_seconds=60.0)
    return run_as_part(parser, measure, argv)


def measure(arguments: argparse.Namespace, budget: Budget) -> Results:
    """All at once."""
    require_driver()
    tool = find_tool(TOOL)
    wanted = [(check, planted) for check in CHECKS for planted in (False, True)]
    with ThreadPoolExecutor(len(wanted)) as pool:
        found = list(pool.map(lambda each: _check(tool, each[0], each[1], budget), wanted))
    return judged(found)


def _check(tool: str, check: str, planted: bool, budget: Budget) -> Found:
    case = ["--plant", CHECKS[check]] if planted else ["--classes", "20"]
    command = [tool, "--tool", check, sys.executable, "-m", "benchmarks.gpu.once", *case]
    # Every tensor an allocation of its own, or else its neighbour's memory is within bounds.
    environment = os.environ | {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    text = finish_tool(command, budget, environment)
    return read_summary(check, planted, text)


def read_summary(check: str, planted: bool, text: str) -> Found:
    """The number of errors that the tool's own last words give."""
    summaries = _SUMMARY.findall(text)
    # Without it the case itself may not have run.
    ran = planted or "every kernel ran" in text
    lines = text.strip().splitlines()
    return Found(
        check=check,
        planted=planted,
        errors=int(summaries[-1]) if summaries and ran else None,
        last_line=lines[-1] if lines else "it said nothing",
    )


def judged(found: Sequence[Found]) -> Results:
    """Errors are wrong; a check that misses its planted mistake is left out, whatever it says."""
    wrong: list[str] = []
    left_out: dict[str, str] = {}
    for check in CHECKS:
        kernels, control = (
            next(each for each in found if (each.check, each.planted) == (check, planted))
            for planted in (False, True)
        )
        if not control.errors:
            left_out[check] = f"it does not find a planted mistake here ({control.last_line})"
        elif kernels.errors is None:
            left_out[check] = f"it did not come to its end ({kernels.last_line})"
        elif kernels.errors:
            wrong.append(f"{check} finds {kernels.errors} errors in the kernels; see the log.")
    if len(left_out) == len(CHECKS):
        raise NotHere("; ".join(f"{check}: {reason}" for check, reason in left_out.items()))
    rows = [
        [each.check, "planted mistake" if each.planted else "all kernels", str(each.errors)]
        for each in found
    ]
    return Results(
        document={"checks": [asdict(each) for each in found]},
        table=table([TOOL, "of", "errors"], rows),
        left_out=left_out,
        wrong=tuple(wrong),
    )


if __name__ == "__main__":
    sys.exit(main())
