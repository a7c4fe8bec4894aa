"""Times with their spread: CUDA events on a GPU, the clock on a CPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Work = Callable[[], object]

# Time that one measurement aims at, and its bounds: enough for a 10th and a 90th percentile.
AIM_SECONDS = 0.3
FEWEST_REPEATS, MOST_REPEATS = 10, 100
WARM_UP_CALLS = 3
# The L2 caches of the largest GPUs hold 50 to 130 MB.
SMALLEST_FLUSH_BYTES = 256 * 2**20


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Microseconds of one call: median, and 10th and 90th percentile."""

    median_us: float
    low_us: float
    high_us: float
    repeats: int

    def __str__(self) -> str:
        return f"{digits(self.median_us)} ({digits(self.low_us)}-{digits(self.high_us)})"


def digits(number: float) -> str:
    """Three digits or a few more, without a fraction from 100 on."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}"


def summarise(microseconds: Sequence[float]) -> Timing:
    """Median and spread of some calls."""
    values = torch.tensor(microseconds, dtype=torch.float64)
    low, median, high = values.quantile(torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)).tolist()
    return Timing(median_us=median, low_us=low, high_us=high, repeats=len(values))


class DeviceStopwatch:
    """Times work on the current CUDA stream, with an L2 cache that holds nothing of use."""

    def __init__(self, device: torch.device) -> None:
        cache = int(getattr(torch.cuda.get_device_properties(device), "L2_cache_size", 0))
        size = max(SMALLEST_FLUSH_BYTES, 4 * cache)
        self._flush = torch.empty(size, dtype=torch.int8, device=device)

    def time(self, work: Work) -> Timing:
        """Warm up, then time single calls with the cache flushed before each.

        The host may run ahead while the flush runs, as it does in a training loop; work that takes
        the host longer than the GPU shows the host's time.
        """
        for _ in range(WARM_UP_CALLS):
            work()
        first = self._calls(work, 2)[-1]
        wanted = round(AIM_SECONDS * 1e6 / max(first, 1.0))
        return summarise(self._calls(work, min(max(wanted, FEWEST_REPEATS), MOST_REPEATS)))

    def time_row(self, work: Work, *, calls: int, rows: int) -> Timing:
        """Time of one call among `calls` back to back, `rows` times: overlap counts."""
        for _ in range(WARM_UP_CALLS):
            work()

        def row() -> None:
            for _ in range(calls):
                work()

        return summarise([us / calls for us in self._calls(row, rows, flush=False)])

    def _calls(self, work: Work, repeats: int, *, flush: bool = True) -> list[float]:
        events = [(_event(), _event()) for _ in range(repeats)]
        for start, end in events:
            if flush:
                self._flush.zero_()
            start.record()
            work()
            end.record()
        torch.cuda.synchronize()
        return [1e3 * start.elapsed_time(end) for start, end in events]


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def captured(
    work: Callable[[], Sequence[Tensor]], before: Work = lambda: None
) -> tuple[Work, Sequence[Tensor]]:
    """`work` as a CUDA graph: what replays it, and the tensors that a replay writes.

    `before` is called between the warm-up and the capture.
    """
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP_CALLS):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    before()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = work()
    return graph.replay, outputs


def host_cost(work: Work, *, calls: int = 20, rows: int = 20) -> Timing:
    """Time the host spends in one call of asynchronous work; the GPU is idle before each row."""

    def row() -> None:
        for _ in range(calls):
            work()

    for _ in range(WARM_UP_CALLS):
        work()
    microseconds = []
    for _ in range(rows):
        torch.cuda.synchronize()
        microseconds.append(_seconds(row) * 1e6 / calls)
    torch.cuda.synchronize()
    return summarise(microseconds)


def time_in_turn(works: Mapping[str, Work], aim_seconds: float) -> dict[str, Timing]:
    """CPU times; the works take turns so that a disturbance of the machine meets all alike.

    As many turns as fit into `aim_seconds`, at least 3 and at most 21.
    """
    round_seconds = sum(_seconds(work) for work in works.values())
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(min(max(round(aim_seconds / max(round_seconds, 1e-6)), 3), 21)):
        order = list(works)[:: 1 if turn % 2 == 0 else -1]
        for name in order:
            taken[name].append(1e6 * _seconds(works[name]))
    return {name: summarise(microseconds) for name, microseconds in taken.items()}


def _seconds(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
