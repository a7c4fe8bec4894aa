"""Where tests find the checkout, and the shared data that may lie beside it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
# The four packages of the product.
PACKAGES = ("wsgn", "kernels", "export", "runtime")


@cache
def product() -> dict[str, str]:
    """The text of every module of the product, by its path in the checkout."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for folder in PACKAGES
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
