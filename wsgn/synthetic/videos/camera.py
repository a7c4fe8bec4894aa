"""The camera: its unsteady path, its changing exposure and its sensor's noise."""

from dataclasses import dataclass

import numpy as np

from wsgn.support.arrays import FloatArray, UInt8Array

_POOL_FIELDS = 6


@dataclass(frozen=True, kw_only=True)
class CameraPath:
    """The camera's movement and exposure in every frame."""

    shift_pixels: FloatArray  # (F, 2), canvas pixels
    zoom: FloatArray  # (F,)
    gain: FloatArray  # (F,), factor of brightness


def draw_camera_path(
    generator: np.random.Generator,
    times_seconds: FloatArray,
    max_shift_pixels: float,
    max_zoom_fraction: float,
    max_flicker_fraction: float,
) -> CameraPath:
    """Draws a smooth path; some videos get an almost steady camera."""
    unrest = float(generator.uniform(0.1, 1.0))
    shift = np.stack([_wander(generator, times_seconds, 1.2) for _ in range(2)], axis=1)
    return CameraPath(
        shift_pixels=max_shift_pixels * unrest * shift,
        zoom=1 + max_zoom_fraction * unrest * _wander(generator, times_seconds, 0.4),
        gain=1 + max_flicker_fraction * _wander(generator, times_seconds, 4.0),
    )


def _wander(
    generator: np.random.Generator, times_seconds: FloatArray, max_rate_hz: float
) -> FloatArray:
    """A smooth random function of time (F,) within -1 and 1."""
    rates = generator.uniform(0.05, max_rate_hz, 5)
    phases = generator.uniform(0, 2 * np.pi, 5)
    waves = np.sin(2 * np.pi * rates * times_seconds[:, None] + phases)
    return np.asarray(waves.mean(axis=1))


class SensorNoise:
    """Noise fields drawn once; each frame gets another cut of one of them."""

    def __init__(
        self, generator: np.random.Generator, height: int, width: int, noise_levels: float
    ) -> None:
        self._generator = generator
        self._height, self._width = height, width
        size = (_POOL_FIELDS, height + 32, width + 32, 3)
        noise = generator.standard_normal(size, dtype=np.float32)
        # Light and colour noise: the channels share most of their noise.
        noise = 0.8 * noise.mean(axis=3, keepdims=True) * 3**0.5 + 0.6 * noise
        self._pool = np.rint(noise_levels * noise).astype(np.int16)

    def added_to(self, frame: UInt8Array) -> UInt8Array:
        """A copy of a frame (H, W, 3) with fresh noise."""
        field, top, left, flip = self._generator.integers(0, (_POOL_FIELDS, 32, 32, 2))
        cut = self._pool[field, top : top + self._height, left : left + self._width]
        noisy = frame + (cut[:, ::-1] if flip else cut)
        return np.asarray(np.clip(noisy, 0, 255), dtype=np.uint8)
