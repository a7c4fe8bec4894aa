"""The lean runtime: videos in, action segments out, without torch."""

from __future__ import annotations

from wsgn.segments import Segment, scores_to_segments

from .detector import Detector, SnippetLogits
from .engines import Engine, EngineOutputs, open_engine
from .pipeline import DetectOptions, detect
from .rules import DetectorOptions

__all__ = [
    "DetectOptions",
    "Detector",
    "DetectorOptions",
    "Engine",
    "EngineOutputs",
    "Segment",
    "SnippetLogits",
    "detect",
    "open_engine",
    "scores_to_segments",
]
