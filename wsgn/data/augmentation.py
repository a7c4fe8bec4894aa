"""Changes that make more out of few videos, drawn once for a whole video."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wsgn.support.arrays import UInt8Array

# Shares of height and width, and of brightness and contrast, by which a video is changed.
_MAXIMUM_SHIFT = 0.08
_MAXIMUM_GAIN = 0.3


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What is done to all frames of a video alike."""

    mirrored: bool
    # Pixels by which the crop is moved; what it leaves is filled with the edge.
    down: int
    right: int
    # value * gain + bias, of values 0 to 255.
    gain: float
    bias: float


def draw_augmentation(height: int, width: int, random: np.random.Generator) -> Augmentation:
    """One flip, one crop and one light for a video, as a camera might have it."""
    mirrored = bool(random.random() < 0.5)
    limit_y, limit_x = int(height * _MAXIMUM_SHIFT), int(width * _MAXIMUM_SHIFT)
    return Augmentation(
        mirrored=mirrored,
        down=int(random.integers(-limit_y, limit_y + 1)),
        right=int(random.integers(-limit_x, limit_x + 1)),
        gain=float(random.uniform(1 - _MAXIMUM_GAIN, 1 + _MAXIMUM_GAIN)),
        bias=float(random.uniform(-20, 20)),
    )


def augmented(frames: UInt8Array, augmentation: Augmentation) -> UInt8Array:
    """Frames (F, H, W, 3) of one video, all changed alike."""
    height, width = frames.shape[1:3]
    if augmentation.mirrored:
        frames = frames[:, :, ::-1]
    rows = np.clip(np.arange(height) + augmentation.down, 0, height - 1)
    columns = np.clip(np.arange(width) + augmentation.right, 0, width - 1)
    table = np.clip(np.arange(256) * augmentation.gain + augmentation.bias, 0, 255)
    relit: UInt8Array = np.empty(frames.shape, np.uint8)
    # Frame by frame: a long video must not be held several times over.
    for index, frame in enumerate(frames):
        relit[index] = table.astype(np.uint8)[frame[rows[:, None], columns]]
    return relit
