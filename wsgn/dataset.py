"""The dataset of a training or a prediction, as the command line describes it."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from wsgn.config import ModelConfig
from wsgn.data.annotations import Annotations, VideoAnnotation
from wsgn.data.frames import FrameDataset
from wsgn.data.samples import VideoSource
from wsgn.errors import InputError, UsageError
from wsgn.features.dataset import FeatureDataset
from wsgn.features.layouts import native_sampling, open_features
from wsgn.features.reader import FeatureReader, TimeBase
from wsgn.manifest import FeatureInput, FrameInput, Sampling
from wsgn.presets import Preset
from wsgn.training.options import DEFAULT_SAMPLING, NATIVE


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Annotated videos, as files of pixels or of features."""

    annotations: Annotations
    videos: Path | None = None
    features: FeatureReader | None = None
    # Leave out videos that have no features, with a notice, where that is an error else.
    skip_missing: bool = False
    # Bytes of decoded videos that are kept.
    video_memory_bytes: int = 4 << 30
    # Whether reading videos shows a progress bar.
    progress: bool = True

    def source(self, subset: str, model: ModelConfig) -> VideoSource:
        """The videos of a subset, as a model takes them."""
        videos = self.annotations.subset(subset)
        if self.features is None:
            if self.videos is None or model.frames is None:
                raise UsageError("the model takes features: give --features, not --videos.")
            return FrameDataset(
                self.videos,
                videos,
                self.annotations.classes,
                model.sampling,
                model.frames,
                progress=self.progress,
                memory_bytes=self.video_memory_bytes,
            )
        if model.features is None:
            raise UsageError("the model takes pixels: give --videos, not --features.")
        return FeatureDataset(
            self.features,
            self._with_features(videos, self.features) if self.skip_missing else videos,
            self.annotations.classes,
            feature_size=model.features.size,
            time_unit=model.time_unit,
            scoring_step=model.scoring_step,
        )

    def _with_features(
        self, videos: tuple[VideoAnnotation, ...], features: FeatureReader
    ) -> tuple[VideoAnnotation, ...]:
        present = set(features.names)
        kept = tuple(video for video in videos if video.name in present)
        if len(kept) < len(videos) and self.progress:
            left_out = [video.name for video in videos if video.name not in present]
            print(
                f"{len(left_out)} of {len(videos)} videos have no features and are left out, the "
                f"first is '{left_out[0]}'.",
                file=sys.stderr,
            )
        return kept


def open_data(
    arguments: argparse.Namespace,
    annotations: Annotations,
    *,
    streams: tuple[str, ...],
    progress: bool,
) -> TrainingData:
    """What `--videos` or `--features` name, the latter in any layout."""
    if arguments.features is None:
        return TrainingData(
            annotations=annotations,
            videos=arguments.videos,
            video_memory_bytes=int(arguments.video_memory * 2**30),
            progress=progress,
        )
    reader = open_features(
        arguments.features,
        layout=arguments.layout,
        sampling=_time_base(arguments, annotations.videos),
        streams=streams,
    )
    return TrainingData(
        annotations=annotations,
        features=reader,
        skip_missing=arguments.skip_missing,
        progress=progress,
    )


def model_config(
    arguments: argparse.Namespace, data: TrainingData, chosen: Preset, streams: tuple[str, ...]
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


def _time_base(
    arguments: argparse.Namespace, videos: tuple[VideoAnnotation, ...]
) -> TimeBase | None:
    """What the user says of the features' time base; None where the files are to say it."""
    length, stride = arguments.snippet_length, arguments.snippet_stride
    if arguments.frame_rate is None and length is None and stride is None:
        return None
    if length is None or stride is None or arguments.frame_rate is None:
        raise UsageError(
            "give all three of --frame-rate, --snippet-length and --snippet-stride: nothing in "
            "such features tells their time base (I3D features are often 25, 16 and 16)."
        )
    if arguments.frame_rate == NATIVE:
        return native_sampling(videos, snippet_length=length, snippet_stride=stride)
    return Sampling(frame_rate=arguments.frame_rate, snippet_length=length, snippet_stride=stride)
