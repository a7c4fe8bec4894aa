"""Class logits for the kernels from an engine's class probabilities."""

from __future__ import annotations

import numpy as np

from wsgn.errors import UsageError
from wsgn.support.arrays import Float32Array, FloatingArray


def class_logits_of(class_probabilities: FloatingArray, class_activation: str) -> Float32Array:
    """Class logits (N, C) whose probabilities are these, for engines that give no logits.

    softmax(log p) = p and sigmoid(logit p) = p, but float32 keeps less of a logarithm: what the
    kernels then find differs from p by a share of at most 4e-6 for p >= 1e-37 (softmax, where p is
    also divided by its sum over classes), and by at most 6e-8 near 1 (sigmoid). Zeros become
    1.2e-38, the smallest normal number.
    """
    p = np.asarray(class_probabilities, np.float64)
    # Not with a comparison that NaN would pass.
    if not ((p >= 0) & (p <= 1)).all():
        raise UsageError("class_probabilities must lie between 0 and 1.")
    p = np.maximum(p, np.finfo(np.float32).smallest_normal)
    if class_activation == "softmax":
        return np.log(p).astype(np.float32)
    # float32 cannot hold a probability between this and 1.
    p = np.minimum(p, 1 - 2.0**-25)
    return (np.log(p) - np.log1p(-p)).astype(np.float32)
