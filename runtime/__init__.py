"""The lean runtime: videos in, action segments out, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgn.support.late_names import late_names

if TYPE_CHECKING:
    from wsgn.engines.engine import Engine, EngineOutputs
    from wsgn.engines.open import open_engine
    from wsgn.localization.segments import Segment, scores_to_segments
    from wsgn.video.live.options import LiveOptions
    from wsgn.video.live.source import LiveSource

    from .live.detect import detect_live
    from .live.options import StreamOptions
    from .pipeline import DetectOptions, detect, detect_frames
    from .streaming.detector import Detector, SnippetLogits
    from .streaming.rules import DetectorOptions

__all__ = [
    "DetectOptions",
    "Detector",
    "DetectorOptions",
    "Engine",
    "EngineOutputs",
    "LiveOptions",
    "LiveSource",
    "Segment",
    "SnippetLogits",
    "StreamOptions",
    "detect",
    "detect_frames",
    "detect_live",
    "open_engine",
    "scores_to_segments",
]

# Where the public names lie. They are loaded when one is asked for: `wsgn-run` has to begin, and
# `wsgn-run doctor` to end, where NumPy or PyAV cannot be imported.
_HOMES = {
    "wsgn.localization.segments": ("Segment", "scores_to_segments"),
    "wsgn.runtime.streaming.detector": ("Detector", "SnippetLogits"),
    "wsgn.engines.engine": ("Engine", "EngineOutputs"),
    "wsgn.engines.open": ("open_engine",),
    "wsgn.video.live.options": ("LiveOptions",),
    "wsgn.video.live.source": ("LiveSource",),
    "wsgn.runtime.live.detect": ("detect_live",),
    "wsgn.runtime.live.options": ("StreamOptions",),
    "wsgn.runtime.pipeline": ("DetectOptions", "detect", "detect_frames"),
    "wsgn.runtime.streaming.rules": ("DetectorOptions",),
}

# Hidden from the type checker, which would take every name for a known one.
if not TYPE_CHECKING:
    __getattr__, __dir__ = late_names(__name__, _HOMES)
