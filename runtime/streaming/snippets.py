"""Frames to snippets: runs of consecutive frames of one epoch, as the engine takes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from wsgn.manifest import Sampling
from wsgn.support.arrays import UInt8Array
from wsgn.video import SampledFrame
from wsgn.video.snippets import CutSnippet, SnippetCutter


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

    Without `pad` an epoch shorter than a snippet gives none.
    """

    def __init__(self, sampling: Sampling, *, pad: bool = True) -> None:
        self._pad = pad
        self._cutter: SnippetCutter[SampledFrame] = SnippetCutter(
            sampling, epoch_of=lambda frame: frame.epoch
        )

    def push(self, frames: Iterable[SampledFrame]) -> list[Snippet]:
        """Take frames in order, and return the snippets that they complete."""
        return self._kept(self._cutter.push(frames))

    def flush(self) -> list[Snippet]:
        """End the epoch, and return the padded snippet if it was shorter than one."""
        return self._kept(self._cutter.flush())

    def _kept(self, snippets: list[CutSnippet[SampledFrame]]) -> list[Snippet]:
        return [_stacked(snippet) for snippet in snippets if self._pad or not snippet.padded]


def _stacked(snippet: CutSnippet[SampledFrame]) -> Snippet:
    first = snippet.items[0]
    return Snippet(
        start_seconds=first.seconds,
        epoch=first.epoch,
        frames=np.stack([frame.image for frame in snippet.items]),  # (L, H, W, 3)
        padded=snippet.padded,
    )
