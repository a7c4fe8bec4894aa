"""What the parts of a run on a GPU share: the device, the time that is left, and the results."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from benchmarks.kernels.report import one_line
from benchmarks.kernels.results import Gap, OperatorRow, Results, StepRow
from benchmarks.kernels.timing import DeviceStopwatch


@dataclass(kw_only=True)
class Budget:
    """Seconds for the whole run, from now on."""

    seconds: float
    started: float

    @classmethod
    def of(cls, seconds: float) -> Budget:
        """Start the clock."""
        return cls(seconds=seconds, started=time.monotonic())

    @property
    def used(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def allows(self, seconds: float, *, reserve: float = 0.0) -> bool:
        """Whether so much fits, with `reserve` kept for what comes later."""
        return self.used + seconds + reserve <= self.seconds


@dataclass(kw_only=True)
class GpuSession:
    """One run."""

    device: torch.device
    stopwatch: DeviceStopwatch
    budget: Budget
    results: Results
    # Compare with float64 and time nothing.
    check_only: bool = False

    def add(self, row: OperatorRow | StepRow) -> None:
        """Keep a row, and say it as it comes."""
        if isinstance(row, OperatorRow):
            self.results.operator.append(row)
        else:
            self.results.steps.append(row)
        print(one_line(row), file=sys.stderr, flush=True)

    def skip(self, what: str, reason: object, *, failed: bool = False) -> None:
        """Keep what was not measured."""
        first_line = str(reason).strip().split("\n")[0][:300]
        self.results.gaps.append(Gap(what=what, reason=first_line, failed=failed))
        print(f"{what}: skipped: {first_line}", file=sys.stderr, flush=True)

    def fits(self, what: str, seconds: float, *, reserve: float = 0.0) -> bool:
        """Whether there is time for something; where not, that is kept."""
        fits = self.budget.allows(seconds, reserve=reserve)
        if not fits:
            self.skip(what, f"no time left in the budget of {self.budget.seconds:.0f} s")
        return fits

    @contextmanager
    def guarded(self, what: str, *, ours: bool) -> Iterator[None]:
        """Go on after an error; out of memory, and a peer that fails, are no bug of ours."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            self.skip(what, f"out of memory: {error}")
        except Exception as error:
            # Triton's errors share no base class with PyTorch's.
            self.skip(what, f"{type(error).__name__}: {error}", failed=ours)
