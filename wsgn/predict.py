"""A model over whole videos: logits, frame scores and segments, as at training time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from wsgn.data.samples import VideoSource
from wsgn.manifest import DetectionRule
from wsgn.model import WeakDetector
from wsgn.segments import (
    Segment,
    SnippetTimes,
    scores_to_segments,
    smoothed_scores,
    video_thresholds,
)
from wsgn.selection_operator import class_probabilities

FloatArray = npt.NDArray[np.float64]

# Snippets that go through the backbone at once; bounds the memory of long videos.
_CHUNK = 128


@dataclass(frozen=True, kw_only=True)
class VideoPrediction:
    """What a model says of one video with T snippets."""

    name: str
    times: SnippetTimes
    # (T, C) each.
    selection_logits: FloatArray
    class_probabilities: FloatArray
    scores: FloatArray


@torch.inference_mode()
def predict_videos(model: WeakDetector, source: VideoSource) -> Iterator[VideoPrediction]:
    """Predict every video of a source, scored by the model's own operator (not the runtime's)."""
    model.eval()
    for index, video in enumerate(source.videos):
        sample = source.load(index)
        parts = [model.logits(chunk) for chunk in torch.split(sample.inputs, _CHUNK)]
        selection_logits = torch.cat([x for x, _ in parts])  # (T, C)
        class_logits = torch.cat([h for _, h in parts])
        offsets = torch.tensor([0, len(class_logits)])
        scores, _ = model.select(
            selection_logits, class_logits, offsets, model.config.scoring_softmax_scale
        )
        probabilities = class_probabilities(class_logits, model.config.class_activation)
        yield VideoPrediction(
            name=video.name,
            times=sample.times,
            selection_logits=selection_logits.double().numpy(),
            class_probabilities=probabilities.double().numpy(),
            scores=scores.double().numpy(),
        )


def predicted_segments(
    prediction: VideoPrediction, classes: tuple[str, ...], rule: DetectionRule
) -> list[Segment]:
    """Segments of one video by the paper's rule, on smoothed scores if the rule says so."""
    scores = smoothed_scores(prediction.scores, prediction.times.epoch, rule.smoothing_snippets)
    thresholds = video_thresholds(scores, rule)
    return scores_to_segments(
        scores,
        prediction.times,
        classes,
        open_thresholds=thresholds,
        close_thresholds=thresholds,
        minimum_duration_seconds=rule.minimum_duration_seconds,
        merge_gap_seconds=rule.merge_gap_seconds,
        video_score_weight=rule.video_score_weight,
    )
