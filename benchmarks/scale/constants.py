"""What was measured once, and what the model is made of: a file of constants with their spread."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.measuring import digits, spread_of
from benchmarks.results import PACKAGES, describe_machine
from wsgn.errors import InputError, UsageError
from wsgn.support.json_input import read_object
from wsgn.support.records import record_from_dict

# Those that come with the checkout.
MEASURED = Path(__file__).parent / "measured.json"
# Of a normal distribution, between its 10 and 90 % points, in standard deviations.
_TENTHS_APART = 2.563

# By name: the unit, and how it is measured.
KINDS: dict[str, tuple[str, str]] = {
    "start": ("s", "one process on one video, less what the video itself takes"),
    "video": ("s", "more videos of 2 s in one process, files written; without decoding and engine"),
    "snippet": ("s", "longer videos, beyond decoding and engine: segments and events"),
    "engine_snippet": ("s", "the engine alone in batches of a run, one thread"),
    "decode_frame": ("s", "decoding and scaling alone: what does not grow with the picture"),
    "decode_pixel": ("s", "decoding and scaling alone, for each pixel of a frame"),
    "worker_start": ("s", "--workers 1 against one process, one video"),
    "worker_video": ("s", "--workers 1 against one process, for each further video"),
    "parent_video": ("s", "--workers 1, for each further video in the process that hands them out"),
    "feature_start": ("s", "as start, heads on features"),
    "feature_video": ("s", "as video, feature files of 50 snippets"),
    "feature_snippet": ("s", "longer feature files: reading, heads, segments and events"),
    "merge_start": ("s", "wsgn-run merge of one source"),
    "merge_video": ("s", "wsgn-run merge, for each further source"),
    "resume_video": ("s", "--resume, for each source that is done"),
    "reference": ("s", "a fixed piece of Python and NumPy, by which cores can be compared"),
    "file": ("s", "a small file that is written and made safe, wall time"),
    "disk_megabyte": ("s", "reading a file that is not in memory, wall time"),
    "camera": ("s", "each second of a camera in one process for all, beyond decoding and engine"),
    "camera_memory": ("MB", "each camera of 320 x 240 in one process for all"),
    "camera_process_memory": ("MB", "a process for cameras, beside them"),
}


@dataclass(frozen=True, kw_only=True)
class Constant:
    """One figure: its median, and 10 and 90 % points as other repeats would have given them."""

    unit: str
    how: str
    median: float
    low: float
    high: float
    # Repeats.
    count: int

    def __str__(self) -> str:
        """In units that can be read, such as "0.123 (0.120-0.130) ms"."""
        factor, unit = _readable(self.median, self.unit)
        low, median, high = (digits(factor * one) for one in (self.low, self.median, self.high))
        return f"{median} ({low}-{high}) {unit}"


@dataclass(frozen=True, kw_only=True)
class Constants:
    """All of them, and where they hold."""

    # In words.
    machine: str
    date: str
    commit: str
    python: str
    versions: dict[str, str]
    # Of the engine on frames.
    snippets_per_second: float
    constants: dict[str, Constant]

    def medians(self) -> dict[str, float]:
        """Each one as it was most often."""
        return {name: constant.median for name, constant in self.constants.items()}

    def draw(self, random: np.random.Generator) -> dict[str, float]:
        """Each one as it may have been, apart from the others: normal, and never below nothing."""
        return {
            name: max(0.0, random.normal(one.median, (one.high - one.low) / _TENTHS_APART))
            for name, one in self.constants.items()
        }

    def given(self, name: str, value: float) -> Constants:
        """These and one in seconds that the user gives, without a spread."""
        one = Constant(unit="s", how="given", median=value, low=value, high=value, count=0)
        return replace(self, constants=self.constants | {name: one})

    def require(self, names: Sequence[str], purpose: str) -> None:
        """Raise `UsageError` where one is lacking."""
        missing = [name for name in names if name not in self.constants]
        if missing:
            raise UsageError(
                f"{purpose} was not measured: '{missing[0]}' is not among the constants; "
                "python -m benchmarks.scale measure measures it."
            )

    def __str__(self) -> str:
        return f"{self.machine}, {self.date}, commit {self.commit}"


def constants_of(
    draws: Mapping[str, Sequence[float]], *, repeats: int, machine: str, snippets_per_second: float
) -> Constants:
    """The constants of their draws, the first of which is of all repeats, as of this checkout."""
    here = describe_machine()
    return Constants(
        machine=machine,
        date=datetime.date.fromisoformat(here.date[:10]).isoformat(),
        commit=here.commit,
        python=platform.python_version(),
        versions={name: here.versions[name] for name in PACKAGES if name in here.versions},
        snippets_per_second=snippets_per_second,
        constants={name: _constant(name, values, repeats) for name, values in draws.items()},
    )


def _constant(name: str, values: Sequence[float], repeats: int) -> Constant:
    spread = spread_of(values)
    unit, how = KINDS[name]
    return Constant(
        unit=unit, how=how, median=values[0], low=min(spread.low, values[0]),
        high=max(spread.high, values[0]), count=repeats,
    )  # fmt: skip


def read_constants(path: Path) -> Constants:
    """Those of a file. Raises `InputError` where it holds none."""
    document = read_object(path)
    try:
        found = record_from_dict(Constants, document, what=f"'{path}'")
    except UsageError as error:
        raise InputError(str(error)) from error
    if unknown := sorted(found.constants.keys() - KINDS.keys()):
        raise InputError(f"'{path}' holds a constant that the model does not know: {unknown[0]}.")
    return found


def _readable(value: float, unit: str) -> tuple[float, str]:
    if unit != "s":
        return 1.0, unit
    for factor, name in ((1.0, "s"), (1e3, "ms"), (1e6, "us")):
        if abs(value) * factor >= 1:
            return factor, name
    return 1e9, "ns"
