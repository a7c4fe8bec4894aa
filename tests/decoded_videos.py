"""Datasets of one video whose frames need no file: they lie in memory already."""

from __future__ import annotations

from wsgn.data.frames import DecodedVideo, FrameDataset
from wsgn.manifest import Sampling
from wsgn.support.arrays import FloatArray, IntArray, UInt8Array
from wsgn.video import FrameGrid


def dataset_of(
    images: UInt8Array, seconds: FloatArray, epoch: IntArray, sampling: Sampling
) -> FrameDataset:
    """A dataset of F frames (F, H, W, 3) at `seconds` (F,), in the given epochs (F,)."""
    source = object.__new__(FrameDataset)
    source._sampling = sampling
    source._grid = FrameGrid(sampling.frame_rate, *images.shape[1:3])
    source._decoded = {0: DecodedVideo(images=images, seconds=seconds, epoch=epoch)}
    return source
