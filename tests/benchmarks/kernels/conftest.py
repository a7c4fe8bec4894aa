"""The benchmark of the kernels needs Triton, which exists for Linux only."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = ["*"] if importlib.util.find_spec("triton") is None else []
