"""The analysis of the paper's figure 4: each output of a model scored as if it were alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wsgn.checkpoint import Checkpoint
from wsgn.errors import UsageError
from wsgn.localization.scoring import whole_video_statistics
from wsgn.localization.segments import Segment
from wsgn.localization.statistics import gated_weights
from wsgn.manifest import DetectionRule, SelectionRule
from wsgn.methods.rules import selection_rule
from wsgn.methods.wsgn import Wsgn
from wsgn.model import WeakDetector
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
    alone, rule = outputs_alone(checkpoint.build(), predictions), rule_alone(rule)
    return {
        name: find_segments(curves, checkpoint.model.classes, rule)
        for name, curves in alone.items()
    }


def rule_alone(rule: Rule) -> Rule:
    """The rule for one output: the thresholds of training are of the product, not of its parts."""
    return replace(rule, peak_gate=0.0) if isinstance(rule, DetectionRule) else rule


def outputs_alone(
    model: WeakDetector, predictions: Sequence[VideoPrediction]
) -> dict[str, list[VideoPrediction]]:
    """By output the predictions with its curve for frame scores, and the video scores of all."""
    weights = weights_rule(model)
    found: dict[str, list[VideoPrediction]] = {}
    for prediction in predictions:
        for name, scores in separate_outputs(prediction, weights).items():
            # No rule bounds them: weights of mean 1 that were cut at 1 would be equal there.
            alone = replace(
                prediction, scores=scores, video_scores=prediction.pooled_scores(), rule=None
            )
            found.setdefault(name, []).append(alone)
    return found


def weights_rule(model: WeakDetector) -> SelectionRule:
    """What the frame scores of a WSGN model are weighted by.

    Raises `UsageError` for the naive model, which has no weights.
    """
    assert isinstance(model.method, Wsgn)
    rule, config = selection_rule(model), model.method.config
    if not config.components:
        raise UsageError("the naive model has one output only; there is nothing to take apart.")
    # A model that scores by its probabilities has weights all the same.
    return replace(rule, components=config.components, weight_scale=config.weight_scale)


def separate_outputs(prediction: VideoPrediction, rule: SelectionRule) -> dict[str, FloatArray]:
    """Curves (T, C) of one video by name: class probabilities, each component, their mean, scores.

    The components are those of the rule, scaled and gated as it says of all of them.
    """
    logits = prediction.selection_logits
    statistics = whole_video_statistics(logits, rule)
    curves = {"class_probabilities": prediction.class_probabilities}
    for component in rule.components:
        single = replace(rule, components=(component,))
        curves[component] = gated_weights(logits, statistics, single)
    if len(rule.components) > 1:
        curves["selection"] = gated_weights(logits, statistics, rule)
    curves["scores"] = prediction.scores
    return curves
