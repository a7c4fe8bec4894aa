"""How a frame must be turned and mirrored to be upright."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame

from wsgn.support.arrays import UInt8Array

_MATRIX_BYTES = 9 * 4


@dataclass(frozen=True)
class Orientation:
    """One of the eight: exchange rows and columns, then mirror."""

    transposed: bool = False
    mirrored_horizontally: bool = False
    mirrored_vertically: bool = False

    def apply(self, pixels: UInt8Array) -> UInt8Array:
        """The upright frame, as a view of (H, W, 3) pixels."""
        if self.transposed:
            pixels = pixels.transpose(1, 0, 2)  # (W, H, 3)
        if self.mirrored_horizontally:
            pixels = pixels[:, ::-1]
        if self.mirrored_vertically:
            pixels = pixels[::-1]
        return pixels

    @property
    def clockwise_degrees(self) -> int:
        """Turn that makes the frame upright (0, 90, 180, 270); mirrors are not told."""
        if self.transposed:
            return 90 if self.mirrored_horizontally else 270
        return 180 if self.mirrored_vertically else 0


def orientation_of(frame: VideoFrame) -> Orientation:
    """Orientation from the frame's display matrix; upright without one.

    The matrix maps a source point (x, y) to (a x + c y, b x + d y). Angles between the quarter
    turns go to the nearest.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return Orientation()
    raw = bytes(matrix)  # type: ignore[call-overload]
    if len(raw) < _MATRIX_BYTES:
        return Orientation()
    a, b, _, c, d = (float(value) for value in np.frombuffer(raw, np.int32, 5))
    if math.hypot(a, d) >= math.hypot(b, c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)
