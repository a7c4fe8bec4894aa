"""How the frame and video scores of each trained method follow from what its graph puts out.

The only place that says so: training, prediction and exported engines all score by these rules
(`wsgn.localization.scoring`).
"""

from __future__ import annotations

from typing import Protocol

from wsgn.manifest import ATTENTION, AVERAGE, IDENTITY, PER_FRAME, SelectionRule, VideoScore
from wsgn.methods.basnet import Basnet
from wsgn.methods.co2net import Co2net
from wsgn.methods.config import UntrimmedNetsConfig, WsgnConfig, WtalcConfig
from wsgn.methods.interface import Method
from wsgn.methods.stpn import Stpn
from wsgn.methods.untrimmednets import UntrimmedNets
from wsgn.methods.wsgn import Wsgn
from wsgn.methods.wtalc import Wtalc

# Of the softmax over time where its scale plays no part.
_ANY_SCALE = "mean_one"
# The gate of each of `wsgn.methods.config.SCORINGS` that keeps the weights.
_GATES = {"product": "product", "cut": "cut", "soft_gate": "soft"}


class HasMethod(Protocol):
    """A `wsgn.model.WeakDetector`, say."""

    method: Method


def selection_rule(model: HasMethod) -> SelectionRule:
    """The rule of a model: its graph's `class_activation`, how frames are scored, and videos."""
    return method_rule(model.method)


def method_rule(method: Method) -> SelectionRule:
    """The rule of the layers of a method."""
    match method:
        case Wsgn():
            return _wsgn(method)
        case UntrimmedNets():
            return _untrimmednets(method.config)
        case Stpn():
            return _stpn(method)
        case Wtalc():
            return _wtalc(method.config)
        case Basnet() | Co2net():
            return _top_activations(method.config.snippets_per_pick)
    raise AssertionError(method)


def _wsgn(method: Wsgn) -> SelectionRule:
    config = method.config
    is_average, components, gate = config.weighs_average, config.components, "none"
    if config.scoring == "probabilities":
        is_average, components = False, ()
    elif is_average:
        gate = _GATES[config.scoring]
    return SelectionRule(
        components=components,
        softmax_scale=config.scoring_softmax_scale,
        class_activation=config.class_activation,
        weight_scale=AVERAGE if is_average else PER_FRAME,
        gate=gate,
        variance_epsilon=config.variance_epsilon,
        global_mean=tuple(method.global_mean.tolist()),
        global_std=tuple(method.global_std.tolist()),
        video_score=_wsgn_video_score(config, is_average=is_average),
    )


def _wsgn_video_score(config: WsgnConfig, *, is_average: bool) -> VideoScore:
    """What the loss was of, as far as it is; of the frame scores under eq. 2 to the letter."""
    if config.peak_weight > 0:
        return _of_largest_logits("sigmoid", config.snippets_per_pick)
    if config.trains_logits:
        return VideoScore(pooling="weighted", of="logits", activation="sigmoid")
    if is_average:
        return VideoScore(pooling="weighted", of="probabilities")
    return VideoScore()


def _untrimmednets(config: UntrimmedNetsConfig) -> SelectionRule:
    """Attention against an even spread, 1 / T, whose weight is 1."""
    return SelectionRule(
        components=("temporal_softmax",),
        softmax_scale=_ANY_SCALE,
        class_activation="softmax",
        weight_scale=AVERAGE,
        gate=config.gate,
        gate_level=config.attention_threshold,
        video_score=VideoScore(pooling="weighted", of="probabilities"),
    )


def _stpn(method: Stpn) -> SelectionRule:
    """The weighted temporal class activation map; a video's logits are weighted means, plus b."""
    return SelectionRule(
        components=(ATTENTION,),
        softmax_scale=_ANY_SCALE,
        class_activation="sigmoid",
        video_score=VideoScore(
            pooling="weighted",
            of="logits",
            activation="sigmoid",
            bias=tuple(method.class_bias.tolist()),
        ),
    )


def _wtalc(config: WtalcConfig) -> SelectionRule:
    """With the sigmoid, each class's probabilities by itself; else class activations."""
    if config.loss != "sigmoid":
        return _top_activations(config.snippets_per_pick)
    return SelectionRule(
        components=(),
        softmax_scale=_ANY_SCALE,
        class_activation="sigmoid",
        video_score=_of_largest_logits("sigmoid", config.snippets_per_pick),
    )


def _top_activations(snippets_per_pick: int) -> SelectionRule:
    """Class activations, cut at 0; a video's scores are the softmax of each one's largest."""
    return SelectionRule(
        components=(),
        softmax_scale=_ANY_SCALE,
        class_activation=IDENTITY,
        video_score=_of_largest_logits("softmax", snippets_per_pick),
    )


def _of_largest_logits(activation: str, snippets_per_pick: int) -> VideoScore:
    return VideoScore(
        pooling="top", of="logits", activation=activation, snippets_per_pick=snippets_per_pick
    )
