"""How scores of frames and of videos follow from what an engine puts out."""

from __future__ import annotations

from dataclasses import dataclass

from wsgn.manifest.bounds import (
    MOST_FRAMES,
    SMALLEST_DIVISOR,
    require,
    require_not_negative,
    require_numbers,
)
from wsgn.manifest.names import (
    ACTIVATIONS,
    ATTENTION,
    AVERAGE,
    GATE_HALF,
    GATES,
    IDENTITY,
    PER_FRAME,
    POOLED,
    POOLINGS,
    SCORING_SCALES,
    SELECTIONS,
    VIDEO_ACTIVATIONS,
    WEIGHT_SCALES,
)
from wsgn.support.choices import one_of, require_choices


@dataclass(frozen=True, kw_only=True)
class VideoScore:
    """How a class's score of a whole video is pooled of its snippets."""

    # 'frame_scores': their mean. 'weighted': the mean of w u, w before any gate. 'top': the mean of
    # the ceil(T / snippets_per_pick) largest u.
    pooling: str = one_of(POOLINGS, "frame_scores")
    # What u is: class probabilities, or class logits.
    of: str = one_of(POOLED, "probabilities")
    # Of the pooled value: none, a sigmoid, or a softmax over classes.
    activation: str = one_of(VIDEO_ACTIVATIONS, "none")
    snippets_per_pick: int = 8
    # Per class, added before the activation; empty is 0.
    bias: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        require_choices(self)
        require_numbers(self)
        require(
            1 <= self.snippets_per_pick <= MOST_FRAMES,
            f"snippets_per_pick must be 1 to {MOST_FRAMES}, got {self.snippets_per_pick}.",
        )
        require(
            self.pooling != "frame_scores"
            or (self.of == "probabilities" and self.activation == "none" and not self.bias),
            "a mean of frame_scores is of nothing else and has neither activation nor bias: choose "
            "the pooling weighted or top for those.",
        )
        require(
            self.activation != "none" or (self.of == "probabilities" and not self.bias),
            "a video score of logits, or with a bias, needs the activation sigmoid or softmax: it "
            "would know no bounds.",
        )


@dataclass(frozen=True, kw_only=True)
class SelectionRule:
    """How frame scores follow from selection logits x and class probabilities p (eqs. 3 to 7).

    The score of a frame is gate(w) p, w the mean of the components' weights; under a
    class_activation of 'identity', where p are class logits, gate(w) max(p, 0).
    """

    # Subset of COMPONENTS that is averaged, or ATTENTION alone; empty is the naive model (eq. 1),
    # whose weight is 1.
    components: tuple[str, ...]
    # What the temporal softmax is scaled to, one of SCORING_SCALES; sum_one is the literal
    # paper. Of no meaning under AVERAGE.
    softmax_scale: str
    # What the graph made of its class logits, one of ACTIVATIONS.
    class_activation: str
    # What every component's weight is scaled to, one of WEIGHT_SCALES.
    weight_scale: str = PER_FRAME
    # What becomes of the weight in frame scores, one of GATES, and the weight of soft and hard.
    gate: str = "none"
    gate_level: float = GATE_HALF
    # mu_l and s_l of the global Gaussian, one per class; empty when it is not in use.
    global_mean: tuple[float, ...] = ()
    global_std: tuple[float, ...] = ()
    # Added to the variance of eq. 3 inside the root.
    variance_epsilon: float = 1e-6
    video_score: VideoScore = VideoScore()

    def __post_init__(self) -> None:
        unknown = set(self.components) - set(SELECTIONS)
        require(
            not unknown and len(set(self.components)) == len(self.components),
            f"components must be distinct names out of {', '.join(SELECTIONS)}, "
            f"got {list(self.components)}.",
        )
        for name, choices in (
            ("softmax_scale", SCORING_SCALES),
            ("class_activation", ACTIVATIONS),
            ("weight_scale", WEIGHT_SCALES),
            ("gate", GATES),
        ):
            value = getattr(self, name)
            require(value in choices, f"{name} must be one of {', '.join(choices)}, got '{value}'.")
        self._check_together()
        require_numbers(self)
        require_not_negative(self, "gate_level")
        require(self.variance_epsilon > 0, "variance_epsilon must be positive.")
        require(all(s > 0 for s in self.global_std), "every global_std must be positive.")
        require(
            min(self.variance_epsilon, *self.global_std, 1.0) >= SMALLEST_DIVISOR,
            f"variance_epsilon and global_std must be at least {SMALLEST_DIVISOR:g}.",
        )
        require(
            self.gate != "soft" or self.gate_level >= SMALLEST_DIVISOR,
            f"the gate_level of a soft gate must be at least {SMALLEST_DIVISOR:g}.",
        )

    def _check_together(self) -> None:
        is_average = self.weight_scale == AVERAGE
        require(
            ATTENTION not in self.components or (len(self.components) == 1 and not is_average),
            f"{ATTENTION} stands alone among the components, with the weight_scale {PER_FRAME}.",
        )
        require(
            self.gate != "product" or is_average,
            f"the gate product is of the weight_scale {AVERAGE} only.",
        )
        require(
            self.class_activation != IDENTITY
            or self.video_score.pooling == "frame_scores"
            or self.video_score.activation != "none",
            f"under the class_activation {IDENTITY} a video score needs the activation sigmoid or "
            "softmax.",
        )

    @property
    def is_bounded(self) -> bool:
        """Whether frame scores lie from 0 to 1; class logits, and weights of mean 1, know no bound.

        Weights at `mean_one` pass 1 too: scores of such engines were always cut there.
        """
        is_open = self.weight_scale == AVERAGE and self.gate == "none" and bool(self.components)
        return self.class_activation != IDENTITY and not is_open


@dataclass(frozen=True, kw_only=True)
class Prior:
    """Statistics of the training videos' selection logits, for the first seconds of a stream."""

    # Number of pseudo-observations that the prior stands for, in snippets.
    count: float
    # Per class: mean and population variance of the logits.
    mean: tuple[float, ...]
    variance: tuple[float, ...]
    # Per class: log of the mean of exp(logit), and the largest logit of a typical video.
    log_mean_exponential: tuple[float, ...]
    maximum: tuple[float, ...]
    # Per class: means over videos of the mean local and global Gaussian (eqs. 3 and 5) of each;
    # wanted under AVERAGE where the component is in use.
    mean_local: tuple[float, ...] = ()
    mean_global: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        require_numbers(self)
        require(self.count >= 0, f"the prior's count must not be negative, got {self.count}.")
        require(all(v >= 0 for v in self.variance), "the prior's variances must not be negative.")
        for name in ("mean_local", "mean_global"):
            values = getattr(self, name)
            require(
                all(0 <= value <= 1 for value in values),
                f"the prior's {name} must lie from 0 to 1, got {list(values)}.",
            )
