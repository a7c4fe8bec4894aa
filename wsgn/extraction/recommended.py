"""What works on filmed videos: networks that stay as they are, and how they look at snippets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Appearance by a network that knows ImageNet, and motion: chosen on real actions.
BACKBONE = "efficientnet-lite0,motion"
# Enough to see a punch, and few enough for two cores.
FRAME_RATE, SNIPPET_LENGTH, SNIPPET_STRIDE = 10.0, 3, 2
# The middle frame of a snippet, the whole of it.
IMAGE_FRAMES, RESIZE = 1, "stretch"


@dataclass(frozen=True, kw_only=True)
class PretrainedOptions:
    """A folder of video files, seen by networks that stay as they are; features stay on disk."""

    folder: Path
    # The folder of the features; None: `features` in the output folder.
    cache: Path | None = None
    frame_rate: float = FRAME_RATE
    # Frames.
    snippet_length: int = SNIPPET_LENGTH
    snippet_stride: int = SNIPPET_STRIDE
    # Which streams, rgb and motion, in their order; empty means both.
    streams: tuple[str, ...] = ()
    # Leave out videos that lack or cannot be read, with a notice, where that is an error else.
    skip_missing: bool = False
    # Leave them out of scores too, where they count as missed else; it implies `skip_missing`.
    only_present: bool = False
