"""How many threads an engine on the CPU gets."""

from __future__ import annotations

import os


def default_num_threads() -> int:
    """Threads for an engine beside one decoding thread: every core but one."""
    affinity = getattr(os, "sched_getaffinity", None)
    num_cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, num_cores - 1)
