"""What a run found, as it is stored, and as text: a line as each row comes, tables at the end."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.kernels.baselines import FUSED
from benchmarks.kernels.correctness import Verdict
from benchmarks.kernels.step import BASELINE
from benchmarks.measuring import Spread, digits
from benchmarks.results import Machine
from benchmarks.tables import NOTHING, table
from wsgn.kernels.ahead_of_time.compiled import KernelReport

FORWARD, BOTH = "forward", "forward + backward"


@dataclass(frozen=True, kw_only=True)
class OperatorRow:
    """The operator alone, in one implementation; times are None where they are not known."""

    shape: str
    dtype: str
    # FORWARD (everything kept that a backward needs) or BOTH.
    measured: str
    implementation: str
    verdict: Verdict
    time_us: Spread | None = None
    # The same as a CUDA graph.
    graph_time_us: Spread | None = None
    # Of the host, per call; for the smallest shape.
    host_time_us: Spread | None = None
    # Most memory beyond the inputs.
    peak_bytes: int | None = None
    # Kernels, copies and fills.
    launches: int | None = None


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """What the hardware needs at least, in microseconds."""

    shape: str
    dtype: str
    measured: str
    # Bytes that must be read and written, and a device copy that moves as many.
    bytes: int
    copy_us: Spread
    # Issue and special-function slots at full rate for the instructions of the compiled kernels.
    instructions_us: float | None = None
    special_functions_us: float | None = None


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """A whole training step."""

    shape: str
    dtype: str
    # Channels of the features and of the hidden layers.
    width: int
    plan: str
    verdict: Verdict
    time_us: Spread | None = None
    peak_bytes: int | None = None
    launches: int | None = None


@dataclass(frozen=True, kw_only=True)
class Gap:
    """What was not measured, and why."""

    what: str
    reason: str
    # Whether something of ours did not work, rather than did not fit or is not there.
    failed: bool = False


@dataclass(kw_only=True)
class Results:
    """Everything; lists grow while the run goes on, so that an end by force loses little."""

    machine: Machine
    device: str
    softmax_scale: str
    # Of a large device copy, bytes read plus bytes written; None on a CPU.
    copy_gigabytes_per_second: float | None = None
    operator: list[OperatorRow] = field(default_factory=list)
    rooflines: list[Roofline] = field(default_factory=list)
    steps: list[StepRow] = field(default_factory=list)
    # Checks in Triton's interpreter, on a machine without a GPU.
    interpreted: list[OperatorRow] = field(default_factory=list)
    compiled: list[KernelReport] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def wrong(self) -> list[str]:
        """What differed from float64."""
        operator = [
            f"{row.implementation}, {row.shape}, {row.dtype}, {row.measured}"
            for row in (*self.operator, *self.interpreted)
            if not row.verdict.is_right
        ]
        steps = [
            f"training step, {row.plan}, {row.shape}, width {row.width}, {row.dtype}"
            for row in self.steps
            if not row.verdict.is_right
        ]
        return operator + steps

    def roofline(self, row: OperatorRow) -> Roofline | None:
        """The roofline that a row is held against."""
        key = (row.shape, row.dtype, row.measured)
        return next((f for f in self.rooflines if (f.shape, f.dtype, f.measured) == key), None)

    @property
    def exit_code(self) -> int:
        """1 where something is wrong or failed."""
        return int(bool(self.wrong) or any(gap.failed for gap in self.gaps))

    def document(self) -> dict[str, Any]:
        """What is stored beside the machine."""
        found = dataclasses.asdict(self) | {"wrong": self.wrong}
        del found["machine"]
        return found


NOTES = (
    "Times are medians with 10th and 90th percentile. Peak MB is the most memory that is held at a "
    "time beyond the inputs, by the allocator's own record. Differences are relative, of the worst "
    "video. The ratios use the shorter of the plain call and its CUDA graph."
)


def one_line(row: OperatorRow | StepRow) -> str:
    """A row while the run goes on."""
    if isinstance(row, OperatorRow):
        what = f"{row.shape}, {row.dtype}, {row.measured}, {row.implementation}"
    else:
        what = f"{row.shape}, width {row.width}, {row.dtype}, training step, {row.plan}"
    if not row.verdict.is_right:
        return f"{what}: {verdict_text(row.verdict)}"
    time = f"{row.time_us} us" if row.time_us else "checked"
    return f"{what}: {time}"


def verdict_text(verdict: Verdict) -> str:
    """How far from float64, beside what is allowed."""
    word = "right" if verdict.is_right else "WRONG"
    return f"{word}: {verdict.tensor} {verdict.difference:.1e} (<= {verdict.tolerance:.1e})"


def markdown(results: Results) -> str:
    """Everything but the machine."""
    parts = [_conditions(results), NOTES]
    parts += [_operator(results, *key) for key in _groups(results.operator)]
    parts += [_steps(rows) for rows in _step_groups(results.steps)]
    parts += [_interpreted(results), _compiled(results), _gaps(results)]
    if results.wrong:
        parts.append("WRONG, and therefore without a speed:\n\n- " + "\n- ".join(results.wrong))
    return "\n\n".join(part for part in parts if part) + "\n"


def _conditions(results: Results) -> str:
    words = [f"temporal softmax: {results.softmax_scale}", f"{results.seconds:.0f} s in all"]
    if results.copy_gigabytes_per_second is not None:
        words.append(f"device copy {results.copy_gigabytes_per_second:,.0f} GB/s (read + written)")
    return "; ".join(words) + "."


def _groups(rows: Sequence[OperatorRow]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row.shape, row.dtype) for row in rows))


def _operator(results: Results, shape: str, dtype: str) -> str:
    """One table per shape and type: a line per implementation, then the roofline."""
    rows = [row for row in results.operator if (row.shape, row.dtype) == (shape, dtype)]
    ours = next((row for row in rows if _is(row, FUSED.name, BOTH)), None)
    names = dict.fromkeys(row.implementation for row in rows)
    lines = []
    for name in names:
        forward, both = (
            next((row for row in rows if _is(row, name, measured)), None)
            for measured in (FORWARD, BOTH)
        )
        lines.append([name, *_times(forward), *_times(both), *_rest(results, both, ours)])
    lines += _roofline_lines(results, shape, dtype)
    heading = [
        f"{shape}, {dtype}", "forward us", "as graph", "forward + backward us", "as graph",
        "time / copy", "time / ours", "peak MB", "MB / ours", "launches", "host us",
        "against float64",
    ]  # fmt: skip
    return table(heading, lines)


def _is(row: OperatorRow, implementation: str, measured: str) -> bool:
    return row.implementation == implementation and row.measured == measured


def _times(row: OperatorRow | None) -> list[str]:
    return [_text(row.time_us), _text(row.graph_time_us)] if row else [NOTHING, NOTHING]


def _rest(results: Results, row: OperatorRow | None, ours: OperatorRow | None) -> list[str]:
    if row is None:
        return [NOTHING] * 7
    roofline = results.roofline(row)
    return [
        _ratio(best(row), roofline.copy_us.median if roofline else None),
        _ratio(best(row), best(ours)),
        NOTHING if row.peak_bytes is None else f"{row.peak_bytes / 1e6:,.1f}",
        _ratio(row.peak_bytes, ours.peak_bytes if ours else None),
        NOTHING if row.launches is None else str(row.launches),
        _text(row.host_time_us),
        verdict_text(row.verdict),
    ]


def best(row: OperatorRow | None) -> float | None:
    """The shorter of plain call and graph, in microseconds."""
    times = [t.median for t in (row.time_us, row.graph_time_us) if t] if row else []
    return min(times, default=None)


def _roofline_lines(results: Results, shape: str, dtype: str) -> list[list[str]]:
    rooflines = {f.measured: f for f in results.rooflines if (f.shape, f.dtype) == (shape, dtype)}
    if not rooflines:
        return []

    def line(name: str, value: str, both: str) -> list[str]:
        return [name, value, NOTHING, both, *[NOTHING] * 8]

    def cell(measured: str, field: str) -> str:
        roofline: Roofline | None = rooflines.get(measured)
        microseconds = getattr(roofline, field) if roofline else None
        return NOTHING if microseconds is None else digits(microseconds)

    copies = [_text(rooflines[m].copy_us) if m in rooflines else NOTHING for m in (FORWARD, BOTH)]
    return [
        line("roofline: copy of the bytes", *copies),
        *(
            line(name, cell(FORWARD, field), cell(BOTH, field))
            for name, field in (
                ("roofline: issued instructions", "instructions_us"),
                ("roofline: special functions", "special_functions_us"),
            )
        ),
    ]


def _step_groups(rows: Sequence[StepRow]) -> list[list[StepRow]]:
    keys = dict.fromkeys((row.shape, row.width, row.dtype) for row in rows)
    return [[r for r in rows if (r.shape, r.width, r.dtype) == key] for key in keys]


def _steps(rows: Sequence[StepRow]) -> str:
    base = next(
        (row.time_us.median for row in rows if row.plan == BASELINE.name and row.time_us), None
    )
    first = rows[0]
    lines = [
        [
            row.plan,
            NOTHING if row.time_us is None else str(row.time_us.scaled(1e-3)),
            _ratio(base, row.time_us.median if row.time_us else None),
            NOTHING if row.peak_bytes is None else f"{row.peak_bytes / 1e6:,.0f}",
            NOTHING if row.launches is None else str(row.launches),
            verdict_text(row.verdict),
        ]
        for row in rows
    ]
    title = f"training step, {first.shape}, width {first.width}, {first.dtype}"
    heading = [title, "ms per step", "gain", "peak MB", "launches", "against float64"]
    return table(heading, lines)


def _interpreted(results: Results) -> str:
    if not results.interpreted:
        return ""
    lines = [
        [row.shape, row.dtype, row.implementation, verdict_text(row.verdict)]
        for row in results.interpreted
    ]
    return table(["interpreter: lengths", "dtype", "kernels", "against float64"], lines)


def _compiled(results: Results) -> str:
    if not results.compiled:
        return ""
    heading = [
        "compiled kernel", "sm", "dtype", "C", "registers", "spilled bytes", "shared bytes",
        "load bits", "barriers", "instructions / element", "special functions / element",
    ]  # fmt: skip
    lines = [
        [
            row.kernel, str(row.target), row.dtype, str(row.num_classes), str(row.registers),
            str(row.spilled_bytes), str(row.shared_bytes), str(row.load_bits),
            str(row.barriers),
            _count(row.instructions_per_element, 1), _count(row.special_functions_per_element, 2),
        ]
        for row in results.compiled
    ]  # fmt: skip
    return table(heading, lines)


def _count(number: float, decimals: int) -> str:
    return NOTHING if math.isnan(number) else f"{number:.{decimals}f}"


def _gaps(results: Results) -> str:
    if not results.gaps:
        return ""
    lines = [[g.what, "FAILED" if g.failed else "skipped", g.reason] for g in results.gaps]
    return table(["not measured", "", "why"], lines)


def _text(timing: Spread | None) -> str:
    return NOTHING if timing is None else str(timing)


def _ratio(value: float | None, base: float | None) -> str:
    return NOTHING if value is None or not base else f"{value / base:.2f}"
