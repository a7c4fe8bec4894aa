"""Videos as snippets of frames: decoded onto the time grid, kept as uint8 while memory lasts."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import torch

from wsgn.data.annotations import VideoAnnotation
from wsgn.data.augmentation import Augmentation, augmented, draw_augmentation
from wsgn.data.samples import VideoSample
from wsgn.data.video_folder import VideoFolder
from wsgn.errors import InputError
from wsgn.localization.timing import snippet_times
from wsgn.manifest import FrameInput, Sampling
from wsgn.support.arrays import FloatArray, IntArray, UInt8Array
from wsgn.support.progress import progress_bar
from wsgn.support.terminal import say_above_bars
from wsgn.video import FrameGrid, Notice, SampledFrame, VideoReader
from wsgn.video.snippets import snippet_rows

# Room for the frames of a dataset: 13 hours of the default input, or 47 minutes of 224 x 224 pixels
# at 10 frames per second.
DEFAULT_MEMORY_BYTES = 4 << 30


@dataclass(frozen=True, kw_only=True)
class DecodedVideo:
    """The F sampled frames of a video."""

    # (F, H, W, 3) RGB; None where they did not fit and are decoded again when they are needed.
    images: UInt8Array | None
    # (F,) each: media seconds, and the epoch that rises at each gap.
    seconds: FloatArray
    epoch: IntArray


class FrameDataset:
    """A folder of video files; see `wsgn.data.samples.VideoSource`.

    Every video is decoded once to learn its length; so many frames are kept as fit into
    `memory_bytes`. The other videos are decoded again each time, and only the frames of the
    snippets that are asked for are held. Where not `at_once`, a video is decoded when it is asked
    for, and the last one alone is kept.
    """

    def __init__(
        self,
        folder: Path,
        videos: Sequence[VideoAnnotation],
        classes: Sequence[str],
        sampling: Sampling,
        frames: FrameInput,
        *,
        progress: bool = True,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        at_once: bool = True,
    ) -> None:
        self.classes = tuple(classes)
        self.videos = tuple(videos)
        self._sampling = sampling
        self._grid = FrameGrid(
            frame_rate=sampling.frame_rate,
            height=frames.height,
            width=frames.width,
            resize=frames.resize,
        )
        files = VideoFolder(folder)
        self._paths = [files.find(video.name) for video in videos]
        self._memory_bytes = memory_bytes
        # By place.
        self._decoded: dict[int, DecodedVideo] = {}
        if at_once:
            self._decode_all(progress=progress)

    def _decode_all(self, *, progress: bool) -> None:
        memory = FrameMemory(self._memory_bytes)
        with ThreadPoolExecutor(max_workers=2) as pool:
            decoded = pool.map(lambda path: read_video(path, self._grid, memory), self._paths)
            bar = progress_bar(
                decoded,
                wanted=progress,
                total=len(self._paths),
                desc="reading videos",
                unit="video",
            )
            self._decoded = dict(enumerate(bar))
        if progress:
            self._tell_what_does_not_fit()

    def _video(self, index: int) -> DecodedVideo:
        if index not in self._decoded:
            self._decoded.clear()
            memory = FrameMemory(self._memory_bytes)
            self._decoded[index] = read_video(self._paths[index], self._grid, memory)
        return self._decoded[index]

    def num_snippets(self, index: int) -> int:
        """Snippets of one video before any thinning."""
        return len(snippet_rows(self._video(index).epoch, self._sampling))

    def load(self, index: int) -> VideoSample:
        """Snippets (T, L, H, W, 3) uint8 of one video."""
        return self._sample(index, self._sampling, offset=0, augmentation=None)

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
        augmentation = None
        if augment:
            augmentation = draw_augmentation(self._grid.height, self._grid.width, random)
        stride = self._sampling.snippet_stride
        thinned = Sampling(
            frame_rate=self._sampling.frame_rate,
            snippet_length=self._sampling.snippet_length,
            snippet_stride=stride * thinning,
        )
        offset = int(random.integers(stride * (start_range or thinning)))
        return self._sample(index, thinned, offset=offset, augmentation=augmentation)

    def _sample(
        self, index: int, sampling: Sampling, *, offset: int, augmentation: Augmentation | None
    ) -> VideoSample:
        video = self._video(index)
        rows = snippet_rows(video.epoch, sampling, offset)  # (T, L)
        # Only the frames that are needed are decoded again, or augmented, and each once.
        numbers, indices = np.unique(rows, return_inverse=True)
        if video.images is None:
            images = _read_again(self._paths[index], self._grid, numbers)
        else:
            images = video.images[numbers]
        if augmentation is not None:
            images = augmented(images, augmentation)
        first = rows[:, 0]
        return VideoSample(
            inputs=torch.from_numpy(images[indices.reshape(rows.shape)]),
            times=snippet_times(video.seconds[first], video.epoch[first], sampling),
        )

    def _tell_what_does_not_fit(self) -> None:
        outside = sum(video.images is None for video in self._decoded.values())
        if outside:
            say_above_bars(
                f"{outside} of {len(self._decoded)} videos do not fit into "
                f"{self._memory_bytes / 2**30:.3g} GiB of memory, and are decoded again whenever "
                "they are needed."
            )


class FrameMemory:
    """Room that several threads share."""

    def __init__(self, num_bytes: int) -> None:
        self._left = num_bytes
        self._lock = Lock()

    def take(self, num_bytes: int) -> bool:
        """Whether so much was free, and is taken."""
        with self._lock:
            if num_bytes > self._left:
                return False
            self._left -= num_bytes
            return True

    def give_back(self, num_bytes: int) -> None:
        """Free what was taken."""
        with self._lock:
            self._left += num_bytes


def read_video(path: Path, grid: FrameGrid, memory: FrameMemory) -> DecodedVideo:
    """Decode a video, and keep its frames if all of them fit."""
    images: list[UInt8Array] = []
    seconds, epoch = [], []
    fits = True
    with VideoReader(path, grid) as reader:
        for item in reader:
            if isinstance(item, SampledFrame):
                seconds.append(item.seconds)
                epoch.append(item.epoch)
                fits = fits and memory.take(item.image.nbytes)
                if fits:
                    images.append(item.image)
                else:
                    memory.give_back(sum(image.nbytes for image in images))
                    images.clear()
            elif isinstance(item, Notice):
                say_above_bars(f"{path.name}: {item.message}")
    if not seconds:
        raise InputError(f"{path} holds no frames.")
    return DecodedVideo(
        images=np.stack(images) if fits else None,
        seconds=np.array(seconds),
        epoch=np.array(epoch, dtype=np.int64),
    )


def _read_again(path: Path, grid: FrameGrid, numbers: IntArray) -> UInt8Array:
    """The frames with these numbers (rising) in the order of the video."""
    wanted = iter(numbers.tolist())
    following: int | None = next(wanted)
    images: UInt8Array = np.empty((len(numbers), grid.height, grid.width, 3), np.uint8)
    num_found = 0
    with VideoReader(path, grid) as reader:
        frames = (item for item in reader if isinstance(item, SampledFrame))
        for number, frame in enumerate(frames):
            if number == following:
                images[num_found] = frame.image
                num_found += 1
                following = next(wanted, None)
            if following is None:
                break
    if following is not None:
        raise InputError(f"{path} has fewer frames than at the start: it was changed meanwhile.")
    return images
