"""A trained model with another rule than the one of its training, to try or to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from wsgn.checkpoint import Checkpoint, save_checkpoint
from wsgn.data.annotations import Annotations, label_vector
from wsgn.errors import UsageError
from wsgn.manifest import MultiThresholdRule
from wsgn.methods.config import WsgnConfig
from wsgn.methods.rules import selection_rule
from wsgn.prediction.calibrate import calibrated
from wsgn.prediction.options import PredictOptions
from wsgn.prediction.predict import VideoPrediction


def tried(checkpoint: Checkpoint, options: PredictOptions) -> Checkpoint:
    """The checkpoint with the smoothing and the scoring of the options; `UsageError`.

    The thresholds of training are of other scores then: under another scoring a class need not
    reach its opening threshold (`peak_gate`).
    """
    model, calibration = checkpoint.model, checkpoint.calibration
    if options.smoothing_seconds is not None:
        model = replace(model, smoothing_seconds=options.smoothing_seconds)
        if calibration is not None:
            calibration = calibration.smoothed(model.smoothing_snippets)
    if options.scoring is not None:
        method = model.method
        if not isinstance(method, WsgnConfig) or not method.weighs_average:
            raise UsageError(
                "--scoring is of WSGN with weights of the scale average; the model has none."
            )
        if calibration is not None and options.scoring != method.scoring:
            detection = replace(calibration.detection, peak_gate=0.0)
            calibration = replace(calibration, detection=detection)
        model = replace(model, method=replace(method, scoring=options.scoring))
    return replace(checkpoint, model=model, calibration=calibration)


def write_tried(
    path: Path,
    checkpoint: Checkpoint,
    segments: str,
    annotations: Annotations,
    predictions: Sequence[VideoPrediction],
) -> None:
    """Write a checkpoint of `tried`, calibrated on predictions of its training videos.

    `segments` is one of `wsgn.prediction.options.SEGMENT_RULES`. Raises `OutputError`.
    """
    model = checkpoint.model
    if segments == "middle":
        model = replace(model, proposals=None)
    elif segments == "many":
        model = replace(model, proposals=model.proposals or MultiThresholdRule())
    known = {
        video.name: label_vector(video.labels, annotations.classes) for video in annotations.videos
    }
    labels = np.stack([known[prediction.name] for prediction in predictions]).astype(np.float64)
    rule = selection_rule(checkpoint.build())
    calibration = calibrated(model, rule, predictions, labels)
    save_checkpoint(path, replace(checkpoint, model=model, calibration=calibration))
