"""Class logits from probabilities: what comes back, and in which bounds."""

from __future__ import annotations

import numpy as np
import pytest

from wsgn.engines.kernels.launcher import class_logits_of
from wsgn.errors import UsageError


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_probabilities_come_back_from_their_logits(activation: str) -> None:
    """In the bounds that the function promises, over many powers of ten."""
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 15, (2000, 7))
    if activation == "softmax":
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
    else:
        p = 1 / (1 + np.exp(-logits))
    p = p.astype(np.float32)
    back = class_logits_of(p, activation).astype(np.float64)
    found = np.exp(back) if activation == "softmax" else 1 / (1 + np.exp(-back))
    large = p >= 1e-37
    assert (np.abs(found - p)[large] <= 4e-6 * p[large] + 6e-8 * (p > 0.5)[large]).all()
    assert np.abs(found - p).max() < 2e-7


def test_zero_and_one_have_finite_logits() -> None:
    p = np.array([[0.0, 1.0]])
    for activation in ("softmax", "sigmoid"):
        assert np.isfinite(class_logits_of(p, activation)).all()
    with pytest.raises(UsageError, match="between 0 and 1"):
        class_logits_of(np.array([[np.nan]]), "softmax")
