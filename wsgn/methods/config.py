"""Configuration of each method; a model's configuration holds one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wsgn.errors import UsageError
from wsgn.manifest import CLASS_ACTIVATIONS, SCORING_SCALES, SOFTMAX_SCALES, SelectionRule
from wsgn.support.choices import one_of


@dataclass(frozen=True, kw_only=True)
class WsgnConfig:
    """WSGN, or the naive model of eq. 1 where there are no components (wsgn.methods.wsgn)."""

    name: Literal["wsgn"] = "wsgn"
    components: tuple[str, ...] = ("local_gaussian", "global_gaussian", "temporal_softmax")
    # Scale of the temporal softmax in training, and when a trained model scores frames.
    softmax_scale: str = one_of(SOFTMAX_SCALES, "max_one")
    scoring_softmax_scale: str = one_of(SCORING_SCALES, "max_one")
    class_activation: str = one_of(CLASS_ACTIVATIONS, "softmax")
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
        if self.softmax_scale not in SOFTMAX_SCALES:
            raise UsageError(
                f"softmax_scale must be one of {', '.join(SOFTMAX_SCALES)} in training, got "
                f"'{self.softmax_scale}'."
            )
        # The rule checks the names.
        for scale in (self.softmax_scale, self.scoring_softmax_scale):
            SelectionRule(
                components=self.components,
                softmax_scale=scale,
                class_activation=self.class_activation,
                variance_epsilon=self.variance_epsilon,
            )


def require_weight(name: str, value: float) -> None:
    """Refuse a loss weight that is negative or not a number."""
    if not value >= 0:
        raise UsageError(f"{name} must not be negative, got {value}.")


def require_count(name: str, value: int) -> None:
    """Refuse a number of things under 1."""
    if value < 1:
        raise UsageError(f"{name} must be at least 1, got {value}.")


@dataclass(frozen=True, kw_only=True)
class UntrimmedNetsConfig:
    """UntrimmedNets with soft selection (wsgn.methods.untrimmednets)."""

    name: Literal["untrimmednets"] = "untrimmednets"
    # Snippets with less attention than this share of an even spread, 1 / T, score 0.
    attention_threshold: float = 0.1

    def __post_init__(self) -> None:
        require_weight("attention_threshold", self.attention_threshold)


@dataclass(frozen=True, kw_only=True)
class StpnConfig:
    """Sparse temporal pooling (wsgn.methods.stpn)."""

    name: Literal["stpn"] = "stpn"
    # Hidden units of the attention.
    attention_size: int = 256
    # Weight beta of the attention's L1 norm (paper: 1e-4).
    sparsity_weight: float = 1e-4
    # The norm counts as that of a video of so many snippets (the paper samples 400 of each).
    sparsity_snippets: int = 400

    def __post_init__(self) -> None:
        require_weight("sparsity_weight", self.sparsity_weight)
        require_count("attention_size", self.attention_size)
        require_count("sparsity_snippets", self.sparsity_snippets)


@dataclass(frozen=True, kw_only=True)
class WtalcConfig:
    """Top-k multiple-instance learning with co-activity (wsgn.methods.wtalc)."""

    name: Literal["wtalc"] = "wtalc"
    # A video's activation is the mean of its k = ceil(T / snippets_per_pick) largest (paper: 8).
    snippets_per_pick: int = 8
    # Share of the hidden layer that is dropped in training (the authors' code: 0.7).
    dropout: float = 0.7
    # 1 - lambda: weight of the co-activity loss beside lambda times the classification loss (paper:
    # 0.5); 0 leaves it out, more needs pairs of videos in each batch.
    coactivity_weight: float = 0.5

    def __post_init__(self) -> None:
        require_count("snippets_per_pick", self.snippets_per_pick)
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout must lie in [0, 1), got {self.dropout}.")
        if not 0 <= self.coactivity_weight < 1:
            raise UsageError(f"coactivity_weight must lie in [0, 1), got {self.coactivity_weight}.")


MethodConfig = WsgnConfig | UntrimmedNetsConfig | StpnConfig | WtalcConfig
