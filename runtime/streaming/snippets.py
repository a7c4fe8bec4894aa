"""Frames to snippets: runs of consecutive frames of one epoch, as the engine takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from wsgn.engines.engine import EngineInputs
from wsgn.manifest import FlowInput, Sampling
from wsgn.support.arrays import Float32Array, UInt8Array
from wsgn.video import SampledFrame
from wsgn.video.flow import FlowToNext, OpticalFlow
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
    # (L, H, W, 2) pixels until the next frame; None where the engine takes no flow.
    flow: Float32Array | None = None
    # Whether the last frame was repeated to fill it, in an epoch shorter than one snippet.
    padded: bool = False


@dataclass(frozen=True, eq=False)
class _Seen:
    """A frame, and its flow where somebody looks at it."""

    frame: SampledFrame
    flow: Float32Array | None = None


class Snippeter:
    """Cuts the frames of a time grid into overlapping snippets, in any chopping of the frames.

    With `flow`, the manifest's, a snippet comes a frame later, when the flow of its last frame is
    known. Without `pad` nothing is made up at the end of an epoch: one shorter than a snippet gives
    none, and the last frame, behind which none shows its flow, is left out where there is flow.
    Raises `MissingExtraError` where flow needs OpenCV and there is none.
    """

    def __init__(
        self, sampling: Sampling, flow: FlowInput | None = None, *, pad: bool = True
    ) -> None:
        self._pad = pad
        self._cutter: SnippetCutter[_Seen] = SnippetCutter(
            sampling, epoch_of=lambda seen: seen.frame.epoch
        )
        self._following: FlowToNext[SampledFrame] | None = None
        if flow is not None:
            self._following = FlowToNext(
                OpticalFlow(flow),
                image_of=lambda frame: frame.image,
                epoch_of=lambda frame: frame.epoch,
                keep_last=pad,
            )

    def push(self, frames: Iterable[SampledFrame]) -> list[Snippet]:
        """Take frames in order, and return the snippets that they complete."""
        if self._following is None:
            return self._cut(_Seen(frame) for frame in frames)
        return self._cut(_Seen(*one) for one in self._following.push(frames))

    def flush(self) -> list[Snippet]:
        """End the epoch, and return what it still gives.

        That is the padded snippet if it was shorter than one, or the one that waited for its flow.
        """
        last = [] if self._following is None else self._following.flush()
        return self._cut(_Seen(*one) for one in last) + self._kept(self._cutter.flush())

    def _cut(self, seen: Iterable[_Seen]) -> list[Snippet]:
        return self._kept(self._cutter.push(seen))

    def _kept(self, snippets: list[CutSnippet[_Seen]]) -> list[Snippet]:
        return [_stacked(snippet) for snippet in snippets if self._pad or not snippet.padded]


def engine_inputs(snippets: Sequence[Snippet]) -> EngineInputs:
    """A batch of snippets as an engine takes it."""
    frames = np.stack([snippet.frames for snippet in snippets])  # (N, L, H, W, 3)
    flow = [snippet.flow for snippet in snippets if snippet.flow is not None]
    if not flow:
        return frames
    return {"frames": frames, "flow": np.stack(flow)}  # (N, L, H, W, 2)


def _stacked(snippet: CutSnippet[_Seen]) -> Snippet:
    first = snippet.items[0].frame
    flow = [seen.flow for seen in snippet.items if seen.flow is not None]
    return Snippet(
        start_seconds=first.seconds,
        epoch=first.epoch,
        frames=np.stack([seen.frame.image for seen in snippet.items]),  # (L, H, W, 3)
        flow=np.stack(flow) if flow else None,  # (L, H, W, 2)
        padded=snippet.padded,
    )
