"""Motion features against loops over pixels in float64, and in ONNX Runtime."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import onnxruntime
import pytest
import torch
from test_backbone_export import trained_model

from wsgn.backbones.build import build_backbone
from wsgn.backbones.config import MotionConfig
from wsgn.errors import UsageError
from wsgn.export.graphs.document import example_input, export_graph, exportable

CONFIG = MotionConfig(side=12, cells=3, directions=8)


def scaled(grey: np.ndarray, size: int) -> np.ndarray:
    """Means of the area under each target pixel, along the first axis, pixel by pixel."""
    count = len(grey)
    result = np.zeros((size, *grey.shape[1:]))
    for target in range(size):
        start, stop = target * count / size, (target + 1) * count / size
        for pixel in range(count):
            share = max(0.0, min(stop, pixel + 1) - max(start, pixel))
            result[target] += share / (stop - start) * grey[pixel]
    return result


def smoothed(picture: np.ndarray) -> np.ndarray:
    """1 4 6 4 1 along the first axis; the edge repeats."""
    last = len(picture) - 1
    rows = [
        sum(
            weight * picture[min(max(row + offset, 0), last)]
            for offset, weight in zip(range(-2, 3), (1, 4, 6, 4, 1), strict=True)
        )
        for row in range(last + 1)
    ]
    return np.stack(rows) / 16


def plain_motion(snippet: np.ndarray, config: MotionConfig) -> np.ndarray:
    """Features of one snippet (L, H, W, 3): direction by direction, cell by cell."""
    size, cells = config.side + 2, config.cells
    luma = snippet.astype(float) @ np.array([0.299, 0.587, 0.114])
    pictures = []
    for grey in luma:
        rows = smoothed(scaled(grey, size))
        pictures.append(smoothed(scaled(rows.T, size)).T)
    sums = np.zeros((config.directions + 1, cells, cells))
    width = config.side // cells
    for before, after in pairwise(pictures):
        mean = (before + after) / 2
        for y in range(config.side):
            for x in range(config.side):
                change = after[y + 1, x + 1] - before[y + 1, x + 1]
                right = (mean[y + 1, x + 2] - mean[y + 1, x]) / 2
                down = (mean[y + 2, x + 1] - mean[y, x + 1]) / 2
                flow = -change / (right**2 + down**2 + 25)
                for direction in range(config.directions):
                    angle = 2 * math.pi * direction / config.directions
                    along = flow * (right * math.cos(angle) + down * math.sin(angle))
                    sums[direction, y // width, x // width] += max(along, 0)
                sums[-1, y // width, x // width] += abs(change) / 20
    means = sums / (width**2 * (len(pictures) - 1))
    return (np.sqrt(means + 1e-4) - 0.01).reshape(-1)


def moving_texture(right: int, down: int, length: int = 3) -> np.ndarray:
    """A smooth texture (L, 40, 48, 3) that moves so many pixels a frame."""
    y, x = np.mgrid[0:40, 0:48]
    frames = [
        128
        + 50 * np.sin((x - right * t) / 4) * np.cos((y - down * t) / 5)
        + 30 * np.sin((x - right * t + y - down * t) / 6)
        for t in range(length)
    ]
    return np.repeat(np.stack(frames)[..., None], 3, axis=-1).round().astype(np.uint8)


def test_features_are_those_of_loops_over_pixels() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 37, 31, 3), dtype=np.uint8)
    snippets = [noise, moving_texture(1, 0)[:, :37, :31], moving_texture(-2, 3)[:, :37, :31]]
    found = build_backbone(CONFIG, 3)(torch.from_numpy(np.stack(snippets))).numpy()
    expected = np.stack([plain_motion(snippet, CONFIG) for snippet in snippets])
    assert found.shape == (3, CONFIG.feature_size) == (3, 81)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(("right", "down", "direction"), [(1, 0, 0), (0, 1, 2), (-1, 0, 4)])
def test_what_moves_is_seen_in_its_direction(right: int, down: int, direction: int) -> None:
    frames = torch.from_numpy(moving_texture(right, down)[None])
    config = MotionConfig(side=40, cells=1)
    parts = build_backbone(config, 3)(frames)[0, :8]
    assert int(parts.argmax()) == direction
    assert parts[direction] > 2 * parts[(direction + 4) % 8]


def test_nothing_that_stands_still_is_motion() -> None:
    still = torch.from_numpy(moving_texture(1, 1)[:1]).repeat(4, 1, 1, 1)
    assert build_backbone(MotionConfig(), 4)(still[None]).abs().max() < 1e-6
    with pytest.raises(UsageError, match="motion backbone sees what changes"):
        build_backbone(MotionConfig(), 1)


def test_engine_equals_torch() -> None:
    subject = exportable(trained_model(CONFIG, 3, 37, 31))
    document = export_graph(subject)
    session = onnxruntime.InferenceSession(
        document.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    frames = example_input(subject.manifest, 5)
    frames[0] = torch.from_numpy(moving_texture(1, 0)[:, :37, :31])
    with torch.inference_mode():
        expected = [value.numpy() for value in subject.graph(frames)]
    found = session.run(None, {"frames": frames.numpy()})
    for have, want in zip(found, expected, strict=True):
        assert np.ptp(want, axis=0).max() > 1e-3
        np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-5)


def test_half_leaves_motion_as_it_is() -> None:
    subject = exportable(trained_model(CONFIG, 3, 37, 31))
    document = export_graph(subject, half=True)
    assert all(node.op_type != "Cast" or node.attribute[0].i == 1 for node in document.graph.node)
