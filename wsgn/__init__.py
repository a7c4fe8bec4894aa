"""Weakly supervised action detection: learn from video-level labels, find segments.

docs/api.md describes the public names by task, each with an example. They are loaded when one is
asked for: `import wsgn` loads neither NumPy nor PyTorch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wsgn.errors import (
    EngineError,
    InputError,
    MissingExtraError,
    OutputError,
    TrainingError,
    UsageError,
    WsgnError,
)
from wsgn.support.late_names import late_names
from wsgn.support.packages import switch_off_telemetry

if TYPE_CHECKING:
    from wsgn.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
    from wsgn.data.layouts import read_annotations
    from wsgn.dataset import open_data
    from wsgn.engines.open import open_engine
    from wsgn.export.graphs.file import export_onnx
    from wsgn.extraction.recommended import PretrainedOptions
    from wsgn.features.layouts import open_features
    from wsgn.features.options import FeatureOptions, VideoOptions
    from wsgn.localization.segments import Segment
    from wsgn.metrics.annotations import read_truth
    from wsgn.metrics.classification import evaluate_classification
    from wsgn.metrics.detection import evaluate_detection
    from wsgn.metrics.detections import Detections, read_detections
    from wsgn.prediction.evaluate import find_segments
    from wsgn.prediction.predict import predict_videos
    from wsgn.presets import preset
    from wsgn.runtime.live.detect import detect_live
    from wsgn.runtime.live.options import StreamOptions
    from wsgn.runtime.pipeline import DetectOptions, detect, detect_frames
    from wsgn.runtime.streaming.detector import Detector, SnippetLogits
    from wsgn.runtime.streaming.rules import DetectorOptions
    from wsgn.selection.api import frame_selection, video_selection
    from wsgn.training.options import TrainOptions
    from wsgn.training.train import train
    from wsgn.video.live.options import LiveOptions
    from wsgn.video.live.source import LiveSource

# Before anybody imports ONNX Runtime, which reads it then and never again.
switch_off_telemetry()

__version__ = "0.1.0"

__all__ = [
    "Checkpoint",
    "DetectOptions",
    "Detections",
    "Detector",
    "DetectorOptions",
    "EngineError",
    "FeatureOptions",
    "InputError",
    "LiveOptions",
    "LiveSource",
    "MissingExtraError",
    "OutputError",
    "PretrainedOptions",
    "Segment",
    "SnippetLogits",
    "StreamOptions",
    "TrainOptions",
    "TrainingError",
    "UsageError",
    "VideoOptions",
    "WsgnError",
    "detect",
    "detect_frames",
    "detect_live",
    "evaluate_classification",
    "evaluate_detection",
    "export_onnx",
    "find_segments",
    "frame_selection",
    "load_checkpoint",
    "open_data",
    "open_engine",
    "open_features",
    "predict_videos",
    "preset",
    "read_annotations",
    "read_detections",
    "read_truth",
    "save_checkpoint",
    "train",
    "video_selection",
]

# Where the public names lie.
_HOMES = {
    "wsgn.checkpoint": ("Checkpoint", "load_checkpoint", "save_checkpoint"),
    "wsgn.data.layouts": ("read_annotations",),
    "wsgn.dataset": ("open_data",),
    "wsgn.engines.open": ("open_engine",),
    "wsgn.export.graphs.file": ("export_onnx",),
    "wsgn.extraction.recommended": ("PretrainedOptions",),
    "wsgn.features.layouts": ("open_features",),
    "wsgn.features.options": ("FeatureOptions", "VideoOptions"),
    "wsgn.localization.segments": ("Segment",),
    "wsgn.metrics.annotations": ("read_truth",),
    "wsgn.metrics.classification": ("evaluate_classification",),
    "wsgn.metrics.detection": ("evaluate_detection",),
    "wsgn.metrics.detections": ("Detections", "read_detections"),
    "wsgn.prediction.evaluate": ("find_segments",),
    "wsgn.prediction.predict": ("predict_videos",),
    "wsgn.presets": ("preset",),
    "wsgn.runtime.live.detect": ("detect_live",),
    "wsgn.runtime.live.options": ("StreamOptions",),
    "wsgn.runtime.pipeline": ("DetectOptions", "detect", "detect_frames"),
    "wsgn.runtime.streaming.detector": ("Detector", "SnippetLogits"),
    "wsgn.runtime.streaming.rules": ("DetectorOptions",),
    "wsgn.selection.api": ("frame_selection", "video_selection"),
    "wsgn.training.options": ("TrainOptions",),
    "wsgn.training.train": ("train",),
    "wsgn.video.live.options": ("LiveOptions",),
    "wsgn.video.live.source": ("LiveSource",),
}

# Of these, those that import PyTorch.
_OF_TRAINING = (
    "wsgn.checkpoint",
    "wsgn.dataset",
    "wsgn.prediction.evaluate",
    "wsgn.prediction.predict",
    "wsgn.selection.api",
)

# In a checkout this folder shadows the installed package; the checkout's kernels/, export/ and
# runtime/ then stand beside it and must be found as wsgn.kernels, wsgn.export and wsgn.runtime.
_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "pyproject.toml").is_file():
    __path__.append(str(_checkout))

# Hidden from the type checker, which would take every name for a known one.
if not TYPE_CHECKING:
    __getattr__, __dir__ = late_names(__name__, _HOMES, of_training=_OF_TRAINING)
