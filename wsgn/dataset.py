"""The annotated videos of a training or a prediction, as files of pixels or of features."""

from __future__ import annotations

from dataclasses import dataclass, field

from wsgn.config import ModelConfig
from wsgn.data.annotations import Annotations, VideoAnnotation
from wsgn.data.frames import FrameDataset
from wsgn.data.samples import VideoSource
from wsgn.errors import InputError, UsageError
from wsgn.features.dataset import FeatureDataset
from wsgn.features.kept import KeptFeatures
from wsgn.features.layouts import open_features
from wsgn.features.options import DataOptions, VideoOptions
from wsgn.features.reader import FeatureReader, stored_names
from wsgn.support.terminal import say_above_bars


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Annotated videos of all subsets, with the files that hold them."""

    annotations: Annotations
    # One of the two.
    videos: VideoOptions | None = None
    features: FeatureReader | None = None
    # Leave out videos that have no features, with a notice, where that is an error else.
    skip_missing: bool = False
    # Whether reading videos shows a progress bar, and who is left out is told.
    progress: bool = True
    # The subsets of which it was told.
    _told: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def source(
        self,
        subset: str,
        model: ModelConfig,
        cache: KeptFeatures | None = None,
        *,
        at_once: bool = True,
    ) -> VideoSource:
        """The videos of a subset, as a model takes them; their features are kept in a cache.

        Where not `at_once`, no file is opened before its video is asked for.
        """
        videos = self.annotations.subset(subset)
        if self.features is None:
            if self.videos is None or model.frames is None:
                raise UsageError(
                    "the model takes features: give --features, not --videos (wsgn-train keeps "
                    "those of videos in the folder of the training)."
                )
            return FrameDataset(
                self.videos.folder,
                videos,
                self.annotations.classes,
                model.sampling,
                model.frames,
                progress=self.progress,
                memory_bytes=self.videos.memory_bytes,
                at_once=at_once,
            )
        if model.features is None:
            raise UsageError("the model takes pixels: give --videos, not --features.")
        return FeatureDataset(
            self.features,
            self._with_features(subset, self.features) if self.skip_missing else videos,
            self.annotations.classes,
            feature_size=model.features.size,
            time_unit=model.time_unit,
            scoring_step=model.scoring_step,
            cache=cache,
            at_once=at_once,
        )

    def _with_features(self, subset: str, features: FeatureReader) -> tuple[VideoAnnotation, ...]:
        videos = self.annotations.subset(subset)
        present = stored_names([video.name for video in videos], features.names)
        kept = tuple(video for video in videos if video.name in present)
        if not kept:
            raise InputError(f"none of the {len(videos)} videos of '{subset}' has features.")
        if len(kept) < len(videos) and self.progress and subset not in self._told:
            self._told.add(subset)
            left_out = [video.name for video in videos if video.name not in present]
            have, are = ("has", "is") if len(left_out) == 1 else ("have", "are")
            say_above_bars(
                f"{len(left_out)} of {len(videos)} videos of '{subset}' {have} no features and "
                f"{are} left out, the first is '{left_out[0]}'."
            )
        return kept


def open_data(
    options: DataOptions,
    annotations: Annotations,
    *,
    streams: tuple[str, ...] | None = None,
    progress: bool = False,
) -> Dataset:
    """Join annotated videos with the files that hold them.

    Args:
        options: a folder of videos, or features in any layout.
        annotations: of `read_annotations`.
        streams: in place of those of the options, such as the streams a model was trained on.
        progress: show a progress bar while videos are read, and notices, on stderr.

    Returns:
        All subsets; `source(subset, model_config)` gives one as a model takes it.

    Raises:
        InputError: the features cannot be read.
        UsageError: the features' time base is needed and not given.
    """
    if isinstance(options, VideoOptions):
        return Dataset(annotations=annotations, videos=options, progress=progress)
    reader = open_features(
        options.path,
        layout=options.layout,
        sampling=options.time_base(annotations.videos),
        streams=options.streams if streams is None else streams,
    )
    return Dataset(
        annotations=annotations,
        features=reader,
        skip_missing=options.skip_missing or options.only_present,
        progress=progress,
    )
