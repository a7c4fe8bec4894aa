"""What a preset is: everything about a training that does not come from the dataset."""

from __future__ import annotations

from dataclasses import dataclass, field

from wsgn.backbones.config import BackboneConfig, CompactConfig
from wsgn.config import ModelConfig, TrainConfig
from wsgn.localization.proposals import MultiThresholdRule
from wsgn.manifest import FeatureInput, FrameInput, Sampling
from wsgn.methods.config import MethodConfig, WsgnConfig


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Settings that belong together; see `ModelConfig` and `TrainConfig` for each."""

    # A line for people who choose.
    description: str
    backbone: BackboneConfig = field(default_factory=CompactConfig)
    method: MethodConfig = field(default_factory=WsgnConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    standardise: bool = ModelConfig.standardise
    dropout: float = ModelConfig.dropout
    time_unit: str = ModelConfig.time_unit
    scoring_step: int = ModelConfig.scoring_step
    smoothing_snippets: int = ModelConfig.smoothing_snippets
    peak_gate: float = ModelConfig.peak_gate
    proposals: MultiThresholdRule | None = None

    def model(
        self,
        *,
        classes: tuple[str, ...],
        sampling: Sampling,
        frames: FrameInput | None = None,
        features: FeatureInput | None = None,
        streams: tuple[str, ...] = (),
    ) -> ModelConfig:
        """The model for a dataset."""
        return ModelConfig(
            classes=classes,
            sampling=sampling,
            frames=frames,
            features=features,
            streams=streams,
            backbone=self.backbone,
            method=self.method,
            standardise=self.standardise,
            dropout=self.dropout,
            time_unit=self.time_unit,
            scoring_step=self.scoring_step,
            smoothing_snippets=self.smoothing_snippets,
            peak_gate=self.peak_gate,
            proposals=self.proposals,
        )
