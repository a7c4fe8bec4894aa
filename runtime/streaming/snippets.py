"""Frames to snippets: runs of consecutive frames of one epoch, as the engine takes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from wsgn.manifest import Sampling
from wsgn.support.arrays import UInt8Array
from wsgn.video import SampledFrame


@dataclass(frozen=True, kw_only=True)
class Snippet:
    """One step of T."""

    # Media time of the first frame.
    start_seconds: float
    # Rises by one at each gap of the source; a snippet never spans two.
    epoch: int
    # (L, H, W, 3) uint8 RGB.
    frames: UInt8Array
    # Whether the last frame was repeated to fill it, in an epoch shorter than one snippet.
    padded: bool = False


class Snippeter:
    """Cuts the frames of a time grid into overlapping snippets, in any chopping of the frames.

    An epoch shorter than a snippet is padded by repeating its last frame. A tail of fewer than
    `snippet_stride` frames behind the last full snippet is dropped, as it is in training.
    """

    def __init__(self, sampling: Sampling) -> None:
        self._length = sampling.snippet_length
        self._stride = sampling.snippet_stride
        self._epoch: int | None = None
        self._begin_epoch()

    def push(self, frames: Iterable[SampledFrame]) -> list[Snippet]:
        """Take frames in order, and return the snippets that they complete."""
        complete: list[Snippet] = []
        for frame in frames:
            if frame.epoch != self._epoch:
                complete += self.flush()
                self._epoch = frame.epoch
            complete += self._push_one(frame)
        return complete

    def flush(self) -> list[Snippet]:
        """End the epoch, and return the padded snippet if it was shorter than one."""
        waiting, any_complete = self._waiting, self._any_complete
        self._begin_epoch()
        if any_complete or not waiting:
            return []
        missing = self._length - len(waiting)
        return [_snippet(waiting + waiting[-1:] * missing, padded=True)]

    def _begin_epoch(self) -> None:
        # The frames since the start of the next snippet, and how many to skip until it starts
        # (only where the stride is longer than a snippet).
        self._waiting: list[SampledFrame] = []
        self._num_to_skip = 0
        self._any_complete = False

    def _push_one(self, frame: SampledFrame) -> list[Snippet]:
        if self._num_to_skip > 0:
            self._num_to_skip -= 1
            return []
        self._waiting.append(frame)
        if len(self._waiting) < self._length:
            return []
        snippet = _snippet(self._waiting, padded=False)
        self._any_complete = True
        self._num_to_skip = max(0, self._stride - self._length)
        del self._waiting[: self._stride]
        return [snippet]


def _snippet(frames: list[SampledFrame], *, padded: bool) -> Snippet:
    return Snippet(
        start_seconds=frames[0].seconds,
        epoch=frames[0].epoch,
        frames=np.stack([frame.image for frame in frames]),  # (L, H, W, 3)
        padded=padded,
    )
