"""Weakly supervised action detection: learn from video-level labels, find segments."""

from __future__ import annotations

from pathlib import Path

__version__ = "0.1.0"

# In a checkout this folder shadows the installed package; the checkout's kernels/, export/ and
# runtime/ then stand beside it and must be found as wsgn.kernels, wsgn.export and wsgn.runtime.
_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "pyproject.toml").is_file():
    __path__.append(str(_checkout))
