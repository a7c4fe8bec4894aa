"""Where kernels run in these tests, and how far their results may be off."""

from __future__ import annotations

import torch

# A GPU, else memory of the host in which Triton's interpreter runs them.
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# Roundings that may add up in one result, in units of the float32 rounding error of its largest
# value. Measured: up to 5. A forgotten term of a sum is 1000 times more.
ROUNDINGS = 32
