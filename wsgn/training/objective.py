"""What training lowers: a method's loss on a packed batch."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from wsgn.config import ModelConfig, TrainConfig
from wsgn.errors import UsageError
from wsgn.methods.config import (
    BasnetConfig,
    Co2netConfig,
    MethodConfig,
    UntrimmedNetsConfig,
    WsgnConfig,
    WtalcConfig,
)
from wsgn.methods.interface import Losses, Targets
from wsgn.methods.losses import normalised_labels
from wsgn.methods.pooling import at_least_single, running_mean
from wsgn.methods.wsgn import Wsgn
from wsgn.model import WeakDetector


class Objective(nn.Module):
    """The loss as a module."""

    def __init__(self, model: WeakDetector, train: TrainConfig, *, compile_layers: bool) -> None:
        super().__init__()
        self.model = model
        self._layers = torch.compile(model, dynamic=True) if compile_layers else model
        if compile_layers and isinstance(model.method, Wsgn) and not _is_on_gpu(model):
            model.method.compile_selection()
        self._normalise_labels = train.normalise_labels
        self._half = train.precision == "bfloat16"
        self._smoothing = model.config.smoothed_over(train.loss_smoothing_seconds, train.thinning)

    def forward(self, inputs: Tensor, cu_seqlens: Tensor, targets: Targets) -> Losses:
        """The loss of every video and pair of a packed batch."""
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self._half):
            heads = self._layers(inputs)
        if self._smoothing > 1:
            # In float32, as the losses are; whatever a method pools, and not its hidden features.
            smooth = {
                one.name: running_mean(
                    at_least_single(getattr(heads, one.name)), cu_seqlens, self._smoothing
                )
                for one in dataclasses.fields(heads)
                if one.name != "hidden"
            }
            heads = dataclasses.replace(heads, **smooth)
        if self._normalise_labels:
            targets = dataclasses.replace(targets, labels=normalised_labels(targets.labels))
        return self.model.method.losses(heads, cu_seqlens, targets)


def _is_on_gpu(model: WeakDetector) -> bool:
    return next(model.parameters()).is_cuda


def _needs_classes(method: MethodConfig) -> bool:
    """Whether nothing but a softmax over the classes says what a video holds."""
    if isinstance(method, WsgnConfig):
        return method.class_activation == "softmax" and not method.components
    if isinstance(method, WtalcConfig):
        return method.loss == "softmax"
    return isinstance(method, (UntrimmedNetsConfig, BasnetConfig, Co2netConfig))


def require_consistent(model: ModelConfig, train: TrainConfig) -> None:
    """Refuse what cannot learn: a co-activity loss without pairs, say, or a supervised baseline."""
    if len(model.classes) == 1 and _needs_classes(model.method):
        raise UsageError(
            f"the method '{model.method.name}' tells classes apart by a softmax over them, and the "
            "data has one class only, so it would learn nothing: take wsgn with class_activation "
            "sigmoid, or stpn."
        )
    weight = getattr(model.method, "coactivity_weight", 0.0)
    if weight > 0 and train.batch_pairs == 0:
        raise UsageError(
            "the co-activity loss needs pairs of videos: set batch_pairs to 3 (of a batch of at "
            "least 6 videos) as the paper does, or coactivity_weight to 0."
        )
    if train.supervision == "frame" and not isinstance(model.method, WsgnConfig):
        raise UsageError(
            f"the method '{model.method.name}' has no supervised variant: it would not look at the "
            "segments."
        )
