"""Fused Triton kernels of the frame-selection operator; importing them makes CUDA tensors use them.

The import needs Triton and no GPU.
"""

from __future__ import annotations

from wsgn.errors import MissingExtraError

try:
    import triton  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtraError("the fused kernels for GPUs (Linux only)", "train") from error

from .registration import register

register()
