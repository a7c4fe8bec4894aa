"""'SAME' padding against TensorFlow's definition, written out in float64."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from wsgn.backbones.same import SameConv3d, SameMaxPool3d, same_padding
from wsgn.support.arrays import FloatArray

Size = tuple[int, int, int]

SIZES = [(16, 14, 14), (5, 9, 7), (1, 1, 1), (2, 3, 8), (17, 11, 6)]
CONVS = [((7, 7, 7), (2, 2, 2)), ((3, 3, 3), (1, 1, 1)), ((1, 1, 1), (1, 1, 1))]
POOLS = [
    ((1, 3, 3), (1, 2, 2)),
    ((3, 3, 3), (2, 2, 2)),
    ((2, 2, 2), (2, 2, 2)),
    ((3, 3, 3), (1, 1, 1)),
]


def windows(
    x: FloatArray, kernel: Size, stride: Size, fill: float
) -> Iterator[tuple[tuple[int, ...], FloatArray]]:
    """Every output position with its window, by the definition in TensorFlow's documentation."""
    outputs = [-(-size // step) for size, step in zip(x.shape[1:], stride, strict=True)]
    pads = [(0, 0)]
    for size, width, step, out in zip(x.shape[1:], kernel, stride, outputs, strict=True):
        total = max((out - 1) * step + width - size, 0)
        pads.append((total // 2, total - total // 2))
    padded = np.pad(x, pads, constant_values=fill)
    for place in itertools.product(*(range(out) for out in outputs)):
        begin = [index * step for index, step in zip(place, stride, strict=True)]
        cut = tuple(slice(b, b + width) for b, width in zip(begin, kernel, strict=True))
        yield place, padded[(slice(None), *cut)]


# From TensorFlow's own guide to padding: rows before and after.
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [(224, 7, 2, (2, 3)), (225, 7, 2, (3, 3)), (13, 6, 5, (1, 2)), (4, 1, 2, (0, 0))],
)
def test_rows_of_padding(size: int, kernel: int, stride: int, expected: tuple[int, int]) -> None:
    assert same_padding(size, kernel, stride) == expected


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("kernel", "stride"), CONVS)
def test_convolution_equals_its_definition(size: Size, kernel: Size, stride: Size) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(2, *size))
    layer = SameConv3d(2, 3, kernel, stride).double()
    weight = layer.weight.detach().numpy()
    got = layer(torch.from_numpy(x)[None])[0].detach().numpy()
    seen = 0
    for place, window in windows(x, kernel, stride, 0.0):
        expected = (weight * window).sum(axis=(1, 2, 3, 4))
        np.testing.assert_allclose(got[(slice(None), *place)], expected, atol=1e-12)
        seen += 1
    assert seen == got[0].size


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("kernel", "stride"), POOLS)
def test_maximum_never_sees_the_padding(size: Size, kernel: Size, stride: Size) -> None:
    # All values negative: a zero of padding would win.
    x = -np.random.default_rng(1).uniform(1, 2, size=(2, *size))
    got = SameMaxPool3d(kernel, stride)(torch.from_numpy(x)[None])[0].numpy()
    seen = 0
    for place, window in windows(x, kernel, stride, -np.inf):
        np.testing.assert_array_equal(got[(slice(None), *place)], window.max(axis=(1, 2, 3)))
        seen += 1
    assert seen == got[0].size
