"""What a run allocated and launched, read from the profiler's trace."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.kernels.timing import Work

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
