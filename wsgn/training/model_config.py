"""The model of a training: a preset's, for the data at hand."""

from __future__ import annotations

import argparse
from dataclasses import replace

from wsgn.config import DEFAULT_SAMPLING, ModelConfig
from wsgn.dataset import Dataset
from wsgn.errors import InputError, UsageError
from wsgn.features.options import NATIVE
from wsgn.manifest import FeatureInput, FrameInput, Sampling
from wsgn.presets import Preset


def model_config(
    arguments: argparse.Namespace, data: Dataset, chosen: Preset, streams: tuple[str, ...]
) -> ModelConfig:
    """The preset's model for the data; features bring their width and time base along."""
    classes = data.annotations.classes
    if data.features is None:
        return chosen.model(
            classes=classes,
            sampling=_video_sampling(arguments),
            frames=FrameInput(
                height=arguments.height, width=arguments.width, resize=arguments.resize
            ),
        )
    pixels = ("backbone", "backbone_weights", "frozen_stages", "checkpoint_gradients")
    for name in pixels:
        if getattr(arguments, name):
            raise UsageError(f"--{name.replace('_', '-')} has no meaning with --features.")
    present = set(data.features.names)
    first = next(
        (v.name for v in data.annotations.subset(arguments.subset) if v.name in present), None
    )
    if first is None:
        raise InputError(
            f"{arguments.features} has features of none of the videos of '{arguments.subset}'."
        )
    info = data.features.info(first)
    return chosen.model(
        classes=classes,
        sampling=info.sampling,
        features=FeatureInput(size=info.feature_size),
        streams=streams,
    )


def _video_sampling(arguments: argparse.Namespace) -> Sampling:
    names = ("frame_rate", "snippet_length", "snippet_stride")
    given = {name: getattr(arguments, name) for name in names}
    if given["frame_rate"] == NATIVE:
        raise UsageError("--frame-rate native is for features; videos are sampled at one rate.")
    return replace(
        DEFAULT_SAMPLING, **{name: value for name, value in given.items() if value is not None}
    )
