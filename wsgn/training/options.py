"""What a training is told: files, preset, machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from wsgn.config import DEFAULT_FRAMES, DEFAULT_SAMPLING
from wsgn.errors import UsageError
from wsgn.extraction.recommended import PretrainedOptions
from wsgn.features.options import CacheOptions, DataOptions
from wsgn.manifest import FrameInput, Sampling
from wsgn.metrics.protocol import detection_protocol
from wsgn.presets import Preset, preset
from wsgn.support.counts import checked_count


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Everything about one training; the defaults are those of `wsgn-train`."""

    # JSON, a table or a folder for each class (docs/datasets.md).
    annotations: Path
    # The files of its videos: pixels for a backbone that is trained, features, or videos whose
    # features by pretrained networks are made on the way.
    data: DataOptions | PretrainedOptions
    # The folder that gets losses.csv, last.safetensors (to resume) and model.safetensors.
    output: Path
    # Go on from last.safetensors in that folder, or start afresh in a used one; not both.
    resume: bool = False
    overwrite: bool = False
    preset: Preset = field(default_factory=lambda: preset("videos"))
    # Where the backbone starts; None: at random.
    backbone_weights: Path | None = None
    # How video files are looked at; features bring both along.
    sampling: Sampling = DEFAULT_SAMPLING
    frames: FrameInput = DEFAULT_FRAMES
    # Where features stay once they were read.
    cache: CacheOptions = field(default_factory=CacheOptions)
    # Which videos are trained on, and which, if any, are evaluated at the end, by which protocol.
    subset: str = "train"
    test_subset: str | None = None
    protocol: str = "activitynet"
    # A subset whose video mAP is shown while it trains, in the place of the videos that
    # `TrainConfig.validation_share` holds out; and after how many steps either is.
    validation_subset: str | None = None
    validate_every: int = 50
    # Video-level labels from the segments, where both are there and differ.
    labels_from_segments: bool = False
    # 'cpu', 'cuda' or 'cuda:1'.
    device: str = "cpu"
    # Of the CPU; None: all.
    num_threads: int | None = None
    # torch.compile the layers.
    compile_layers: bool = False
    # Record updates as CUDA graphs and replay them; for a GPU, and not tried on one yet.
    cuda_graph: bool = False
    # Log to the folder `tensorboard` in the output too.
    tensorboard: bool = False
    # Show progress bars, and notices of videos that are left out, on stderr.
    progress: bool = False

    def __post_init__(self) -> None:
        if self.resume and self.overwrite:
            raise UsageError("resume and overwrite exclude each other: go on, or start afresh.")
        if isinstance(self.data, PretrainedOptions) and self.preset.on_pixels:
            raise UsageError(
                "the preset trains a backbone on pixels, and PretrainedOptions give features: take "
                "preset('wsgn'), or VideoOptions."
            )
        if self.num_threads is not None:
            checked_count("--threads", self.num_threads)
        if self.validate_every < 1:
            raise UsageError(f"validate_every must be at least 1, got {self.validate_every}.")
        if self.validation_subset is not None:
            self._check_validation(self.validation_subset)
        # A wrong name must not be found out after the training.
        detection_protocol(self.protocol)

    def _check_validation(self, subset: str) -> None:
        if subset in (self.subset, self.test_subset):
            raise UsageError(
                f"--validate {subset} would look at the videos that are trained on, or at those of "
                "--test, which nothing may be chosen on: name another subset, or a share of the "
                "training videos."
            )
        if self.preset.train.validation_share:
            raise UsageError("videos are held out by a share or by a subset, not by both.")
