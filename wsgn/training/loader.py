"""Micro-batches, read ahead of their use and, on a GPU, copied there meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from wsgn.data.annotations import snippet_labels
from wsgn.data.samples import VideoSample, VideoSource
from wsgn.methods.interface import Targets
from wsgn.support.arrays import Float32Array


@dataclass(frozen=True, kw_only=True)
class PackedBatch:
    """B videos with N snippets in all, and what they are trained towards."""

    # (N, ...) and (B + 1).
    inputs: Tensor
    cu_seqlens: Tensor
    targets: Targets
    # Whether it is the last of its update.
    ends_update: bool
    # Set when the copy to the GPU has been enqueued on another stream.
    copied: torch.cuda.Event | None = None


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """What is to be loaded: some videos of an update."""

    step: int
    # Their indices into the batch of the update, and their numbers in the source.
    indices: tuple[int, ...]
    videos: tuple[int, ...]
    # How many pairs come first.
    num_pairs: int
    # Whether it is the last of the update.
    ends_update: bool


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How videos are loaded for training; see `wsgn.config.TrainConfig`."""

    thinning: int
    start_range: int
    augment: bool
    with_snippet_labels: bool
    seed: int


class BatchLoader:
    """Loads micro-batches in turn; the next one is read while the last one is in use."""

    def __init__(
        self,
        source: VideoSource,
        labels: Float32Array,
        options: LoadOptions,
        device: torch.device,
    ) -> None:
        self._source = source
        self._labels = labels
        self._options = options
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wsgn-loader")

    def stream(self, micro_batches: Iterable[MicroBatch]) -> Iterator[PackedBatch]:
        """Them in their order; the tensors are ready to be used on the current stream."""
        waiting: Future[PackedBatch] | None = None
        for one in micro_batches:
            following = self._pool.submit(self._load, one)
            if waiting is not None:
                yield self._ready(waiting.result())
            waiting = following
        if waiting is not None:
            yield self._ready(waiting.result())

    def close(self) -> None:
        """Stop reading ahead."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _load(self, chosen: MicroBatch) -> PackedBatch:
        samples = self._samples(chosen)
        lengths = torch.tensor([0, *(len(sample.inputs) for sample in samples)])
        batch = PackedBatch(
            inputs=torch.cat([sample.inputs for sample in samples]),
            cu_seqlens=lengths.cumsum(0),
            targets=Targets(
                labels=torch.from_numpy(self._labels[list(chosen.videos)]),
                snippet_labels=self._snippet_labels(chosen, samples),
                pairs=torch.arange(2 * chosen.num_pairs).view(-1, 2),
            ),
            ends_update=chosen.ends_update,
        )
        return self._moved(batch)

    def _samples(self, chosen: MicroBatch) -> list[VideoSample]:
        options = self._options
        return [
            self._source.load_for_training(
                video,
                np.random.default_rng([options.seed, chosen.step, index]),
                thinning=options.thinning,
                start_range=options.start_range or None,
                augment=options.augment,
            )
            for index, video in zip(chosen.indices, chosen.videos, strict=True)
        ]

    def _snippet_labels(self, chosen: MicroBatch, samples: Sequence[VideoSample]) -> Tensor | None:
        if not self._options.with_snippet_labels:
            return None
        labels = [
            snippet_labels(
                self._source.videos[video], sample.times.centre_seconds, self._source.classes
            )
            for video, sample in zip(chosen.videos, samples, strict=True)
        ]
        return torch.from_numpy(np.concatenate(labels))

    def _moved(self, batch: PackedBatch) -> PackedBatch:
        if self._stream is None:
            return batch
        with torch.cuda.stream(self._stream):
            targets = batch.targets
            frame_labels = targets.snippet_labels
            moved = replace(
                batch,
                inputs=self._on_device(batch.inputs),
                cu_seqlens=self._on_device(batch.cu_seqlens),
                targets=Targets(
                    labels=self._on_device(targets.labels),
                    snippet_labels=None if frame_labels is None else self._on_device(frame_labels),
                    pairs=self._on_device(targets.pairs),
                ),
                copied=torch.cuda.Event(),  # type: ignore[no-untyped-call]
            )
            assert moved.copied is not None
            moved.copied.record(self._stream)
        return moved

    def _on_device(self, tensor: Tensor) -> Tensor:
        return tensor.pin_memory().to(self._device, non_blocking=True)

    def _ready(self, batch: PackedBatch) -> PackedBatch:
        if batch.copied is None:
            return batch
        current = torch.cuda.current_stream(self._device)
        current.wait_event(batch.copied)
        targets = batch.targets
        # The allocator must not hand the memory out again before the work on it has ended.
        for tensor in (
            batch.inputs, batch.cu_seqlens, targets.labels, targets.snippet_labels, targets.pairs
        ):  # fmt: skip
            if tensor is not None:
                tensor.record_stream(current)
        return batch
