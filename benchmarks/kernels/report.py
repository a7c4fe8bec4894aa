"""The results as text: one line as each row comes, and Markdown tables at the end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from benchmarks.kernels.baselines import FUSED
from benchmarks.kernels.correctness import Verdict
from benchmarks.kernels.results import BOTH, FORWARD, Floor, OperatorRow, Results, StepRow
from benchmarks.kernels.step import BASELINE
from benchmarks.kernels.timing import Timing, digits

NOTHING = "-"
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
    time = f"{row.time} us" if row.time else "checked"
    return f"{what}: {time}"


def verdict_text(verdict: Verdict) -> str:
    """How far from float64, beside what is allowed."""
    word = "right" if verdict.is_right else "WRONG"
    return f"{word}: {verdict.tensor} {verdict.difference:.1e} (<= {verdict.tolerance:.1e})"


def markdown(results: Results) -> str:
    """Everything."""
    parts = [_machine(results), NOTES]
    parts += [_operator(results, *key) for key in _groups(results.operator)]
    parts += [_steps(rows) for rows in _step_groups(results.steps)]
    parts += [_interpreted(results), _compiled(results), _gaps(results)]
    if results.wrong:
        parts.append("WRONG, and therefore without a speed:\n\n- " + "\n- ".join(results.wrong))
    return "\n\n".join(part for part in parts if part) + "\n"


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns are also aligned for reading as it stands."""
    lines = _without_empty_columns([list(heading), *(list(row) for row in rows)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]

    def text(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        shown = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return "| " + " | ".join(shown) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([text(lines[0]), rule, *(text(line) for line in lines[1:])])


def _without_empty_columns(lines: list[list[str]]) -> list[list[str]]:
    kept = [
        column
        for column in range(len(lines[0]))
        if column == 0 or any(line[column] != NOTHING for line in lines[1:])
    ]
    return [[line[column] for column in kept] for line in lines]


def _machine(results: Results) -> str:
    machine = results.machine
    where = machine.gpu if results.device == "cuda" else f"{machine.processor}, no GPU"
    words = [
        f"{where}; {machine.threads} threads on {machine.cores} cores, load {machine.load} before",
        f"PyTorch {machine.torch}, Triton {machine.triton}, Python {machine.python}",
        f"driver {machine.driver}, CUDA {machine.cuda}" if machine.gpu else "",
        f"commit {machine.commit}, {machine.date}, {results.seconds:.0f} s",
        f"temporal softmax: {results.softmax_scale}",
    ]
    if results.copy_gigabytes_per_second is not None:
        words.append(f"device copy {results.copy_gigabytes_per_second:,.0f} GB/s (read + written)")
    return "; ".join(word for word in words if word) + "."


def _groups(rows: Sequence[OperatorRow]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row.shape, row.dtype) for row in rows))


def _operator(results: Results, shape: str, dtype: str) -> str:
    """One table per shape and type: a line per implementation, then the floor."""
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
    lines += _floor_lines(results, shape, dtype)
    heading = [
        f"{shape}, {dtype}", "forward us", "as graph", "forward + backward us", "as graph",
        "time / copy", "time / ours", "peak MB", "MB / ours", "launches", "host us",
        "against float64",
    ]  # fmt: skip
    return table(heading, lines)


def _is(row: OperatorRow, implementation: str, measured: str) -> bool:
    return row.implementation == implementation and row.measured == measured


def _times(row: OperatorRow | None) -> list[str]:
    return [_text(row.time), _text(row.graph_time)] if row else [NOTHING, NOTHING]


def _rest(results: Results, row: OperatorRow | None, ours: OperatorRow | None) -> list[str]:
    if row is None:
        return [NOTHING] * 7
    floor = results.floor(row)
    return [
        _ratio(best(row), floor.copy.median_us if floor else None),
        _ratio(best(row), best(ours)),
        NOTHING if row.peak_bytes is None else f"{row.peak_bytes / 1e6:,.1f}",
        _ratio(row.peak_bytes, ours.peak_bytes if ours else None),
        NOTHING if row.launches is None else str(row.launches),
        _text(row.host_time),
        verdict_text(row.verdict),
    ]


def best(row: OperatorRow | None) -> float | None:
    """The shorter of plain call and graph, in microseconds."""
    times = [t.median_us for t in (row.time, row.graph_time) if t] if row else []
    return min(times, default=None)


def _floor_lines(results: Results, shape: str, dtype: str) -> list[list[str]]:
    floors = {f.measured: f for f in results.floors if (f.shape, f.dtype) == (shape, dtype)}
    if not floors:
        return []

    def line(name: str, value: str, both: str) -> list[str]:
        return [name, value, NOTHING, both, *[NOTHING] * 8]

    def cell(measured: str, field: str) -> str:
        floor: Floor | None = floors.get(measured)
        microseconds = getattr(floor, field) if floor else None
        return NOTHING if microseconds is None else digits(microseconds)

    copies = [_text(floors[m].copy) if m in floors else NOTHING for m in (FORWARD, BOTH)]
    return [
        line("floor: copy of the bytes", *copies),
        *(
            line(name, cell(FORWARD, field), cell(BOTH, field))
            for name, field in (
                ("floor: issued instructions", "instructions_us"),
                ("floor: special functions", "special_functions_us"),
            )
        ),
    ]


def _step_groups(rows: Sequence[StepRow]) -> list[list[StepRow]]:
    keys = dict.fromkeys((row.shape, row.width, row.dtype) for row in rows)
    return [[r for r in rows if (r.shape, r.width, r.dtype) == key] for key in keys]


def _steps(rows: Sequence[StepRow]) -> str:
    base = next(
        (row.time.median_us for row in rows if row.plan == BASELINE.name and row.time), None
    )
    first = rows[0]
    lines = [
        [
            row.plan,
            NOTHING if row.time is None else _milliseconds(row.time),
            _ratio(base, row.time.median_us if row.time else None),
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
        "load bits", "instructions / element", "special functions / element",
    ]  # fmt: skip
    lines = [
        [
            row.kernel, str(row.target), row.dtype, str(row.num_classes), str(row.registers),
            str(row.spilled_bytes), str(row.shared_bytes), str(row.load_bits),
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


def _text(timing: Timing | None) -> str:
    return NOTHING if timing is None else str(timing)


def _milliseconds(timing: Timing) -> str:
    low, median, high = (us / 1e3 for us in (timing.low_us, timing.median_us, timing.high_us))
    return f"{median:.2f} ({low:.2f}-{high:.2f})"


def _ratio(value: float | None, base: float | None) -> str:
    return NOTHING if value is None or not base else f"{value / base:.2f}"
