"""A model over whole videos: logits, frame scores and segments, as at training time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from wsgn.config import ModelConfig
from wsgn.data.samples import VideoSource
from wsgn.errors import InputError
from wsgn.localization.proposals import MultiThresholdRule, proposals
from wsgn.localization.scoring import bounded, frame_scores, video_scores
from wsgn.localization.segments import (
    Segment,
    SnippetTimes,
    scores_to_segments,
    smoothed_scores,
    video_thresholds,
)
from wsgn.manifest import IDENTITY, DetectionRule, SelectionRule
from wsgn.methods.interface import HeadOutput
from wsgn.methods.rules import selection_rule
from wsgn.model import WeakDetector
from wsgn.selection.operator import class_probabilities
from wsgn.support.arrays import FloatArray

# What goes through the network at once, pixels of frames and snippets of features; bounds the
# memory of long videos.
_CHUNK_PIXELS, _CHUNK_FEATURES = 2**22, 8192


@dataclass(frozen=True, kw_only=True)
class VideoPrediction:
    """What a model says of one video with T snippets."""

    name: str
    times: SnippetTimes
    # (T, C) each; the probabilities are class logits under a class_activation of 'identity'.
    selection_logits: FloatArray
    class_probabilities: FloatArray
    scores: FloatArray
    # (C,); None where they are the mean of the frame scores.
    video_scores: FloatArray | None = None
    # By which they were scored; None of scores that are known to lie from 0 to 1.
    rule: SelectionRule | None = None

    def pooled_scores(self) -> FloatArray:
        """Video scores (C,), whichever they are."""
        if self.video_scores is None:
            mean: FloatArray = self.scores.mean(axis=0)
            return mean
        return self.video_scores


@torch.inference_mode()
def predict_videos(
    model: WeakDetector, source: VideoSource, rule: SelectionRule | None = None
) -> Iterator[VideoPrediction]:
    """Predict the videos of a source one after the other, as an exported engine scores them.

    Args:
        model: of `Checkpoint.build()`, on any device.
        source: of `Dataset.source(subset, checkpoint.model)`.
        rule: how outputs become scores; by default the model's own (`wsgn.methods.rules`).

    Returns:
        For each video with T snippets and C classes `scores` (T, C), the frame scores before
        smoothing, the logits and probabilities that they come from, and `times`, in seconds.

    Raises:
        InputError: a file cannot be read.
    """
    model.eval()
    rule, num_classes = rule or selection_rule(model), len(model.config.classes)
    chunk, device = _chunk(model.config), next(model.parameters()).device
    has_own = rule.video_score.pooling != "frame_scores"
    for index, video in enumerate(source.videos):
        sample = source.load(index)
        heads = joined([model(part.to(device)) for part in torch.split(sample.inputs, chunk)])
        class_logits = heads.class_logits[:, :num_classes].float()
        if rule.class_activation != IDENTITY:
            class_logits = class_probabilities(class_logits, rule.class_activation)
        outputs = _array(heads.selection_logits[:, :num_classes]), _array(class_logits)
        scores = frame_scores(*outputs, rule)
        yield VideoPrediction(
            name=video.name,
            times=sample.times,
            selection_logits=outputs[0],
            class_probabilities=outputs[1],
            scores=scores,
            video_scores=video_scores(*outputs, rule, scores) if has_own else None,
            rule=rule,
        )


def _chunk(config: ModelConfig) -> int:
    if config.frames is None:
        return _CHUNK_FEATURES
    pixels = config.sampling.snippet_length * config.frames.height * config.frames.width
    return max(1, _CHUNK_PIXELS // pixels)


def joined(parts: Sequence[HeadOutput]) -> HeadOutput:
    """Parts of a video behind each other."""
    return HeadOutput(
        selection_logits=torch.cat([part.selection_logits for part in parts]),
        class_logits=torch.cat([part.class_logits for part in parts]),
        hidden=torch.cat([part.hidden for part in parts]),
    )


def _array(values: Tensor) -> FloatArray:
    return values.double().cpu().numpy()


def predicted_segments(
    prediction: VideoPrediction, classes: tuple[str, ...], rule: DetectionRule | MultiThresholdRule
) -> list[Segment]:
    """Segments of one video: by one threshold in the middle of smoothed scores, or by many.

    They are those that an engine of the model gives at the end of a video.
    """
    if isinstance(rule, MultiThresholdRule):
        segments = proposals(
            prediction.scores, prediction.times, classes, prediction.pooled_scores(), rule
        )
    else:
        segments = _cut_at_one(prediction, classes, rule)
    if prediction.rule is None:
        return segments
    return [replace(one, score=bounded(one.score, prediction.rule)) for one in segments]


def _cut_at_one(
    prediction: VideoPrediction, classes: tuple[str, ...], rule: DetectionRule
) -> list[Segment]:
    scores = smoothed_scores(prediction.scores, prediction.times.epoch, rule.smoothing_snippets)
    thresholds = video_thresholds(scores, rule, prediction.video_scores)
    return scores_to_segments(
        scores,
        prediction.times,
        classes,
        open_thresholds=thresholds,
        close_thresholds=thresholds,
        minimum_duration_seconds=rule.minimum_duration_seconds,
        merge_gap_seconds=rule.merge_gap_seconds,
        video_scores=prediction.video_scores,
        video_score_weight=rule.video_score_weight,
    )


def fused(predictions: Sequence[VideoPrediction]) -> VideoPrediction:
    """Late fusion: the mean of several models' scores of one video, such as of RGB and of flow."""
    first = predictions[0]
    for other in predictions[1:]:
        if other.name != first.name or not np.array_equal(
            other.times.centre_seconds, first.times.centre_seconds
        ):
            raise InputError(
                f"the models do not score the same times of video '{first.name}', so their scores "
                "cannot be averaged: use features on one time base."
            )
    pooled = None
    if any(prediction.video_scores is not None for prediction in predictions):
        pooled = np.mean([prediction.pooled_scores() for prediction in predictions], axis=0)
    rules = [prediction.rule for prediction in predictions]
    return replace(
        first,
        # A mean has no bound where one of them has none.
        rule=next((rule for rule in rules if rule is not None and not rule.is_bounded), first.rule),
        selection_logits=np.mean([p.selection_logits for p in predictions], axis=0),
        class_probabilities=np.mean([p.class_probabilities for p in predictions], axis=0),
        scores=np.mean([p.scores for p in predictions], axis=0),
        video_scores=pooled,
    )
