"""The models of a run over the videos of a subset: each video is predicted by all, and fused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from wsgn.checkpoint import Checkpoint
from wsgn.data.annotations import Annotations, VideoAnnotation
from wsgn.data.samples import SelectedVideos, VideoSource
from wsgn.dataset import open_data
from wsgn.errors import InputError
from wsgn.features.dataset import FeatureDataset, check_together
from wsgn.features.file import FeatureInfo
from wsgn.features.options import VideoOptions
from wsgn.prediction.options import PredictOptions
from wsgn.prediction.predict import VideoPrediction, fused, predict_videos
from wsgn.support.counts import checked_count
from wsgn.torch_device import open_device


@dataclass(frozen=True, kw_only=True)
class PredictedVideo:
    """What the models say of a video, and of what."""

    prediction: VideoPrediction
    # Of each model's features, as far as videos are held against each other by it; empty of pixels.
    features: tuple[FeatureInfo, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What became of some videos, in their order."""

    videos: tuple[PredictedVideo, ...]
    # (video, sentence)
    failed: tuple[tuple[str, str], ...] = ()


class Models:
    """Models on their device, with a source of the same videos for each."""

    def __init__(
        self,
        options: PredictOptions,
        checkpoints: Sequence[Checkpoint],
        sources: Sequence[VideoSource],
    ) -> None:
        device = open_device(options.device)
        if options.num_threads is not None:
            torch.set_num_threads(checked_count("--threads", options.num_threads))
        self._sources = sources
        self._models = [checkpoint.build().to(device) for checkpoint in checkpoints]

    def predict(self, index: int) -> PredictedVideo:
        """Predict one video of the sources. Raises `InputError`."""
        predictions, infos = [], []
        for model, source in zip(self._models, self._sources, strict=True):
            [prediction] = predict_videos(model, SelectedVideos(source, [index]))
            predictions.append(prediction)
            if isinstance(source, FeatureDataset):
                infos.append(replace(source.info(index), source="", streams=()))
        return PredictedVideo(prediction=fused(predictions), features=tuple(infos))


def open_sources(
    options: PredictOptions,
    checkpoints: Sequence[Checkpoint],
    annotations: Annotations,
    *,
    at_once: bool,
    progress: bool,
) -> list[VideoSource]:
    """The videos of the subset as each model takes them, the same ones for all.

    Where not `at_once`, no video is looked at before it is predicted. Raises `InputError`.
    """
    sources: list[VideoSource] = []
    names: list[str] = []
    for checkpoint in checkpoints:
        model = checkpoint.model
        # What one model says of features that are missing, the others need not say again.
        tells = progress and (not sources or isinstance(options.data, VideoOptions))
        data = open_data(options.data, annotations, streams=model.streams, progress=tells)
        source = data.source(options.subset, model, at_once=at_once)
        found = [video.name for video in source.videos]
        if sources and (odd := sorted(set(found) ^ set(names))):
            raise InputError(
                f"the models do not find features of the same videos, {len(odd)} of them only one "
                f"model, the first is '{odd[0]}': add what is missing."
            )
        names = found
        sources.append(source)
    return sources


def check_whole(
    annotations: Iterable[VideoAnnotation], predicted: Sequence[PredictedVideo]
) -> None:
    """What `FeatureDataset` checks of all videos at once, of videos that were looked at singly.

    Raises `InputError`.
    """
    by_name = {video.name: video for video in annotations}
    videos = [by_name[one.prediction.name] for one in predicted]
    for infos in zip(*(one.features for one in predicted), strict=True):
        check_together(videos, infos)
