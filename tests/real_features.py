"""Outputs of random heads on features of real videos, which may lie beside the checkout."""

from __future__ import annotations

import numpy as np
import pytest
from places import SHARED

from wsgn.features.file import read_feature_file
from wsgn.support.arrays import Float32Array

REAL_FEATURES = SHARED / "data" / "real" / "features"
REAL_SETS = ("ucf7", "utkinect", "ut")


def random_heads(name: str, num_classes: int = 3) -> tuple[Float32Array, Float32Array]:
    """Selection and class logits (T, C) of the longest of a few videos of a set."""
    folder = REAL_FEATURES / name
    if not folder.is_dir():
        pytest.skip(f"there are no features of real videos at {folder}")
    videos = [read_feature_file(path)[1] for path in sorted(folder.iterdir())[:8]]
    features = max(videos, key=len).astype(np.float64)
    features = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-3)
    size = features.shape[1]
    heads = np.random.default_rng(len(name)).normal(size=(2, size, num_classes)) / size**0.5
    x, h = 1.5 * features @ heads
    return x.astype(np.float32), h.astype(np.float32)
