"""The model of a training: a preset's, for the data at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wsgn.config import ModelConfig
from wsgn.dataset import Dataset
from wsgn.errors import InputError
from wsgn.features.options import FeatureOptions
from wsgn.features.reader import stored_names
from wsgn.manifest import FeatureInput
from wsgn.methods.config import MethodConfig, WsgnConfig, with_streams
from wsgn.remote.addresses import shown
from wsgn.training.options import TrainOptions


def method_for(method: MethodConfig, classes: Sequence[str]) -> MethodConfig:
    """The method for these classes: one alone has a sigmoid, its softmax would be 1 everywhere."""
    if isinstance(method, WsgnConfig) and len(classes) == 1:
        return replace(method, class_activation="sigmoid")
    return method


def model_config(options: TrainOptions, data: Dataset) -> ModelConfig:
    """The preset's model for the data; features bring their width and time base along."""
    settings, classes = options.preset.model, data.annotations.classes
    settings = replace(settings, method=method_for(settings.method, classes))
    if data.features is None:
        return settings.on(classes=classes, sampling=options.sampling, frames=options.frames)
    assert isinstance(options.data, FeatureOptions)
    names = [video.name for video in data.annotations.subset(options.subset)]
    first = next(iter(stored_names(names, data.features.names).values()), None)
    if first is None:
        raise InputError(
            f"{shown(str(options.data.path))} has features of none of the videos of "
            f"'{options.subset}'."
        )
    info = data.features.info(first)
    sizes = [stream.size for stream in info.streams]
    settings = replace(settings, method=with_streams(settings.method, sizes))
    return settings.on(
        classes=classes,
        sampling=info.sampling,
        features=FeatureInput(size=info.feature_size),
        streams=options.data.streams,
    )
