"""One labelled video as the training sees it, and where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from wsgn.data.annotations import VideoAnnotation
from wsgn.localization.segments import SnippetTimes
from wsgn.support.arrays import IntArray


@dataclass(frozen=True, kw_only=True)
class VideoSample:
    """One video: its snippets (T, ...) as frames uint8 or features, and where they lie.

    Features are float32; what a training loads may be float16, and a view that nobody writes on.
    """

    inputs: Tensor
    times: SnippetTimes


class VideoSource(Protocol):
    """A set of labelled videos whose snippets can be loaded one video at a time."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the label columns."""

    @property
    def videos(self) -> tuple[VideoAnnotation, ...]:
        """The videos, in a fixed order."""

    def num_snippets(self, index: int) -> int:
        """Snippets of video `index` before any thinning, without reading them."""

    def load(self, index: int) -> VideoSample:
        """Video `index`, all its snippets."""

    def load_for_training(
        self,
        index: int,
        random: np.random.Generator,
        *,
        thinning: int,
        start_range: int | None,
        augment: bool,
    ) -> VideoSample:
        """Every `thinning`-th snippet of video `index` from a random start, perhaps augmented.

        The start is drawn from 0 to `start_range` - 1 (None: to `thinning` - 1), and earlier where
        that would leave none.
        """


class SelectedVideos:
    """Some of the videos of a source; see `VideoSource`."""

    def __init__(self, source: VideoSource, indices: Sequence[int]) -> None:
        self._source = source
        self._indices = tuple(indices)
        self.classes = source.classes
        self.videos = tuple(source.videos[index] for index in self._indices)

    def num_snippets(self, index: int) -> int:
        """Snippets of one of them."""
        return self._source.num_snippets(self._indices[index])

    def load(self, index: int) -> VideoSample:
        """One of them, all its snippets."""
        return self._source.load(self._indices[index])

    def load_for_training(
        self,
        index: int,
        random: np.random.Generator,
        *,
        thinning: int,
        start_range: int | None,
        augment: bool,
    ) -> VideoSample:
        """Every `thinning`-th snippet of one of them."""
        return self._source.load_for_training(
            self._indices[index],
            random,
            thinning=thinning,
            start_range=start_range,
            augment=augment,
        )


def sample_rows(
    num_snippets: int, random: np.random.Generator, thinning: int, start_range: int | None = None
) -> IntArray:
    """Every `thinning`-th of T snippets from a random start; see `VideoSource`."""
    start = int(random.integers(min(start_range or thinning, num_snippets)))
    return np.arange(start, num_snippets, thinning)
