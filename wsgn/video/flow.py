"""Optical flow between frames, by OpenCV: TV-L1 as published for I3D, or DIS, far faster.

Extraction and the runtime compute it by what is here, on frames that have the engine's size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, Generic, TypeVar

import numpy as np

from wsgn.errors import MissingExtraError
from wsgn.manifest import FlowInput
from wsgn.support.arrays import Float32Array, UInt8Array

Item = TypeVar("Item")


class OpticalFlow:
    """Flow from one frame to the next; it keeps buffers, so each video needs its own.

    Raises `MissingExtraError` where OpenCV is not there.
    """

    def __init__(self, settings: FlowInput) -> None:
        self._limit_pixels = settings.limit_pixels
        self._cv2 = load_opencv(settings.method)
        if settings.method == "tvl1":
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
        limit = self._limit_pixels
        clipped: Float32Array = np.clip(flow, -limit, limit).astype(np.float32)
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


def require_opencv(flow: FlowInput | None) -> None:
    """Raise a `MissingExtraError` where an engine takes flow that cannot be computed here."""
    if flow is not None:
        load_opencv(flow.method)


class FlowToNext(Generic[Item]):
    """Gives each item the flow from its image (H, W, 3) to the next one's, an item late.

    The last of an epoch keeps the flow of the one before (alone it has none), or with `keep_last`
    False is left out. An image that is shown twice (one array for both) has not moved. Any chopping
    of the items gives the same.
    """

    def __init__(
        self,
        flow: OpticalFlow,
        image_of: Callable[[Item], UInt8Array],
        epoch_of: Callable[[Item], int] = lambda item: 0,
        *,
        keep_last: bool = True,
    ) -> None:
        self._keep_last = keep_last
        self._flow = flow
        self._image_of = image_of
        self._epoch_of = epoch_of
        # The item that waits for its flow, in a list because an item may be anything.
        self._held: list[Item] = []
        self._held_luma = np.empty(0, np.uint8)
        self._motion: Float32Array | None = None

    def push(self, items: Iterable[Item]) -> list[tuple[Item, Float32Array]]:
        """Take items in order; those before them, each with its flow (H, W, 2) in pixels."""
        done: list[tuple[Item, Float32Array]] = []
        for item in items:
            if self._held and self._epoch_of(self._held[0]) != self._epoch_of(item):
                done += self.flush()
            done += self._follow(item)
        return done

    def flush(self) -> list[tuple[Item, Float32Array]]:
        """End the epoch, and return its last item if that is kept."""
        held, motion = self._held if self._keep_last else [], self._motion
        self._held, self._motion = [], None
        return [(item, self._still(item) if motion is None else motion) for item in held]

    def _follow(self, item: Item) -> list[tuple[Item, Float32Array]]:
        image = self._image_of(item)
        is_same = bool(self._held) and image is self._image_of(self._held[0])
        luma = self._held_luma if is_same else self._flow.grey(image)
        done = []
        for before in self._held:
            self._motion = (
                self._still(before) if is_same else self._flow.between(self._held_luma, luma)
            )
            done.append((before, self._motion))
        self._held, self._held_luma = [item], luma
        return done

    def _still(self, item: Item) -> Float32Array:
        return np.zeros((*self._image_of(item).shape[:2], 2), np.float32)
