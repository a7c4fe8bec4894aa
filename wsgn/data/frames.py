"""Videos as snippets of frames: decoded once onto the time grid, kept as uint8 in memory."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from wsgn.data.annotations import VideoAnnotation
from wsgn.data.samples import VideoSample
from wsgn.errors import InputError
from wsgn.manifest import FrameInput, Sampling
from wsgn.timing import snippet_times
from wsgn.video import FrameGrid, Notice, SampledFrame, VideoReader

FrameArray = npt.NDArray[np.uint8]

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".mov", ".avi")

# Shares of height and width, and of brightness and contrast, by which augmentation moves a video.
_MAXIMUM_SHIFT = 0.08
_MAXIMUM_GAIN = 0.3


@dataclass(frozen=True, kw_only=True)
class DecodedVideo:
    """The F sampled frames of a video."""

    # (F, H, W, 3) RGB.
    images: FrameArray
    # (F,) each: media seconds, and the epoch that rises at each gap.
    seconds: npt.NDArray[np.float64]
    epoch: npt.NDArray[np.int64]


class FrameDataset:
    """A folder of video files; see `wsgn.data.samples.VideoSource`."""

    def __init__(
        self,
        folder: Path,
        videos: Sequence[VideoAnnotation],
        classes: Sequence[str],
        sampling: Sampling,
        frames: FrameInput,
        *,
        progress: bool = True,
    ) -> None:
        self.classes = tuple(classes)
        self.videos = tuple(videos)
        self._sampling = sampling
        grid = FrameGrid(
            frame_rate=sampling.frame_rate,
            height=frames.height,
            width=frames.width,
            resize=frames.resize,
        )
        paths = [_find_video(folder, video.name) for video in videos]
        with ThreadPoolExecutor(max_workers=2) as pool:
            decoded = pool.map(lambda path: _read(path, grid), paths)
            self._decoded = list(
                tqdm(
                    decoded,
                    total=len(paths),
                    desc="reading videos",
                    unit="video",
                    disable=not progress,
                )
            )

    def num_snippets(self, index: int) -> int:
        """Snippets of one video before any thinning."""
        return len(snippet_rows(self._decoded[index].epoch, self._sampling))

    def load(self, index: int) -> VideoSample:
        """Snippets (T, L, H, W, 3) uint8 of one video."""
        return self._sample(self._decoded[index], self._sampling, offset=0)

    def load_for_training(
        self,
        index: int,
        random: np.random.Generator,
        *,
        thinning: int,
        start_range: int | None = None,
        augment: bool = False,
    ) -> VideoSample:
        """Thinned snippets from a random first frame; augmentation is one draw for the video."""
        video = self._decoded[index]
        if augment:
            video = dataclasses.replace(video, images=augmented(video.images, random))
        stride = self._sampling.snippet_stride
        thinned = dataclasses.replace(self._sampling, snippet_stride=stride * thinning)
        offset = int(random.integers(stride * (start_range or thinning)))
        return self._sample(video, thinned, offset=offset)

    def _sample(self, video: DecodedVideo, sampling: Sampling, *, offset: int) -> VideoSample:
        rows = snippet_rows(video.epoch, sampling, offset)
        first = rows[:, 0]
        return VideoSample(
            inputs=torch.from_numpy(video.images[rows]),
            times=snippet_times(video.seconds[first], video.epoch[first], sampling),
        )


def snippet_rows(
    epoch: npt.NDArray[np.int64], sampling: Sampling, offset: int = 0
) -> npt.NDArray[np.int64]:
    """The frames (T, L) of each snippet of a video whose F frames lie in the given epochs.

    As `wsgn-run` cuts them: no snippet spans a gap, an epoch shorter than a snippet is filled by
    repeating its last frame, a tail shorter than the stride is left out. The first snippet of an
    epoch begins at its frame `offset`, or earlier where that would leave none.
    """
    length = sampling.snippet_length
    parts = []
    for frames in np.split(np.arange(len(epoch)), np.flatnonzero(np.diff(epoch)) + 1):
        last = max(0, len(frames) - length)
        first = np.arange(min(offset, last), last + 1, sampling.snippet_stride)  # (T,)
        rows = np.minimum(first[:, None] + np.arange(length), len(frames) - 1)  # (T, L)
        parts.append(frames[rows])
    return np.concatenate(parts)


def augmented(frames: FrameArray, random: np.random.Generator) -> FrameArray:
    """The whole video (F, H, W, 3) flipped, shifted and relit by one draw, as a camera might."""
    height, width = frames.shape[1:3]
    if random.random() < 0.5:
        frames = frames[:, :, ::-1]
    limit_y, limit_x = int(height * _MAXIMUM_SHIFT), int(width * _MAXIMUM_SHIFT)
    dy = int(random.integers(-limit_y, limit_y + 1))
    dx = int(random.integers(-limit_x, limit_x + 1))
    rows = np.clip(np.arange(height) + dy, 0, height - 1)
    columns = np.clip(np.arange(width) + dx, 0, width - 1)
    frames = frames[:, rows[:, None], columns]
    gain, bias = random.uniform(1 - _MAXIMUM_GAIN, 1 + _MAXIMUM_GAIN), random.uniform(-20, 20)
    table = np.clip(np.arange(256) * gain + bias, 0, 255).astype(np.uint8)
    relit: FrameArray = table[frames]
    return relit


def _find_video(folder: Path, name: str) -> Path:
    for suffix in VIDEO_SUFFIXES:
        path = folder / f"{name}{suffix}"
        if path.is_file():
            return path
    raise InputError(f"video '{name}' is not in {folder} (looked for {', '.join(VIDEO_SUFFIXES)}).")


def _read(path: Path, grid: FrameGrid) -> DecodedVideo:
    frames: list[SampledFrame] = []
    with VideoReader(path, grid) as reader:
        for item in reader:
            if isinstance(item, SampledFrame):
                frames.append(item)
            elif isinstance(item, Notice):
                tqdm.write(f"{path.name}: {item.message}", file=sys.stderr)
    if not frames:
        raise InputError(f"{path} holds no frames.")
    return DecodedVideo(
        images=np.stack([frame.image for frame in frames]),
        seconds=np.array([frame.seconds for frame in frames]),
        epoch=np.array([frame.epoch for frame in frames], dtype=np.int64),
    )
