"""Configuration of a model and of its training; a checkpoint stores both."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace

from wsgn.backbones.config import BackboneConfig, CompactConfig, I3dConfig
from wsgn.errors import UsageError
from wsgn.localization.timing import smoothing_snippets
from wsgn.manifest import (
    DetectionRule,
    FeatureInput,
    FrameInput,
    MultiThresholdRule,
    Sampling,
)
from wsgn.methods.config import MethodConfig, WsgnConfig
from wsgn.support.choices import one_of, require_choices

SUPERVISIONS = ("video", "frame")
SCHEDULES = ("constant", "cosine")
# Of matrix products; TF32 is float32 with rounded factors, on a GPU.
PRECISIONS = ("auto", "float32", "tf32", "bfloat16")
TIME_UNITS = ("snippet", "frame")
# Where the features of a training are kept.
CACHES = ("none", "ram", "device")

# How videos are looked at where nobody says otherwise.
DEFAULT_SAMPLING = Sampling(frame_rate=10.0, snippet_length=8, snippet_stride=4)
DEFAULT_FRAMES = FrameInput(height=48, width=64)


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """What a model is on any dataset: the part of its configuration that a preset fixes."""

    # For pixels; features are made by a network of the user's own.
    backbone: BackboneConfig = field(default_factory=CompactConfig)
    method: MethodConfig = field(default_factory=WsgnConfig)
    # Bring each channel of features to mean 0 and deviation 1 over the training videos.
    standardise: bool = False
    # Share of the shared features that is dropped in training; the default suits the compact
    # backbone, whose features are few (section 4: 0.5 for image networks, 0.8 for I3D).
    dropout: float = 0.2
    # What a score is of: a 'snippet', or a 'frame' with features interpolated between snippets
    # (the paper); and every how many frames a trained model scores.
    time_unit: str = one_of(TIME_UNITS, "snippet")
    scoring_step: int = 1
    # The time over which scores are averaged before segments are cut; 0 is none.
    smoothing_seconds: float = 2.0
    # A class must reach this share of its opening threshold somewhere; 0 is off.
    peak_gate: float = DetectionRule.peak_gate
    # Cut segments of whole videos by many thresholds, after the same smoothing, instead of one in
    # the middle.
    proposals: MultiThresholdRule | None = None

    def __post_init__(self) -> None:
        require_choices(self)
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout must lie in [0, 1), got {self.dropout}.")
        if not 0 <= self.smoothing_seconds < math.inf:
            raise UsageError(
                f"smoothing_seconds must be 0 or more seconds, got {self.smoothing_seconds}."
            )
        if self.proposals is not None and self.proposals.smoothing_snippets != 1:
            raise UsageError(
                "the smoothing of many thresholds is that of the model: leave their "
                "smoothing_snippets at 1, and set smoothing_seconds."
            )
        if not self.peak_gate >= 0:
            raise UsageError(f"peak_gate must not be negative, got {self.peak_gate}.")
        if self.scoring_step < 1:
            raise UsageError(f"scoring_step must be at least 1, got {self.scoring_step}.")

    def on(
        self,
        *,
        classes: tuple[str, ...],
        sampling: Sampling,
        frames: FrameInput | None = None,
        features: FeatureInput | None = None,
        streams: tuple[str, ...] = (),
    ) -> ModelConfig:
        """The model with these settings on a dataset."""
        settings = {one.name: getattr(self, one.name) for one in fields(ModelSettings)}
        return ModelConfig(
            classes=classes,
            sampling=sampling,
            frames=frames,
            features=features,
            streams=streams,
            **settings,
        )


@dataclass(frozen=True, kw_only=True)
class ModelConfig(ModelSettings):
    """What is needed to build a model again: its settings, and what the dataset brings along."""

    classes: tuple[str, ...]
    sampling: Sampling
    # Exactly one of the two: pixels through the backbone, or features made elsewhere.
    frames: FrameInput | None = None
    features: FeatureInput | None = None
    # Which streams of stored features those are, in their order; empty means all.
    streams: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.frames is None) == (self.features is None):
            raise UsageError("a model takes either frames or features as input.")
        if self.frames is not None:
            _require_frames(self.backbone, self.frames)
        if len(self.classes) == 0 or len(set(self.classes)) != len(self.classes):
            raise UsageError("a model needs at least one class, each named once.")
        if self.time_unit == "frame" and self.features is None:
            raise UsageError("only features can be interpolated to frames; use time_unit snippet.")
        if self.standardise and self.features is None:
            raise UsageError("only given features are standardised; a backbone learns its own.")

    @property
    def feature_size(self) -> int:
        """Channels of the shared features, D."""
        return self.backbone.feature_size if self.features is None else self.features.size

    @property
    def smoothing_snippets(self) -> int:
        """The odd number of scores, of snippets or of frames, over which they are averaged."""
        return self.smoothed_over(self.smoothing_seconds)

    def smoothed_over(self, seconds: float, thinning: int | None = None) -> int:
        """The odd number of scores in so many seconds; in training of every `thinning`-th."""
        step = self.sampling.snippet_stride * (thinning or 1)
        if self.time_unit == "frame":
            step = thinning or self.scoring_step
        return smoothing_snippets(seconds, replace(self.sampling, snippet_stride=step))


def _require_frames(backbone: BackboneConfig, frames: FrameInput) -> None:
    smallest = backbone.smallest_side
    if min(frames.height, frames.width) < smallest:
        raise UsageError(
            f"the backbone needs frames of at least {smallest} pixels a side, got "
            f"{frames.height} x {frames.width}."
        )
    if isinstance(backbone, I3dConfig) and backbone.stream == "flow":
        raise UsageError(
            "an I3D on optical flow takes no frames: make its features with wsgn-features."
        )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a model is trained."""

    # Optimiser updates, and videos in each.
    num_steps: int = 1000
    batch_videos: int = 8
    # So many of them come as pairs that share a class, for the co-activity loss (paper: 3).
    batch_pairs: int = 0
    # Gradients are accumulated over parts of the batch of about this many snippets (or frames);
    # 0 takes it whole. It bounds the memory and leaves the gradient as it is.
    accumulate_snippets: int = 0
    # Run a backbone over so many snippets at a time, again on the way back; 0: all at once. It
    # bounds the memory of long videos.
    backbone_snippets: int = 0
    # Train on every n-th snippet (or frame) from a random start below start_range; 1 takes all, 0
    # stands for a range of n (the paper: every 5th frame from 0 to 14).
    thinning: int = 4
    start_range: int = 0
    # Adam (section 4: 1e-4, weight decay 5e-4; no decay on the global Gaussian).
    learning_rate: float = 1e-3
    weight_decay: float = 5e-4
    # After a linear warm-up over the first steps.
    schedule: str = one_of(SCHEDULES, "cosine")
    warmup_steps: int = 20
    # The norm to which the gradient is clipped; 0 leaves it alone.
    gradient_clip: float = 5.0
    # 'video' uses video-level labels only; 'frame' adds the labels of every snippet.
    supervision: str = one_of(SUPERVISIONS, "video")
    # The time over which logits are averaged in the loss, as scores are before segments are cut; 0
    # is none.
    loss_smoothing_seconds: float = 0.0
    # Labels divided by their sum instead of 0/1.
    normalise_labels: bool = False
    # Of the matrix products; the losses and the selection stay in float32. 'auto' is bfloat16 on a
    # GPU and float32 on a CPU.
    precision: str = one_of(PRECISIONS, "auto")
    # Random flips, shifts, brightness and temporal offset of whole videos (frames only).
    augment: bool = True
    seed: int = 0
    # Share of the training videos that is held out, to see by them how the training goes.
    validation_share: float = 0.0
    # Steps between two checkpoints.
    checkpoint_every: int = 100

    def __post_init__(self) -> None:
        require_choices(self)
        if 2 * self.batch_pairs > self.batch_videos:
            raise UsageError(
                f"batch_pairs={self.batch_pairs} pairs do not fit into batch_videos="
                f"{self.batch_videos} videos."
            )
        for name in ("num_steps", "batch_videos", "thinning", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}.")
        not_negative = (
            "seed", "weight_decay", "gradient_clip", "warmup_steps", "batch_pairs",
            "accumulate_snippets", "start_range", "backbone_snippets",
        )  # fmt: skip
        for name in not_negative:
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must not be negative, got {getattr(self, name)}.")
        if not 0 <= self.validation_share < 1:
            raise UsageError(f"validation_share must lie in [0, 1), got {self.validation_share}.")
        if not 0 <= self.loss_smoothing_seconds < math.inf:
            raise UsageError(
                "loss_smoothing_seconds must be 0 or more seconds, got "
                f"{self.loss_smoothing_seconds}."
            )
        if not self.learning_rate > 0:
            raise UsageError(f"learning_rate must be positive, got {self.learning_rate}.")
