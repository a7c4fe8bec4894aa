"""From decoded frames, in any pixel format and orientation, to RGB images of one size."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, VideoReformatter

from wsgn.support.arrays import UInt8Array
from wsgn.video.errors import VideoError
from wsgn.video.grid import FrameGrid
from wsgn.video.orientation import Orientation, orientation_of

# AREA averages all source pixels under a target pixel (no aliasing, which bilinear has beyond a
# factor of 2), is no dearer, and is bilinear when it enlarges. Without FULL_CHR_H_INT the colours
# of the result have half its width, which on small results is far from the mean of the source.
# SWS_AREA | SWS_FULL_CHR_H_INT of libswscale; older PyAV has no name for the second.
INTERPOLATION = 0x20 | 0x2000

# AVColorSpace numbers of frames to the matrix numbers (SWS_CS_) of libswscale, where an untagged
# frame is BT.601; older PyAV does not name all of them.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_DEFAULT_MATRIX = 5


@dataclass(frozen=True)
class _Fit:
    """Size to which an upright frame is scaled, and where the image lies in it."""

    height: int
    width: int
    top: int
    left: int


def _fit(grid: FrameGrid, height: int, width: int, pixel_aspect: Fraction) -> _Fit:
    if grid.resize == "stretch":
        return _Fit(grid.height, grid.width, 0, 0)
    shown_width = width * pixel_aspect
    scale = max(Fraction(grid.height, height), grid.width / shown_width)
    scaled_height = max(grid.height, round(height * scale))
    scaled_width = max(grid.width, round(shown_width * scale))
    return _Fit(
        scaled_height,
        scaled_width,
        (scaled_height - grid.height) // 2,
        (scaled_width - grid.width) // 2,
    )


class Scaler:
    """Scales the frames of one stream; keeps libav's scaler between them."""

    def __init__(self, grid: FrameGrid, pixel_aspect: Fraction | None) -> None:
        self._grid = grid
        self._pixel_aspect = pixel_aspect or Fraction(1)
        self._reformatter = VideoReformatter()
        self._rotation: int | None = None
        self._orientation = Orientation()

    def image(self, frame: VideoFrame) -> UInt8Array:
        """The frame as (H, W, 3) uint8 RGB, upright; transparency is dropped."""
        orientation = self._orientation_of(frame)
        if orientation.transposed:
            fit = _fit(self._grid, frame.width, frame.height, 1 / self._pixel_aspect)
            pixels = self._scale(frame, fit.width, fit.height)
        else:
            fit = _fit(self._grid, frame.height, frame.width, self._pixel_aspect)
            pixels = self._scale(frame, fit.height, fit.width)
        return self._crop(orientation, pixels, fit)

    def _orientation_of(self, frame: VideoFrame) -> Orientation:
        # Asking a frame for its side data makes a reference cycle, which keeps its pixels until the
        # next garbage collection: hundreds of megabytes when done for every frame.
        if frame.rotation != self._rotation:
            self._rotation = frame.rotation
            self._orientation = orientation_of(frame)
        return self._orientation

    def _crop(self, orientation: Orientation, pixels: UInt8Array, fit: _Fit) -> UInt8Array:
        upright = orientation.apply(pixels)
        bottom, right = fit.top + self._grid.height, fit.left + self._grid.width
        return np.ascontiguousarray(upright[fit.top : bottom, fit.left : right])

    def _scale(self, frame: VideoFrame, height: int, width: int) -> UInt8Array:
        try:
            scaled = self._reformatter.reformat(
                frame,
                width,
                height,
                "rgb24",
                src_colorspace=_MATRICES.get(int(frame.colorspace), _DEFAULT_MATRIX),
                dst_color_range=ColorRange.JPEG,
                interpolation=INTERPOLATION,
                threads=1,
            )
        except FFmpegError as error:
            raise VideoError(
                "undecodable",
                f"frames of {frame.width} x {frame.height} in pixel format "
                f"'{frame.format.name}' cannot be converted to RGB: {error.strerror}.",
            ) from error
        pixels: UInt8Array = scaled.to_ndarray().astype(np.uint8, copy=False)
        return pixels
