"""One picture: how far every implementation is from the roofline, as bars."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.kernels.baselines import FUSED
from benchmarks.kernels.results import BOTH, Results, best
from benchmarks.measuring import digits
from wsgn.errors import MissingExtraError, OutputError, UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".svg", ".png", ".pdf")
# Of the rooflines: copy, instructions, special functions.
LINE_STYLES = ("solid", "dashed", "dotted")
OURS, OTHERS, ROOFLINE = "#0b6e4f", "#9db4c0", "#c1121f"
# Inches: of the picture, of a bar, and of what surrounds the bars of a panel.
WIDTH, BAR, AROUND = 9.0, 0.22, 0.6


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One implementation, or one roofline."""

    name: str
    microseconds: float


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One shape and type: bars, and lines where the rooflines are."""

    title: str
    bars: tuple[Bar, ...]
    # The unit that bars are drawn in comes first: a device copy, or on a CPU ours.
    rooflines: tuple[Bar, ...]

    @property
    def unit(self) -> float:
        """Microseconds at 1 on the axis."""
        return self.rooflines[0].microseconds


def panels(results: Results) -> list[Panel]:
    """Forward + backward of every shape and type that has times."""
    found = []
    for shape, dtype in dict.fromkeys((row.shape, row.dtype) for row in results.operator):
        rows = [
            (row, time_us)
            for row in results.operator
            if (row.shape, row.dtype, row.measured) == (shape, dtype, BOTH)
            if (time_us := best(row)) is not None
        ]
        bars = tuple(Bar(name=row.implementation, microseconds=us) for row, us in rows)
        roofline = next((r for row, _ in rows if (r := results.roofline(row))), None)
        lines = [bar for bar in bars if bar.name == FUSED.name]
        if roofline is not None:
            named = (
                ("copy", roofline.copy_us.median),
                ("instructions", roofline.instructions_us),
                ("special functions", roofline.special_functions_us),
            )
            lines = [Bar(name=name, microseconds=us) for name, us in named if us]
        if bars and lines:
            found.append(Panel(title=f"{shape}, {dtype}", bars=bars, rooflines=tuple(lines)))
    return found


def check_drawable(path: Path) -> None:
    """Before anything is measured. Raises `UsageError` and `MissingExtraError`."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"--figure {path}: the name must end in {', '.join(SUFFIXES)}.")
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError("drawing a figure", "bench")


def draw(results: Results, path: Path) -> None:
    """Write the picture; without a time there is none. Raises `OutputError`."""
    from matplotlib.figure import Figure

    shown = panels(results)
    if not shown:
        return
    heights = [AROUND + BAR * len(panel.bars) for panel in shown]
    figure = Figure(figsize=(WIDTH, sum(heights) + AROUND), layout="constrained")
    all_axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False, height_ratios=heights)[
        :, 0
    ]
    for axes, panel in zip(all_axes, shown, strict=True):
        _draw_panel(axes, panel)
    multiples = [bar.microseconds / p.unit for p in shown for bar in (*p.bars, *p.rooflines)]
    # One axis for all, with room for the numbers behind the longest bar.
    all_axes[0].set_xlim(0.8 * min(multiples), 4 * max(*multiples, 10.0))
    unit = "a device copy of the least bytes" if results.device == "cuda" else "our time"
    where = results.machine.gpu or results.machine.processor
    figure.suptitle(f"Forward + backward in multiples of {unit}; {where}", fontsize=10)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except OSError as error:
        raise OutputError(f"figure {path} cannot be written: {error.strerror}.") from error


def _draw_panel(axes: Axes, panel: Panel) -> None:
    names = [bar.name for bar in panel.bars]
    multiples = [bar.microseconds / panel.unit for bar in panel.bars]
    colours = [OURS if name == FUSED.name else OTHERS for name in names]
    drawn = axes.barh(range(len(names)), multiples, color=colours, tick_label=names)
    axes.bar_label(
        drawn,
        [f"{multiple:.2f} x, {digits(bar.microseconds)} us"
         for multiple, bar in zip(multiples, panel.bars, strict=True)],
        padding=3, fontsize=7,
    )  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.invert_yaxis()
    axes.tick_params(labelsize=8)
    _draw_rooflines(axes, panel)
    axes.set_title(panel.title, fontsize=9, loc="left")


def _draw_rooflines(axes: Axes, panel: Panel) -> None:
    lines: Sequence[tuple[Bar, str]] = tuple(zip(panel.rooflines, LINE_STYLES, strict=False))
    for line, style in lines:
        label = f"{line.name} {digits(line.microseconds)} us"
        multiple = line.microseconds / panel.unit
        axes.axvline(multiple, color=ROOFLINE, linestyle=style, linewidth=1, label=label)
    axes.legend(
        fontsize=7, loc="lower right", bbox_to_anchor=(1, 0.98), ncols=len(lines), frameon=False
    )
