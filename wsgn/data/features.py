"""Videos as feature files made elsewhere: one `<video>.npy` (T, D) per video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from wsgn.data.annotations import VideoAnnotation
from wsgn.data.samples import VideoSample
from wsgn.errors import InputError
from wsgn.manifest import Sampling
from wsgn.timing import snippet_times


class FeatureDataset:
    """A folder of feature files; see `wsgn.data.samples.VideoSource`.

    The time base (`sampling`) is the caller's to know: nothing in such a file tells it.
    """

    def __init__(
        self,
        folder: Path,
        videos: Sequence[VideoAnnotation],
        classes: Sequence[str],
        sampling: Sampling,
        feature_size: int,
    ) -> None:
        self.classes = tuple(classes)
        self.videos = tuple(videos)
        self._sampling = sampling
        self._feature_size = feature_size
        self._paths = [folder / f"{video.name}.npy" for video in videos]
        missing = [path.name for path in self._paths if not path.is_file()]
        if missing:
            raise InputError(
                f"{folder} lacks the features of {len(missing)} videos, the first is {missing[0]}."
            )

    def load(self, index: int) -> VideoSample:
        """Features (T, D) float32 of one video."""
        return self._sample(self._read(index), first=0, step=1)

    def load_for_training(
        self, index: int, random: np.random.Generator, *, thinning: int, augment: bool
    ) -> VideoSample:
        """Thinned features; there is no augmentation for features."""
        features = self._read(index)
        first = int(random.integers(min(thinning, len(features))))
        return self._sample(features, first=first, step=thinning)

    def _read(self, index: int) -> npt.NDArray[np.float32]:
        path = self._paths[index]
        try:
            features = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path} is not a readable .npy array: {error}.") from error
        if not isinstance(features, np.ndarray) or features.dtype.kind not in "fiu":
            raise InputError(f"{path} must hold one array of numbers.")
        if features.ndim != 2 or features.shape[1] != self._feature_size or len(features) == 0:
            raise InputError(
                f"{path} must hold an array (T, {self._feature_size}), it holds {features.shape}."
            )
        features = features.astype(np.float32)
        if not np.isfinite(features).all():
            raise InputError(f"{path} contains NaN or infinite values.")
        return np.asarray(features)

    def _sample(self, features: npt.NDArray[np.float32], *, first: int, step: int) -> VideoSample:
        rows = np.arange(first, len(features), step)
        starts = rows * self._sampling.snippet_stride / self._sampling.frame_rate
        return VideoSample(
            inputs=torch.from_numpy(features[rows]),
            times=snippet_times(starts, np.zeros(len(rows), dtype=np.int64), self._sampling),
        )
