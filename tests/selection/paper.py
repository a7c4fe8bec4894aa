"""Eqs. 2, 3, 5 and 7 for one video, in NumPy as they stand in the paper.

Complex numbers go through: the derivative of an analytic f is the imaginary part of f(x + i s) / s
for a tiny s, to the last digit (Squire and Trapp, 1998).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

EPSILON = 1e-6
_STEP = 1e-30
# Float64, or complex128 where a derivative is asked for.
Array = npt.NDArray[Any]


def weight(x: Array, mu: Array, sigma: Array, components: tuple[str, ...], scale: str) -> Array:
    """w (T, C); the scale is one of the softmax's, or "average" of all three."""
    num_snippets = len(x)
    parts = []
    if "local_gaussian" in components:
        mean = x.sum(0) / num_snippets
        variance = ((x - mean) ** 2).sum(0) / num_snippets + EPSILON
        parts.append(np.exp(-((x - mean) ** 2) / variance))
    if "global_gaussian" in components:
        parts.append(np.exp(-(((x - mu) / sigma) ** 2)))
    if "temporal_softmax" in components:
        softmax = np.exp(x) / np.exp(x).sum(0)
        peak = np.take_along_axis(softmax, x.real.argmax(0)[None], 0)
        parts.append(softmax / {"max_one": peak, "mean_one": 1 / num_snippets}.get(scale, 1.0))
    if scale == "average":
        parts = [part / (part.sum(0) / num_snippets) for part in parts]
    return sum(parts) / len(parts)


def probabilities(h: Array, activation: str) -> Array:
    """p (T, C)."""
    if activation == "softmax":
        return np.exp(h) / np.exp(h).sum(1, keepdims=True)
    return 1 / (1 + np.exp(-h)) if activation == "sigmoid" else h


def gated(w: Array, gate: str, level: float) -> Array:
    """What a gate makes of the weight; "product" is none of these."""
    return {
        "none": w,
        "cut": np.minimum(w, 1),
        "soft": w / (w + level),
        "hard": np.where(w >= level, 1.0, 0.0),
    }[gate]


def gradients(loss: Callable[..., complex], values: tuple[Array, ...]) -> Iterator[Array]:
    """Of a loss of these real arrays, one for each."""
    for place, value in enumerate(values):
        found = np.empty(value.shape)
        for index in np.ndindex(*value.shape):
            moved = value.astype(complex)
            moved[index] += 1j * _STEP
            found[index] = loss(*values[:place], moved, *values[place + 1 :]).imag / _STEP
        yield found
