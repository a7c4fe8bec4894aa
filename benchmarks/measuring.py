"""Figures with their spread, the time that is left, and what a process costs."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wsgn.errors import WsgnError

Work = Callable[[], object]
Clock = Callable[[], float]

# The command, whether or not its script is installed.
_START = "import sys; from wsgn.runtime.cli.main import main; sys.exit(main())"
WSGN_RUN = (sys.executable, "-c", _START)
# Turns of `time_in_turn`.
FEWEST_TURNS, MOST_TURNS = 3, 21


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Some figures of one kind: their median, and the 10 and 90 % points."""

    median: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{digits(self.median)} ({digits(self.low)}-{digits(self.high)})"

    def scaled(self, factor: float) -> Spread:
        """The same in another unit."""
        return Spread(
            median=factor * self.median,
            low=factor * self.low,
            high=factor * self.high,
            count=self.count,
        )


def spread_of(values: Sequence[float]) -> Spread:
    """Median and spread of at least one figure."""
    low, median, high = np.quantile(np.asarray(values, dtype=np.float64), [0.1, 0.5, 0.9]).tolist()
    return Spread(median=median, low=low, high=high, count=len(values))


def mean_and_deviation(values: Sequence[float] | npt.NDArray[np.float64], decimals: int = 1) -> str:
    """As tables show several seeds: "41.4 ± 0.8"; the deviation of one alone is 0."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return f"{np.mean(values):.{decimals}f} ± {deviation:.{decimals}f}"


def digits(number: float) -> str:
    """Three digits or more, trailing zeros included: "0.123", "12.3", "1,234"."""
    size = abs(number)
    if size >= 100:
        return f"{number:,.0f}"
    return f"{number:.{1 if size >= 10 else 2 if size >= 1 else 3}f}"


def seconds_of(work: Work, clock: Clock = time.perf_counter) -> float:
    """Time of one call."""
    start = clock()
    work()
    return clock() - start


def time_in_turn(works: Mapping[str, Work], aim_seconds: float) -> dict[str, Spread]:
    """Microseconds of each; they take turns so that a disturbance of the machine meets all alike.

    As many turns as fit into `aim_seconds`, within FEWEST_TURNS and MOST_TURNS; one before them
    says how many, and is not counted.
    """
    round_seconds = sum(seconds_of(work) for work in works.values())
    turns = round(aim_seconds / max(round_seconds, 1e-6))
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(min(max(turns, FEWEST_TURNS), MOST_TURNS)):
        order = list(works)[:: 1 if turn % 2 == 0 else -1]
        for name in order:
            taken[name].append(1e6 * seconds_of(works[name]))
    return {name: spread_of(microseconds) for name, microseconds in taken.items()}


@dataclass(kw_only=True)
class Budget:
    """Seconds for a whole run, from when it was made."""

    seconds: float
    clock: Clock = time.monotonic
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def used(self) -> float:
        """Seconds since the start."""
        return self.clock() - self.started

    @property
    def left(self) -> float:
        """Seconds that remain; none or less when it is spent."""
        return self.seconds - self.used

    def allows(self, seconds: float, *, reserve: float = 0.0) -> bool:
        """Whether so much fits, with `reserve` kept for what comes later."""
        return seconds + reserve <= self.left


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What some work cost."""

    # On the wall, and of all threads' processors.
    seconds: float
    processor_seconds: float
    # The process's high-water mark, what it held before the work included.
    peak_megabytes: float


class Watch:
    """Measures work inside this process, from when it was made."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def usage(self) -> Usage:
        """Until now."""
        return Usage(
            seconds=time.perf_counter() - self._wall,
            processor_seconds=time.process_time() - self._processor,
            peak_megabytes=_megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss),
        )


@dataclass(frozen=True, kw_only=True)
class CommandRun:
    """A command that ended well."""

    usage: Usage
    # What it printed, and when each line came, in seconds after its start.
    lines: tuple[str, ...]
    line_seconds: tuple[float, ...]


class CommandError(WsgnError):
    """A command did not end well."""


class TooSlowError(CommandError):
    """A command did not end in time."""


# Starts the command and waits for it. The peak memory that the system reports of a process counts
# what its parent held when it was started, so the parent has to be small.
_WATCHER = """
import json, resource, subprocess, sys, time
started = time.monotonic()
code = subprocess.call(sys.argv[2:])
seconds, used = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    json.dump([started, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss], file)
sys.exit(code)
"""


def run_measured(
    command: Sequence[str],
    *,
    what: str,
    environment: Mapping[str, str] | None = None,
    limit_seconds: float | None = None,
) -> CommandRun:
    """Run a command in a process of its own. Raises `CommandError` where it fails.

    Raises `TooSlowError` where it takes longer than its limit.
    """
    with tempfile.TemporaryDirectory() as folder:
        figures, errors = Path(folder) / "figures.json", Path(folder) / "errors.txt"
        watched = [sys.executable, "-S", "-c", _WATCHER, str(figures), *command]
        with (
            errors.open("w") as file,
            subprocess.Popen(
                watched, stdout=subprocess.PIPE, stderr=file, text=True, env=environment,
                start_new_session=True,
            ) as process,
            _ended(process, limit_seconds) as was_too_slow,
        ):  # fmt: skip
            assert process.stdout is not None
            came = [(line.rstrip("\n"), time.monotonic()) for line in process.stdout]
            process.wait()
        if was_too_slow():
            raise TooSlowError(f"{what} did not end in the {limit_seconds:.0f} s that were left.")
        if process.returncode != 0:
            said = (errors.read_text(errors="replace").strip().splitlines() or ["nothing"])[-1]
            raise CommandError(f"{what} ended with exit code {process.returncode} and said: {said}")
        started, seconds, processor_seconds, peak = json.loads(figures.read_text())
    return CommandRun(
        usage=Usage(
            seconds=seconds, processor_seconds=processor_seconds, peak_megabytes=_megabytes(peak)
        ),
        lines=tuple(line for line, _ in came),
        line_seconds=tuple(moment - started for _, moment in came),
    )


@contextmanager
def _ended(
    process: subprocess.Popen[str], limit_seconds: float | None
) -> Iterator[Callable[[], bool]]:
    """End a process and all that it started at its limit, and where this one is interrupted."""
    is_late = threading.Event()

    def end() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def end_late() -> None:
        is_late.set()
        end()

    timer = None if limit_seconds is None else threading.Timer(limit_seconds, end_late)
    if timer is not None:
        timer.start()
    try:
        yield is_late.is_set
    except BaseException:
        end()
        raise
    finally:
        if timer is not None:
            timer.cancel()


def _megabytes(ru_maxrss: float) -> float:
    """Linux counts in units of 1,024 bytes, macOS in bytes."""
    return ru_maxrss / 1e6 if sys.platform == "darwin" else ru_maxrss * 1024 / 1e6
