"""Configuration of each method; a model's configuration holds one of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from wsgn.errors import UsageError
from wsgn.manifest import (
    AVERAGE,
    CLASS_ACTIVATIONS,
    COMPONENTS,
    POOLED,
    SCORING_SCALES,
    SOFTMAX_SCALES,
    WEIGHT_SCALES,
    SelectionRule,
)
from wsgn.support.choices import one_of, require_choices

# How frames are scored where weights are a weighted average (wsgn.methods.rules).
SCORINGS = ("product", "cut", "soft_gate", "probabilities")
PEAK_POOLINGS = ("top_k", "softmax")


@dataclass(frozen=True, kw_only=True)
class WsgnConfig:
    """WSGN, or the naive model of eq. 1 where there are no components (wsgn.methods.wsgn)."""

    name: Literal["wsgn"] = "wsgn"
    components: tuple[str, ...] = ("local_gaussian", "global_gaussian", "temporal_softmax")
    # 'average': each component sums to one over a video, so that the video score is a weighted
    # average of the frames; 'per_frame': eq. 2 to the letter, over T whatever the weights sum to.
    weight_scale: str = one_of(WEIGHT_SCALES, AVERAGE)
    # Under 'average', how a trained model scores frames, with w the weights of mean 1 and p the
    # class probabilities: 'product', of p and the weights of eqs. 3, 5 and 7 over its largest;
    # 'cut', min(w, 1) p; 'soft_gate', w / (w + 0.1) p; 'probabilities', p alone, which is all that
    # has a meaning under 'per_frame'.
    scoring: str = one_of(SCORINGS, "product")
    # Under 'per_frame', the scale of the temporal softmax in training, and when a trained model
    # scores frames.
    softmax_scale: str = one_of(SOFTMAX_SCALES, "max_one")
    scoring_softmax_scale: str = one_of(SCORING_SCALES, "max_one")
    class_activation: str = one_of(CLASS_ACTIVATIONS, "softmax")
    # What of the frames the video score is pooled of in the loss; 'logits' need the sigmoid.
    pooling: str = one_of(POOLED, "probabilities")
    # Weight of a second loss, on the peaks of each class's logits; it needs the sigmoid. Pooled is
    # the mean of the k = ceil(T / snippets_per_pick) largest, or the logits' mean under their own
    # softmax over time.
    peak_weight: float = 0.0
    peak_pooling: str = one_of(PEAK_POOLINGS, "top_k")
    snippets_per_pick: int = 8
    # Whether the heads have a hidden layer (the paper) or are linear.
    hidden_layer: bool = True
    variance_epsilon: float = 1e-6
    # Where mu_l and s_l of the global Gaussian start.
    initial_mean: float = 0.0
    initial_std: float = 1.0
    # Weight of the co-activity loss (paper: 0.5); it needs pairs of videos in each batch.
    coactivity_weight: float = 0.0

    def __post_init__(self) -> None:
        if not self.initial_std > 0:
            raise UsageError(f"initial_std must be positive, got {self.initial_std}.")
        require_weight("coactivity_weight", self.coactivity_weight)
        require_weight("peak_weight", self.peak_weight)
        require_count("snippets_per_pick", self.snippets_per_pick)
        if self.softmax_scale not in SOFTMAX_SCALES:
            raise UsageError(
                f"softmax_scale must be one of {', '.join(SOFTMAX_SCALES)} in training, got "
                f"'{self.softmax_scale}'."
            )
        require_choices(self)
        if self.class_activation != "sigmoid" and (self.trains_logits or self.peak_weight):
            raise UsageError(
                "a loss on class logits (pooling logits, or a peak_weight) asks of each class by "
                "itself whether it is there: set class_activation to sigmoid."
            )
        if unknown := sorted(set(self.components) - set(COMPONENTS)):
            raise UsageError(
                f"components must be out of {', '.join(COMPONENTS)}, got {', '.join(unknown)}."
            )
        # The rule checks the rest.
        for scale in (self.softmax_scale, self.scoring_softmax_scale):
            SelectionRule(
                components=self.components,
                softmax_scale=scale,
                class_activation=self.class_activation,
                variance_epsilon=self.variance_epsilon,
            )

    @property
    def weighs_average(self) -> bool:
        """Whether there are weights, of mean 1 over a video."""
        return bool(self.components) and self.weight_scale == AVERAGE

    @property
    def trains_logits(self) -> bool:
        """Whether the video score in the loss is pooled of class logits."""
        return self.pooling == "logits"


def require_weight(name: str, value: float) -> None:
    """Refuse a loss weight that is negative or not a number."""
    if not value >= 0:
        raise UsageError(f"{name} must not be negative, got {value}.")


def require_count(name: str, value: int) -> None:
    """Refuse a number of things under 1."""
    if value < 1:
        raise UsageError(f"{name} must be at least 1, got {value}.")


def require_dropout(value: float) -> None:
    """Refuse a share of units that is dropped outside of [0, 1)."""
    if not 0 <= value < 1:
        raise UsageError(f"dropout must lie in [0, 1), got {value}.")


ATTENTION_GATES = ("hard", "soft")


@dataclass(frozen=True, kw_only=True)
class UntrimmedNetsConfig:
    """UntrimmedNets with soft selection (wsgn.methods.untrimmednets)."""

    name: Literal["untrimmednets"] = "untrimmednets"
    # Whether both modules share a hidden layer; the paper's are linear in the features.
    hidden_layer: bool = False
    # Snippets with less attention than this share of an even spread, 1 / T, score 0 ('hard'), or a
    # snippet with that share scores half of its class probability ('soft': m / (m + share)).
    attention_threshold: float = 0.1
    gate: str = one_of(ATTENTION_GATES, "hard")

    def __post_init__(self) -> None:
        require_choices(self)
        require_weight("attention_threshold", self.attention_threshold)
        if self.gate == "soft" and self.attention_threshold == 0:
            raise UsageError("attention_threshold must be positive for the soft gate, got 0.")


@dataclass(frozen=True, kw_only=True)
class StpnConfig:
    """Sparse temporal pooling (wsgn.methods.stpn)."""

    name: Literal["stpn"] = "stpn"
    # Whether attention and classifier share a hidden layer; the paper's classifier is linear.
    hidden_layer: bool = False
    # Hidden units of the attention.
    attention_size: int = 256
    # Weight beta of the attention's L1 norm (paper: 1e-4).
    sparsity_weight: float = 1e-4
    # The norm counts as that of a video of so many snippets (the paper samples 400 of each).
    sparsity_snippets: int = 400
    # Bias of the attention before training: 0 starts at 1/2 everywhere, 3 near 1, as a mean of all.
    initial_attention_logit: float = 0.0

    def __post_init__(self) -> None:
        require_weight("sparsity_weight", self.sparsity_weight)
        if not math.isfinite(self.initial_attention_logit):
            raise UsageError(
                f"initial_attention_logit must be a number, got {self.initial_attention_logit}."
            )
        require_count("attention_size", self.attention_size)
        require_count("sparsity_snippets", self.sparsity_snippets)


TOP_K_LOSSES = ("softmax", "sigmoid")


@dataclass(frozen=True, kw_only=True)
class WtalcConfig:
    """Top-k multiple-instance learning with co-activity (wsgn.methods.wtalc)."""

    name: Literal["wtalc"] = "wtalc"
    # The paper's hidden layer; without it the classifier is linear in the features.
    hidden_layer: bool = True
    # Of the pooled activations: 'softmax' over classes and cross-entropy (the paper), or 'sigmoid'
    # and a binary cross-entropy per class, which pushes down what is like a class that is absent.
    loss: str = one_of(TOP_K_LOSSES, "softmax")
    # A video's activation is the mean of its k = ceil(T / snippets_per_pick) largest (paper: 8).
    snippets_per_pick: int = 8
    # Share of the hidden layer that is dropped in training (the authors' code: 0.7).
    dropout: float = 0.7
    # 1 - lambda: weight of the co-activity loss beside lambda times the classification loss (paper:
    # 0.5); 0 leaves it out, more needs pairs of videos in each batch.
    coactivity_weight: float = 0.5

    def __post_init__(self) -> None:
        require_choices(self)
        require_count("snippets_per_pick", self.snippets_per_pick)
        require_dropout(self.dropout)
        if not 0 <= self.coactivity_weight < 1:
            raise UsageError(f"coactivity_weight must lie in [0, 1), got {self.coactivity_weight}.")


@dataclass(frozen=True, kw_only=True)
class BasnetConfig:
    """Background suppression (wsgn.methods.basnet)."""

    name: Literal["basnet"] = "basnet"
    # Under the classifier; the paper has two temporal convolutions.
    hidden_layer: bool = True
    # Share of the classifier's input that is dropped in training (the authors' code: 0.7).
    dropout: float = 0.7
    # Hidden units of the filtering module.
    attention_size: int = 512
    # A video's activation is the mean of its k = ceil(T / snippets_per_pick) largest (paper: 8).
    snippets_per_pick: int = 8
    # Weight of the attention's L1 norm (paper: 1e-4), which counts as that of a video of so many
    # snippets (the paper samples 750 of each).
    sparsity_weight: float = 1e-4
    sparsity_snippets: int = 750

    def __post_init__(self) -> None:
        require_weight("sparsity_weight", self.sparsity_weight)
        for name in ("attention_size", "snippets_per_pick", "sparsity_snippets"):
            require_count(name, getattr(self, name))
        require_dropout(self.dropout)


@dataclass(frozen=True, kw_only=True)
class Co2netConfig:
    """Cross-modal consensus of two streams (wsgn.methods.co2net)."""

    name: Literal["co2net"] = "co2net"
    # The fusion layer between the filtered streams and the classifier.
    hidden_layer: bool = True
    # Share of the classifier's input that is dropped in training (the authors' code: 0.7).
    dropout: float = 0.7
    # Hidden units of each stream's attention.
    attention_size: int = 512
    # A video's activation is the mean of its k = ceil(T / snippets_per_pick) largest (paper: 7).
    snippets_per_pick: int = 7
    # Channels of the first stream, which come first; 0: of two streams in a file the first's, and
    # half of all where it has others.
    first_stream_size: int = 0
    # Of the attentions' mean, and of their distance from 1 - p(background) (paper: 0.8 each).
    sparsity_weight: float = 0.8
    guide_weight: float = 0.8

    def __post_init__(self) -> None:
        for name in ("sparsity_weight", "guide_weight", "first_stream_size"):
            require_weight(name, getattr(self, name))
        for name in ("attention_size", "snippets_per_pick"):
            require_count(name, getattr(self, name))
        require_dropout(self.dropout)


MethodConfig = (
    WsgnConfig | UntrimmedNetsConfig | StpnConfig | WtalcConfig | BasnetConfig | Co2netConfig
)


def with_streams(method: MethodConfig, sizes: Sequence[int]) -> MethodConfig:
    """The method on features that two streams of these sizes make up, where it tells them apart."""
    if isinstance(method, Co2netConfig) and not method.first_stream_size and len(sizes) == 2:
        return replace(method, first_stream_size=sizes[0])
    return method
