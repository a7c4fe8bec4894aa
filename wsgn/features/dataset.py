"""Videos as features made elsewhere, one at a time from disk, on the time base stored with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wsgn.config import TIME_UNITS
from wsgn.data.annotations import VideoAnnotation
from wsgn.data.samples import VideoSample, sample_rows
from wsgn.errors import InputError, UsageError
from wsgn.features.file import FeatureInfo
from wsgn.features.folders import read_infos
from wsgn.features.interpolation import frame_features, frame_sampling, num_frames
from wsgn.features.kept import KeptFeatures
from wsgn.features.layouts import open_features
from wsgn.features.reader import FeatureReader, stored_names
from wsgn.features.shapes import check_orientation
from wsgn.features.time_base import TimedVideo, check_time_base
from wsgn.localization.timing import snippet_times
from wsgn.manifest import Sampling
from wsgn.support.arrays import FeatureArray, IntArray


class FeatureDataset:
    """Labelled videos with features; see `wsgn.data.samples.VideoSource`.

    The headers of all videos are read at once, so that what is missing or does not fit shows before
    a training; the values of one video are read when it is loaded. Where not `at_once`, a header is
    read when its video is asked for, and what videos tell together is left to `check_together`.
    """

    def __init__(
        self,
        features: FeatureReader | Path,
        videos: Sequence[VideoAnnotation],
        classes: Sequence[str],
        sampling: Sampling | None = None,
        feature_size: int | None = None,
        *,
        time_unit: str = "snippet",
        scoring_step: int = 1,
        cache: KeptFeatures | None = None,
        at_once: bool = True,
    ) -> None:
        """`features` is a reader, or a folder of any layout whose time base is `sampling`.

        A `cache` keeps what is read, for other datasets of the same features too.

        With `time_unit` 'frame', features are interpolated to frames (section 4 of the paper), and
        `load` takes every `scoring_step`-th. Raises `InputError` for videos without features, a
        width other than `feature_size` (by default that of the first video), and a time base that
        contradicts the annotated durations.
        """
        if time_unit not in TIME_UNITS:
            raise UsageError(f"time_unit must be one of {', '.join(TIME_UNITS)}, got {time_unit}.")
        if scoring_step < 1 or (scoring_step > 1 and time_unit != "frame"):
            raise UsageError(
                f"scoring_step must be at least 1, and 1 for snippets, got {scoring_step}."
            )
        self.classes = tuple(classes)
        self.videos = tuple(videos)
        self._reader = _opened(features, self.videos, sampling)
        self._by_frame = time_unit == "frame"
        self._scoring_step = scoring_step
        self._cache = cache
        self._stored = _stored(self._reader, self.videos)
        self._feature_size = feature_size
        # By place.
        self._infos: dict[int, FeatureInfo] = {}
        if at_once:
            infos = read_infos(self._reader, [self._stored[video.name] for video in self.videos])
            check_orientation(_by_name(self.videos, infos), _durations(self.videos))
            if feature_size is None:
                self._feature_size = infos[0].feature_size
            for video, info in zip(self.videos, infos, strict=True):
                _require_width(video, info, self._feature_size)
            self._infos = dict(enumerate(infos))
            _check_time_base(self.videos, infos)

    def info(self, index: int) -> FeatureInfo:
        """What the header of one video says. Raises `InputError`."""
        if index not in self._infos:
            info = self._reader.info(self._stored[self.videos[index].name])
            _require_width(self.videos[index], info, self._feature_size)
            self._infos[index] = info
        return self._infos[index]

    @property
    def feature_size(self) -> int:
        """Channels of every video, D."""
        return self.info(0).feature_size

    @property
    def made_by(self) -> str:
        """What made the features, where all files say the same; else empty."""
        sources = {self.info(index).source for index in range(len(self.videos))}
        return sources.pop() if len(sources) == 1 else ""

    @property
    def layout(self) -> str:
        """The layout on disk."""
        return self._reader.layout

    def sampling(self, index: int) -> Sampling:
        """The time base of the samples of one video: that of its features, or of single frames."""
        sampling = self.info(index).sampling
        return frame_sampling(sampling) if self._by_frame else sampling

    def num_snippets(self, index: int) -> int:
        """Snippets (or frames) of one video before any thinning, from its header."""
        info = self.info(index)
        if self._by_frame:
            return num_frames(info.num_snippets, info.sampling)
        return info.num_snippets

    def load(self, index: int) -> VideoSample:
        """Features (T, D) float32 of one video, on the device where they are kept."""
        sample = self._sample(index, np.arange(0, self.num_snippets(index), self._scoring_step))
        return replace(sample, inputs=sample.inputs.float())

    def load_for_training(
        self,
        index: int,
        random: np.random.Generator,
        *,
        thinning: int,
        start_range: int | None = None,
        augment: bool = False,
    ) -> VideoSample:
        """Thinned features from a random start; there is no augmentation for features.

        They are a view (T, D) of what is kept, float16 or float32 as it is stored.
        """
        rows = sample_rows(self.num_snippets(index), random, thinning, start_range)
        return self._sample(index, rows)

    def _sample(self, index: int, rows: IntArray) -> VideoSample:
        """Features at rows that have one distance, in their file's type."""
        features = self._features(index)  # (T, D)
        if self._by_frame:
            values = frame_features(features.numpy(), rows, self.info(index).sampling)
            features = torch.from_numpy(values)
        elif len(rows) < len(features):
            step = int(rows[1] - rows[0]) if len(rows) > 1 else 1
            features = features[int(rows[0]) : int(rows[-1]) + 1 : step]
        sampling = self.sampling(index)
        starts = sampling.start_seconds(rows)
        return VideoSample(
            inputs=features,
            times=snippet_times(starts, np.zeros(len(rows), dtype=np.int64), sampling),
        )

    def _features(self, index: int) -> Tensor:
        """All features (T, D) of a video, float16 or float32, checked; kept or read."""
        name = self._stored[self.videos[index].name]
        kept = None if self._cache is None else self._cache.get(name)
        if kept is None:
            kept = torch.from_numpy(self._read(index))
            if self._cache is not None:
                kept = self._cache.offer(name, kept)
        return kept

    def _read(self, index: int) -> FeatureArray:
        name, info = self.videos[index].name, self.info(index)
        features = self._reader.read_stored(self._stored[name])
        if features.shape != (info.num_snippets, info.feature_size):
            raise InputError(
                f"the features of video '{name}' changed while they were in use: they were "
                f"({info.num_snippets}, {info.feature_size}) and are {features.shape}; start again."
            )
        return features


