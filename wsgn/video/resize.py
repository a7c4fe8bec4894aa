"""From decoded frames, in any pixel format and orientation, to RGB images of one size."""

from __future__ import annotations

from collections.abc import Iterator
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
# frame (2) is BT.601; older PyAV does not name all of them.
_MATRICES = {1: 1, 2: 5, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_DEFAULT_MATRIX = 5
# Luma, green and orange, which libswscale does not know.
_YCGCO = 8
# The matrix that follows from the primaries (12, 13): AVColorPrimaries to matrix numbers.
_FROM_PRIMARIES = (12, 13)
_MATRICES_OF_PRIMARIES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
# Pixels of any film are hardly twice as wide as high, or half; what lies outside is damage.
_BELIEVABLE_ASPECTS = (Fraction(1, 10), Fraction(10))


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
        low, high = _BELIEVABLE_ASPECTS
        self._odd_aspect = (
            pixel_aspect if pixel_aspect and not low <= pixel_aspect <= high else None
        )
        self._pixel_aspect = Fraction(1) if self._odd_aspect else pixel_aspect or Fraction(1)
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

    def doubts(self, frame: VideoFrame) -> Iterator[tuple[str, str]]:
        """Code and words for what of a frame's header is not used as it stands."""
        if self._odd_aspect is not None and self._grid.resize != "stretch":
            width, height = self._odd_aspect.as_integer_ratio()
            yield "unlikely_aspect", f"pixels of shape {width}:{height} are taken for square ones"
        space = int(frame.colorspace)
        if space != _YCGCO and _matrix_of(frame) is None and _has_colour_matrix(frame):
            yield "unknown_matrix", f"the colour matrix {space} is not known; BT.601 is taken"

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
        if int(frame.colorspace) == _YCGCO and _has_colour_matrix(frame):
            # The same matrix before and behind: the planes are scaled, and stay what they are.
            planes = self._reformat(frame, height, width, "yuv444p", _DEFAULT_MATRIX)
            return _rgb_of_ycgco(planes.to_ndarray().astype(np.uint8, copy=False))
        matrix = _matrix_of(frame) or _DEFAULT_MATRIX
        if int(frame.colorspace) in _FROM_PRIMARIES:
            # Some versions of libswscale refuse what they cannot name, whatever they are told.
            frame.colorspace = matrix
        scaled = self._reformat(frame, height, width, "rgb24", matrix)
        pixels: UInt8Array = scaled.to_ndarray().astype(np.uint8, copy=False)
        return pixels

    def _reformat(
        self, frame: VideoFrame, height: int, width: int, pixel_format: str, matrix: int
    ) -> VideoFrame:
        try:
            return self._reformatter.reformat(
                frame,
                width,
                height,
                pixel_format,
                src_colorspace=matrix,
                # RGB has none.
                dst_colorspace=matrix if pixel_format.startswith("yuv") else None,
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


def _matrix_of(frame: VideoFrame) -> int | None:
    """Number of a frame's matrix in libswscale."""
    space = int(frame.colorspace)
    if space in _FROM_PRIMARIES:
        return _MATRICES_OF_PRIMARIES.get(int(frame.color_primaries))
    return _MATRICES.get(space)


def _has_colour_matrix(frame: VideoFrame) -> bool:
    """Whether the frame is luma with differences of colour, and not RGB, a palette or grey."""
    return not frame.format.is_rgb and len(frame.format.components) >= 3


def _rgb_of_ycgco(planes: UInt8Array) -> UInt8Array:
    """(H, W, 3) RGB of (3, H, W) luma, green and orange of full range."""
    luma, green, orange = planes.astype(np.int16)
    green, orange = green - 128, orange - 128
    rgb = np.stack((luma - green + orange, luma + green, luma - green - orange), axis=-1)
    pixels: UInt8Array = np.clip(rgb, 0, 255).astype(np.uint8)
    return pixels
