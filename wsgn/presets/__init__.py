"""Presets of `wsgn-train --preset`, one file for each dataset and one for the literal paper."""

from __future__ import annotations

from wsgn.errors import UsageError
from wsgn.presets.charades import CHARADES
from wsgn.presets.frames import FRAMES
from wsgn.presets.images import IMAGES
from wsgn.presets.paper import PAPER_CHARADES, PAPER_THUMOS14, PAPER_THUMOS14_CASL
from wsgn.presets.plus import WSGN_PLUS
from wsgn.presets.preset import Preset
from wsgn.presets.thumos14 import THUMOS14
from wsgn.presets.videos import VIDEOS

__all__ = ["PRESETS", "Preset", "preset"]

PRESETS = {
    "videos": VIDEOS,
    "frames": FRAMES,
    "images": IMAGES,
    "thumos14": THUMOS14,
    "wsgn+": WSGN_PLUS,
    "charades": CHARADES,
    "paper-thumos14": PAPER_THUMOS14,
    "paper-thumos14-casl": PAPER_THUMOS14_CASL,
    "paper-charades": PAPER_CHARADES,
}


def preset(name: str) -> Preset:
    """The preset of a name; a `UsageError` lists them where there is none."""
    if name not in PRESETS:
        raise UsageError(f"there is no preset '{name}'; there are {', '.join(PRESETS)}.")
    return PRESETS[name]