def _opened(
    features: FeatureReader | Path, videos: Sequence[VideoAnnotation], sampling: Sampling | None
) -> FeatureReader:
    reader = open_features(features, sampling=sampling) if isinstance(features, Path) else features
    if not videos:
        raise InputError("the dataset holds no videos; choose another subset.")
    return reader


def _stored(reader: FeatureReader, videos: Sequence[VideoAnnotation]) -> dict[str, str]:
    """The name under which each video's features are stored."""
    stored = stored_names([video.name for video in videos], reader.names)
    missing = [video.name for video in videos if video.name not in stored]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(videos)} videos have no features, the first is "
            f"'{missing[0]}': add them, or leave these videos out (--skip-missing)."
        )
    return stored


def check_together(videos: Sequence[VideoAnnotation], infos: Sequence[FeatureInfo]) -> None:
    """Hold the features of all videos against each other, and against annotated durations.

    Raises `InputError` where they lie the wrong way (`wsgn.features.shapes`), or where their time
    base contradicts most durations (`wsgn.features.time_base`).
    """
    check_orientation(_by_name(videos, infos), _durations(videos))
    _check_time_base(videos, infos)


def _by_name(
    videos: Sequence[VideoAnnotation], infos: Sequence[FeatureInfo]
) -> dict[str, FeatureInfo]:
    return {video.name: info for video, info in zip(videos, infos, strict=True)}


def _durations(videos: Sequence[VideoAnnotation]) -> dict[str, float | None]:
    return {video.name: video.duration_seconds for video in videos}


def _check_time_base(videos: Sequence[VideoAnnotation], infos: Sequence[FeatureInfo]) -> None:
    check_time_base(
        [
            TimedVideo(name=video.name, info=info, duration_seconds=video.duration_seconds)
            for video, info in zip(videos, infos, strict=True)
            if video.duration_seconds is not None
        ]
    )


def _require_width(video: VideoAnnotation, info: FeatureInfo, wanted: int | None) -> None:
    """Refuse features of another width than this, where one is wanted."""
    if wanted is not None and info.feature_size != wanted:
        raise InputError(
            f"the features of video '{video.name}' are {info.feature_size} wide where {wanted} is "
            "needed: give the width of the files, or convert them alike."
        )
