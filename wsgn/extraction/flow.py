"""Optical flow between frames, by OpenCV: TV-L1 as published for I3D, or DIS, far faster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

import numpy as np

from wsgn.errors import MissingExtraError, UsageError
from wsgn.extraction.config import FLOW_METHODS
from wsgn.extraction.frames import centre_crop
from wsgn.extraction.snippets import Frame
from wsgn.support.arrays import Float32Array, UInt8Array

# Displacements are clipped to so many pixels (Carreira and Zisserman 2017, kinetics-i3d).
LIMIT_PIXELS = 20.0


class OpticalFlow:
    """Flow from one frame to the next; it keeps buffers, so each video needs its own."""

    def __init__(self, method: str) -> None:
        if method not in FLOW_METHODS:
            raise UsageError(f"flow must be one of {', '.join(FLOW_METHODS)}, got '{method}'.")
        self._cv2 = load_opencv(method)
        if method == "tvl1":
            self._algorithm = self._cv2.optflow.DualTVL1OpticalFlow_create()
        else:
            preset = self._cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
            self._algorithm = self._cv2.DISOpticalFlow_create(preset)

    def grey(self, image: UInt8Array) -> UInt8Array:
        """The luma (H, W) of a frame (H, W, 3)."""
        luma: UInt8Array = self._cv2.cvtColor(image, self._cv2.COLOR_RGB2GRAY)
        return luma

    def between(self, before: UInt8Array, after: UInt8Array) -> Float32Array:
        """(H, W, 2) pixels to the right and down, clipped, of two lumas."""
        flow = self._algorithm.calc(before, after, None)
        clipped: Float32Array = np.clip(flow, -LIMIT_PIXELS, LIMIT_PIXELS).astype(np.float32)
        return clipped


def load_opencv(method: str) -> Any:
    """OpenCV with this method; raises `MissingExtraError`."""
    try:
        cv2 = import_module("cv2")
    except ImportError as error:
        raise MissingExtraError("optical flow (OpenCV)", "flow") from error
    contributed = getattr(cv2, "optflow", None)
    if method == "tvl1" and not hasattr(contributed, "DualTVL1OpticalFlow_create"):
        raise MissingExtraError(
            "TV-L1 flow (OpenCV with its contributed modules, in place of another opencv-python)",
            "flow",
        )
    return cv2


def with_flow(images: Iterable[UInt8Array], flow: OpticalFlow, crop_size: int) -> Iterator[Frame]:
    """Frames of the middle square, each with the flow to the next; the last keeps the one before.

    The flow is computed on the whole images, which are larger than the crop, so that what moves
    over its edge is seen.
    """
    held: UInt8Array | None = None
    held_luma = np.empty(0, np.uint8)
    still = np.zeros((crop_size, crop_size, 2), np.float32)
    motion: Float32Array = still
    for image in images:
        luma = held_luma if image is held else flow.grey(image)
        if held is not None:
            # A frame that is shown twice has not moved.
            motion = (
                still if image is held else centre_crop(flow.between(held_luma, luma), crop_size)
            )
            yield Frame(centre_crop(held, crop_size), motion)
        held, held_luma = image, luma
    if held is not None:
        yield Frame(centre_crop(held, crop_size), motion)


def without_flow(images: Iterable[UInt8Array], crop_size: int) -> Iterator[Frame]:
    """Frames of the middle square."""
    for image in images:
        yield Frame(centre_crop(image, crop_size))
