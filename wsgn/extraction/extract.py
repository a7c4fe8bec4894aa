"""One video to features: what a worker does, with memory that does not grow with the video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from wsgn.errors import InputError
from wsgn.extraction.config import ExtractionConfig
from wsgn.extraction.flow import with_flow, without_flow
from wsgn.extraction.frames import FrameStream
from wsgn.extraction.snippets import Frame, cut_snippets, in_batches
from wsgn.features.file import write_feature_file
from wsgn.manifest import FlowInput, Sampling
from wsgn.remote.addresses import shown
from wsgn.support.arrays import AnyArray, Float32Array
from wsgn.video.flow import OpticalFlow

DEFAULT_BATCH_SIZE = 4


class FeatureNetwork(Protocol):
    """What turns snippets into features; see `wsgn.extraction.networks.Networks`."""

    def features(self, snippets: list[list[Frame]]) -> Float32Array:
        """(N, D) of N snippets of L frames."""


@dataclass(frozen=True, kw_only=True)
class VideoFeatures:
    """The features of one video."""

    # (T, D) in the configuration's dtype.
    values: AnyArray
    sampling: Sampling
    # End of the last frame that could be read.
    duration_seconds: float


@dataclass(frozen=True, kw_only=True)
class Watcher:
    """Who is told how the reading goes on."""

    # Something odd about the video, as a sentence without a full stop.
    on_notice: Callable[[str], None] = lambda sentence: None
    # So many snippets more are done.
    on_snippets: Callable[[int], None] = lambda count: None
    # Whether to end early, with a `StoppedError`.
    stopped: Callable[[], bool] = lambda: False


class StoppedError(Exception):
    """The reading was ended before the video did."""


def extract_features(
    path: Path | str,
    config: ExtractionConfig,
    network: FeatureNetwork,
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
    watcher: Watcher | None = None,
) -> VideoFeatures:
    """Decode a video and extract its features; at most one batch of snippets is in memory.

    Raises `InputError` for a video that cannot be read, and where the network gives no numbers.
    """
    watcher = watcher or Watcher()
    stream = FrameStream(
        path,
        frame_rate=config.frame_rate,
        short_side=config.short_side,
        resize=config.resize,
        on_notice=watcher.on_notice,
    )
    sampling = config.sampling(stream.frame_rate)
    parts = []
    try:
        snippets = cut_snippets(_frames(stream, config, watcher), sampling)
        for batch in in_batches(snippets, batch_size):
            parts.append(_stored(path, network.features(batch), config.dtype))
            watcher.on_snippets(len(batch))
    finally:
        stream.close()
    return VideoFeatures(
        values=np.concatenate(parts),  # (T, D)
        sampling=sampling,
        duration_seconds=stream.summary.seconds,
    )


def write_features(path: Path, features: VideoFeatures, config: ExtractionConfig) -> None:
    """Write the feature file: whole or not at all."""
    write_feature_file(
        path,
        features.values,
        features.sampling,
        duration_seconds=features.duration_seconds,
        streams=config.streams,
        stream_sizes=config.stream_sizes,
        source=config.source,
    )


def _frames(stream: FrameStream, config: ExtractionConfig, watcher: Watcher) -> Iterator[Frame]:
    if config.needs_flow:
        frames = with_flow(stream, OpticalFlow(FlowInput(method=config.flow)), config.crop_size)
    else:
        frames = without_flow(stream, config.crop_size)
    for frame in frames:
        if watcher.stopped():
            raise StoppedError
        yield frame


def _stored(path: Path | str, features: Float32Array, dtype: str) -> AnyArray:
    # What does not fit becomes infinite, and is then refused.
    with np.errstate(over="ignore"):
        values = features.astype(dtype)
    if not np.isfinite(values).all():
        raise InputError(
            f"{shown(str(path))}: the network gives NaN, infinity or values too large for {dtype}: "
            "check the weights, or extract to float32."
        )
    return values
