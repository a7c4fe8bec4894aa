"""The analysis of the paper's figure 4: each output of a model scored as if it were alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wsgn.checkpoint import Checkpoint
from wsgn.errors import UsageError
from wsgn.localization.scoring import whole_video_statistics
from wsgn.localization.segments import Segment
from wsgn.localization.statistics import selection_weights
from wsgn.manifest import DetectionRule, SelectionRule
from wsgn.methods.config import WsgnConfig
from wsgn.methods.wsgn import Wsgn
from wsgn.prediction.evaluate import Rule, find_segments
from wsgn.prediction.predict import VideoPrediction
from wsgn.support.arrays import FloatArray


def segments_of_each_output(
    checkpoint: Checkpoint,
    predictions: Sequence[VideoPrediction],
    rule: Rule,
) -> dict[str, dict[str, list[Segment]]]:
    """Segments by output and video, each output as if it were alone (figure 4).

    Which classes a video has is told by the model's own video scores.
    """
    model = checkpoint.build()
    assert isinstance(model.method, Wsgn)
    if isinstance(rule, DetectionRule):
        # The thresholds of training are of the product, not of its parts.
        rule = replace(rule, peak_gate=0.0)
    method = model.method
    curves: dict[str, list[VideoPrediction]] = {}
    for prediction in predictions:
        apart = separate_outputs(
            prediction, method.config, method.global_mean.tolist(), method.global_std.tolist()
        )
        for name, scores in apart.items():
            alone = replace(prediction, scores=scores, video_scores=prediction.pooled_scores())
            curves.setdefault(name, []).append(alone)
    return {
        name: find_segments(alone, checkpoint.model.classes, rule) for name, alone in curves.items()
    }


def separate_outputs(
    prediction: VideoPrediction,
    config: WsgnConfig,
    global_mean: Sequence[float],
    global_std: Sequence[float],
) -> dict[str, FloatArray]:
    """Curves (T, C) of one video by name: class probabilities, each component, their mean, scores.

    The components are those that the model was trained with. Raises `UsageError` for the naive
    model, which has none.
    """
    if not config.components:
        raise UsageError("the naive model has one output only; there is nothing to take apart.")
    rule = SelectionRule(
        components=config.components,
        softmax_scale=config.scoring_softmax_scale,
        class_activation=config.class_activation,
        weight_scale=config.weight_scale,
        global_mean=tuple(global_mean),
        global_std=tuple(global_std),
        variance_epsilon=config.variance_epsilon,
    )
    logits = prediction.selection_logits
    statistics = whole_video_statistics(logits, rule)
    curves = {"class_probabilities": prediction.class_probabilities}
    for component in config.components:
        single = replace(rule, components=(component,))
        curves[component] = selection_weights(logits, statistics, single)
    if len(config.components) > 1:
        curves["selection"] = selection_weights(logits, statistics, rule)
    curves["scores"] = prediction.scores
    return curves
