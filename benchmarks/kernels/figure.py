"""One picture: how far every implementation is from the floor, as bars in an SVG file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from benchmarks.kernels.baselines import FUSED
from benchmarks.kernels.report import best
from benchmarks.kernels.results import BOTH, Results
from benchmarks.kernels.timing import digits

# Pixels.
WIDTH, LABELS, MARGIN = 900, 190, 12
BAR, GAP, TITLE = 15, 4, 24
NUMBERS = 150
# Of the floors: copy, instructions, special functions.
DASHES = ("none", "6 3", "2 3")
OURS, OTHERS, FLOOR, INK = "#0b6e4f", "#9db4c0", "#c1121f", "#222222"
TYPE = "font-family='sans-serif' font-size='11'"


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One implementation."""

    name: str
    microseconds: float


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One shape and type: bars, and lines where the floors are."""

    title: str
    bars: tuple[Bar, ...]
    # Name and microseconds, the unit that bars are drawn in first: a device copy, or on a CPU ours.
    floors: tuple[Bar, ...]

    @property
    def unit(self) -> float:
        """Microseconds at 1 on the axis."""
        return self.floors[0].microseconds

    @property
    def height(self) -> int:
        """Pixels."""
        return TITLE + len(self.bars) * (BAR + GAP) + MARGIN


def panels(results: Results) -> list[Panel]:
    """Forward + backward of every shape and type that has times."""
    found = []
    for shape, dtype in dict.fromkeys((row.shape, row.dtype) for row in results.operator):
        rows = [
            (row, time)
            for row in results.operator
            if (row.shape, row.dtype, row.measured) == (shape, dtype, BOTH)
            if (time := best(row)) is not None
        ]
        bars = tuple(Bar(name=row.implementation, microseconds=time) for row, time in rows)
        floor = next((f for row, _ in rows if (f := results.floor(row))), None)
        ours = [bar for bar in bars if bar.name == FUSED.name]
        floors = [Bar(name="ours", microseconds=bar.microseconds) for bar in ours]
        if floor is not None:
            floors = [Bar(name="copy", microseconds=floor.copy.median_us)]
            arithmetic = (
                ("instructions", floor.instructions_us),
                ("special functions", floor.special_functions_us),
            )
            floors += [Bar(name=name, microseconds=us) for name, us in arithmetic if us]
        if bars and floors:
            found.append(Panel(title=f"{shape}, {dtype}", bars=bars, floors=tuple(floors)))
    return found


def draw(results: Results) -> str:
    """The SVG document."""
    shown = panels(results)
    longest = max((bar.microseconds / p.unit for p in shown for bar in p.bars), default=1.0)
    shortest = min(
        (bar.microseconds / p.unit for p in shown for bar in (*p.bars, *p.floors)), default=1.0
    )
    axis = _Axis(low=0.8 * min(shortest, 1.0), high=max(longest, 10.0))
    unit = "a device copy of the least bytes" if results.device == "cuda" else "our time"
    heading = f"Forward + backward in multiples of {unit}, logarithmic; {_where(results)}"
    body = [_label(MARGIN, 18, heading)]
    top = 2 * TITLE
    for panel in shown:
        body += _panel(panel, top, axis)
        top += panel.height
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{top}' "
        f"viewBox='0 0 {WIDTH} {top}'>\n<rect width='100%' height='100%' fill='white'/>\n"
        + "\n".join(body)
        + "\n</svg>\n"
    )


@dataclass(frozen=True, kw_only=True)
class _Axis:
    """Logarithmic, from `low` to `high` times the unit."""

    low: float
    high: float

    def x(self, value: float) -> float:
        """Pixels from the left."""
        span = WIDTH - LABELS - NUMBERS - MARGIN
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return LABELS + span * min(max(share, 0.0), 1.0)


def _where(results: Results) -> str:
    return results.machine.gpu or results.machine.processor


def _panel(panel: Panel, top: int, axis: _Axis) -> list[str]:
    parts = [_label(MARGIN, top + 14, panel.title, bold=True)]
    first = top + TITLE
    bottom = first + len(panel.bars) * (BAR + GAP)
    for index, bar in enumerate(panel.bars):
        y = first + index * (BAR + GAP)
        parts += _bar(bar, y, panel.unit, axis)
    for floor, dashes in zip(panel.floors, DASHES, strict=False):
        parts.append(_line(axis.x(floor.microseconds / panel.unit), first - 4, bottom, dashes))
    parts.append(_label(LABELS, top + 14, _legend(panel.floors), colour=FLOOR))
    return parts


def _legend(floors: Sequence[Bar]) -> str:
    strokes = ("line", "dashed", "dotted")
    return ", ".join(
        f"{stroke}: {bar.name} {digits(bar.microseconds)} us"
        for stroke, bar in zip(strokes, floors, strict=False)
    )


def _bar(bar: Bar, y: int, unit: float, axis: _Axis) -> list[str]:
    multiple = bar.microseconds / unit
    end = axis.x(multiple)
    colour = OURS if bar.name == FUSED.name else OTHERS
    return [
        _label(MARGIN, y + 12, bar.name),
        f"<rect x='{LABELS}' y='{y}' width='{end - LABELS:.1f}' height='{BAR}' fill='{colour}'/>",
        _label(end + 5, y + 12, f"{multiple:.2f} x, {digits(bar.microseconds)} us"),
    ]


def _line(x: float, top: int, bottom: int, dashes: str) -> str:
    return (
        f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{top}' y2='{bottom}' stroke='{FLOOR}' "
        f"stroke-width='1.5' stroke-dasharray='{dashes}'/>"
    )


def _label(x: float, y: int, text: str, *, bold: bool = False, colour: str = INK) -> str:
    weight = " font-weight='bold'" if bold else ""
    return f"<text x='{x:.1f}' y='{y}' fill='{colour}' {TYPE}{weight}>{escape(text)}</text>"
