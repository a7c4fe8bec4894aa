"""What work on a GPU takes, allocates and launches; CUDA events, allocators and profiles say it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.measuring import Spread, Work, seconds_of, spread_of

# Time that one measurement aims at, and its bounds: enough for a 10th and a 90th percentile.
AIM_SECONDS = 0.3
FEWEST_REPEATS, MOST_REPEATS = 10, 100
WARM_UP_CALLS = 3
# The L2 caches of the largest GPUs hold 50 to 130 MB.
SMALLEST_FLUSH_BYTES = 256 * 2**20


class DeviceStopwatch:
    """Times work on the current CUDA stream, with an L2 cache that holds nothing of use."""

    def __init__(self, device: torch.device) -> None:
        cache = int(getattr(torch.cuda.get_device_properties(device), "L2_cache_size", 0))
        size = max(SMALLEST_FLUSH_BYTES, 4 * cache)
        self._flush = torch.empty(size, dtype=torch.int8, device=device)

    def time(self, work: Work) -> Spread:
        """Warm up, then time single calls with the cache flushed before each.

        The host may run ahead while the flush runs, as it does in a training loop; work that takes
        the host longer than the GPU shows the host's time.
        """
        for _ in range(WARM_UP_CALLS):
            work()
        first = self._calls(work, 2)[-1]
        wanted = round(AIM_SECONDS * 1e6 / max(first, 1.0))
        return spread_of(self._calls(work, min(max(wanted, FEWEST_REPEATS), MOST_REPEATS)))

    def time_row(self, work: Work, *, calls: int, rows: int) -> Spread:
        """Time of one call among `calls` back to back, `rows` times: overlap counts."""
        for _ in range(WARM_UP_CALLS):
            work()

        def row() -> None:
            for _ in range(calls):
                work()

        return spread_of([us / calls for us in self._calls(row, rows, flush=False)])

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


def captured(work: Callable[[], Sequence[Tensor]]) -> tuple[Work, Sequence[Tensor]]:
    """`work` as a CUDA graph: what replays it, and the tensors that a replay writes."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP_CALLS):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = work()
    return graph.replay, outputs


def host_cost(work: Work, *, calls: int = 20, rows: int = 20) -> Spread:
    """Time the host spends in one call of asynchronous work; the GPU is idle before each row."""

    def row() -> None:
        for _ in range(calls):
            work()

    for _ in range(WARM_UP_CALLS):
        work()
    microseconds = []
    for _ in range(rows):
        torch.cuda.synchronize()
        microseconds.append(seconds_of(row) * 1e6 / calls)
    torch.cuda.synchronize()
    return spread_of(microseconds)


# Categories of a trace's entries that are work on the GPU.
_LAUNCHES = ("kernel", "gpu_memcpy", "gpu_memset")
_CPU = 0

Event = Mapping[str, Any]


def count_launches(work: Work) -> int:
    """Kernels, copies and fills that one call starts on the GPU."""
    work()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as recorded:
        work()
        torch.cuda.synchronize()
    return launches(_events(recorded))


def launches(events: Iterable[Event]) -> int:
    """Number of launches in a trace."""
    return sum(event.get("cat") in _LAUNCHES for event in events)


def peak_cpu_bytes(work: Work) -> int:
    """Most memory that one call holds at a time beyond what was there before it.

    Every allocation and release of PyTorch's CPU allocator is counted, also inside custom
    operators, which a dispatch mode or saved-tensor hooks would not see, and unlike the resident
    size of a process it does not depend on what ran before.
    """
    work()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        work()
    return peak_bytes(_events(recorded))


def peak_bytes(events: Iterable[Event]) -> int:
    """Largest running sum of the allocations in a trace."""
    changes = [event for event in events if event.get("name") == "[memory]"]
    held = peak = 0
    for event in sorted(changes, key=lambda event: float(event["ts"])):
        if event["args"]["Device Type"] == _CPU:
            held += int(event["args"]["Bytes"])
            peak = max(peak, held)
    return peak


def _events(recorded: profile) -> list[Event]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        recorded.export_chrome_trace(str(path))
        document = json.loads(path.read_text(encoding="utf-8"))
    events: list[Event] = document["traceEvents"]
    return events


def peak_device_bytes(work: Work) -> int:
    """The same on the GPU, by its allocator's own record."""
    work()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before
