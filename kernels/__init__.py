"""Fused Triton kernels of the frame-selection operator; importing them makes CUDA tensors use them.

The import needs torch and Triton, and no GPU.
"""

from __future__ import annotations

from wsgn.errors import MissingExtraError

try:
    import torch  # noqa: F401
    import triton  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtraError("Using the fused kernels (Linux only)", "train") from error

from .versions import OLDEST, require_triton

require_triton(OLDEST, "training on a GPU", "2.7")

from .registration import register  # noqa: E402

register()
