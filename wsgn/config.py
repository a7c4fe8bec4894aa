"""Configuration of a model and of its training; a checkpoint stores both."""

from __future__ import annotations

from dataclasses import dataclass

from wsgn.errors import UsageError
from wsgn.manifest import FeatureInput, FrameInput, Sampling, SelectionRule

SUPERVISIONS = ("video", "frame")
SCHEDULES = ("constant", "cosine")
# Pixels; the compact backbone halves its input three times.
SMALLEST_SIDE = 8


@dataclass(frozen=True, kw_only=True)
class CompactConfig:
    """A small network on the motion of a snippet (wsgn.backbones.compact)."""

    # Channels of the convolutions; the first three halve height and width.
    channels: tuple[int, ...] = (64, 96, 128, 128)
    # Channels of the feature vector, D.
    feature_size: int = 128


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What is needed to build a model again."""

    classes: tuple[str, ...]
    sampling: Sampling
    # Exactly one of the two: pixels through the backbone, or features made elsewhere.
    frames: FrameInput | None = None
    features: FeatureInput | None = None
    backbone: CompactConfig = CompactConfig()
    # Empty components are the naive model of eq. 1.
    components: tuple[str, ...] = ("local_gaussian", "global_gaussian", "temporal_softmax")
    # Scale of the temporal softmax in training, and when a trained model scores frames.
    softmax_scale: str = "max_one"
    scoring_softmax_scale: str = "max_one"
    class_activation: str = "softmax"
    # Share of the shared features that is dropped in training; the default suits the compact
    # backbone, whose features are few (section 4: 0.5 for image networks, 0.8 for I3D).
    dropout: float = 0.2
    variance_epsilon: float = 1e-6
    # Neighbouring snippets whose scores are averaged when segments are cut; 1 is the paper.
    smoothing_snippets: int = 5

    def __post_init__(self) -> None:
        if (self.frames is None) == (self.features is None):
            raise UsageError("a model takes either frames or features as input.")
        if self.frames is not None and min(self.frames.height, self.frames.width) < SMALLEST_SIDE:
            raise UsageError(
                f"the backbone needs pictures of at least {SMALLEST_SIDE} pixels a side, got "
                f"{self.frames.height} x {self.frames.width}."
            )
        if len(self.classes) == 0 or len(set(self.classes)) != len(self.classes):
            raise UsageError("a model needs at least one class, each named once.")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout must lie in [0, 1), got {self.dropout}.")
        # The rule checks the names.
        for scale in (self.softmax_scale, self.scoring_softmax_scale):
            SelectionRule(
                components=self.components,
                softmax_scale=scale,
                class_activation=self.class_activation,
                variance_epsilon=self.variance_epsilon,
            )

    @property
    def feature_size(self) -> int:
        """Channels of the shared features, D."""
        return self.backbone.feature_size if self.features is None else self.features.size


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a model is trained."""

    # Optimiser updates, and videos in each.
    num_steps: int = 1000
    batch_videos: int = 8
    # Train on every n-th snippet from a random start (the paper: every 5th frame); 1 takes all.
    thinning: int = 4
    # Adam (section 4: 1e-4, weight decay 5e-4; no decay on the global Gaussian).
    learning_rate: float = 1e-3
    weight_decay: float = 5e-4
    # One of SCHEDULES, after a linear warm-up over the first steps.
    schedule: str = "cosine"
    warmup_steps: int = 20
    # The norm to which the gradient is clipped; 0 leaves it alone.
    gradient_clip: float = 5.0
    # 'video' uses video-level labels only; 'frame' adds the labels of every snippet.
    supervision: str = "video"
    # Labels divided by their sum instead of 0/1.
    normalise_labels: bool = False
    # Random flips, shifts, brightness and temporal offset of whole videos (frames only).
    augment: bool = True
    seed: int = 0
    # Steps between two checkpoints.
    checkpoint_every: int = 100

    def __post_init__(self) -> None:
        if self.supervision not in SUPERVISIONS:
            raise UsageError(
                f"supervision must be one of {', '.join(SUPERVISIONS)}, got '{self.supervision}'."
            )
        if self.schedule not in SCHEDULES:
            raise UsageError(
                f"schedule must be one of {', '.join(SCHEDULES)}, got '{self.schedule}'."
            )
        for name in ("num_steps", "batch_videos", "thinning", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in ("seed", "weight_decay", "gradient_clip", "warmup_steps"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must not be negative, got {getattr(self, name)}.")
        if not self.learning_rate > 0:
            raise UsageError(f"learning_rate must be positive, got {self.learning_rate}.")
