"""How fast the engine is, how long snippets wait for it, and whether its outputs are numbers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from wsgn.engines.engine import EngineOutputs
from wsgn.errors import EngineError
from wsgn.support.arrays import BoolArray

from ..streaming.finite import JUDGED_FROM, LARGEST_SHARE, finite_rows

# A batch takes at most this long where the engine is as fast as the last time: what arrives
# meanwhile has to wait for it.
_BATCH_SECONDS = 0.2
# Waits that are kept.
_NUM_WAITS = 10_000
# Snippets over which refused ones are counted.
_GUARDED = 1000


@dataclass(frozen=True, kw_only=True)
class EngineStatistics:
    """What the engine did; times in seconds, NaN where there is none yet."""

    num_snippets: int
    num_batches: int
    # In calls of the engine, of the process's whole life.
    busy_seconds: float
    # Of the last batch.
    seconds_per_snippet: float
    # From the arrival of a snippet's last picture to its scores, over the last 10,000.
    wait_median_seconds: float
    wait_99_seconds: float


class Pace:
    """Measures calls of the engine, one after another."""

    def __init__(self, largest_batch: int) -> None:
        self._largest_batch = largest_batch
        self._num_batches = self._num_snippets = 0
        self._busy_seconds = 0.0
        self._seconds_per_snippet: float | None = None
        self._landed_last = 0.0
        self._waits: deque[float] = deque(maxlen=_NUM_WAITS)

    @property
    def batch_size(self) -> int:
        """Most snippets for the next call."""
        if not self._seconds_per_snippet:
            return self._largest_batch
        fitting = int(_BATCH_SECONDS / self._seconds_per_snippet)
        return max(1, min(self._largest_batch, fitting))

    def landed(self, arrivals: list[float], *, submitted: float, now: float) -> float:
        """Of a batch whose last pictures arrived then; seconds that it took the engine."""
        # What was submitted while another batch was computed began with that one's end.
        seconds = now - max(submitted, self._landed_last)
        self._landed_last = now
        self._busy_seconds += seconds
        self._seconds_per_snippet = seconds / len(arrivals)
        self._num_batches += 1
        self._num_snippets += len(arrivals)
        self._waits.extend(now - arrival for arrival in arrivals)
        return seconds

    def statistics(self) -> EngineStatistics:
        """What was measured so far."""
        median, high = np.nan, np.nan
        if self._waits:
            median, high = np.percentile(self._waits, (50, 99)).tolist()
        return EngineStatistics(
            num_snippets=self._num_snippets,
            num_batches=self._num_batches,
            busy_seconds=self._busy_seconds,
            seconds_per_snippet=self._seconds_per_snippet or np.nan,
            wait_median_seconds=median,
            wait_99_seconds=high,
        )


class RecentGuard:
    """Refuses outputs that hold NaN or infinity, and an engine that gives many of late."""

    def __init__(self, engine_name: str) -> None:
        self._engine_name = engine_name
        self._refused: deque[bool] = deque(maxlen=_GUARDED)

    def usable(self, outputs: EngineOutputs) -> BoolArray:
        """Which of N snippets (N,) may go on. Raises `EngineError` when too many may not."""
        usable = finite_rows(outputs)
        self._refused.extend((~usable).tolist())
        num_refused = sum(self._refused)
        if len(self._refused) >= JUDGED_FROM and num_refused > LARGEST_SHARE * len(self._refused):
            raise EngineError(
                f"the engine '{self._engine_name}' gave NaN or infinity for {num_refused} of the "
                f"last {len(self._refused)} snippets: it is broken or overflows on this device; "
                "export it again and look at the parity report."
            )
        return usable
