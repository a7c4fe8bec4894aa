"""Fused Triton kernels of the frame-selection operator; importing them makes CUDA tensors use them.

The import needs torch and Triton, and no GPU.
"""

from __future__ import annotations

from wsgn.errors import MissingExtraError, UsageError

# Of tuples as the kernels hold them. PyTorch 2.7 is the first that comes with it.
OLDEST_TRITON = (3, 3)

try:
    import torch  # noqa: F401
    import triton
except ModuleNotFoundError as error:
    raise MissingExtraError("Using the fused kernels (Linux only)", "train") from error

if tuple(map(int, triton.__version__.split(".")[:2])) < OLDEST_TRITON:
    raise UsageError(
        f"the fused kernels need Triton {'.'.join(map(str, OLDEST_TRITON))} or later, "
        f"{triton.__version__} is installed: pip install 'wsgn[train]', which takes PyTorch 2.7 or "
        "later."
    )

from .registration import register  # noqa: E402

register()
