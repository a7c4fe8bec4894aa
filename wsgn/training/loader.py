"""Micro-batches, read ahead of their use and, on a GPU, copied there meanwhile."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
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

    # (N, ...) and (B + 1). On the CPU the inputs are overwritten once the next batch was asked for.
    inputs: Tensor
    cu_seqlens: Tensor
    targets: Targets
    # Whether it is the last of its update.
    ends_update: bool
    # So many videos at the end fill a place up, and have no loss.
    num_padding: int = 0
    # Set when the copy to the GPU has been enqueued on another stream.
    copied: torch.cuda.Event | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it holds no video, as where there are more processes than videos."""
        return len(self.cu_seqlens) == 1


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


class _Packer:
    """Puts videos behind each other, in the type that is computed in, or on a GPU as stored.

    On the CPU into two buffers in turn: the system clears new memory page by page, which takes
    longer than the copy. Page-locked memory is held by PyTorch's allocator for the next batch.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._buffers = [torch.empty(0), torch.empty(0)]

    def pack(self, parts: Sequence[Tensor]) -> Tensor:
        """(N, ...) of parts (T, ...) that may be views; halves become float32 on the CPU."""
        if self._device.type == "cuda":
            return self._on_device(parts)
        dtype = torch.float32 if parts[0].is_floating_point() else parts[0].dtype
        shape = (sum(map(len, parts)), *parts[0].shape[1:])
        buffer = self._buffers.pop(0)
        if buffer.dtype != dtype or buffer.numel() < math.prod(shape):
            buffer = torch.empty(math.prod(shape), dtype=dtype)
        self._buffers.append(buffer)
        return torch.cat(list(parts), out=buffer[: math.prod(shape)].view(shape))

    def _on_device(self, parts: Sequence[Tensor]) -> Tensor:
        if all(part.device.type == "cpu" for part in parts):
            dtype = functools.reduce(torch.promote_types, (part.dtype for part in parts))
            shape = (sum(map(len, parts)), *parts[0].shape[1:])
            host = torch.empty(shape, dtype=dtype, pin_memory=True)
            return torch.cat(list(parts), out=host).to(self._device, non_blocking=True)
        # Some are kept there, others were read now.
        return torch.cat([part.to(self._device) for part in parts])


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
        self._packer = _Packer(device)
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wsgn-loader")

    def stream(self, micro_batches: Iterable[MicroBatch]) -> Iterator[PackedBatch]:
        """Them in their order; the tensors are ready to be used on the current stream.

        The inputs of one are the caller's until it asks for the next.
        """
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
        if not chosen.videos:
            return _nothing(chosen)
        samples = self._samples(chosen)
        targets = Targets(
            labels=torch.from_numpy(self._labels[list(chosen.videos)]),
            snippet_labels=self._snippet_labels(chosen, samples),
            pairs=torch.arange(2 * chosen.num_pairs).view(-1, 2),
        )
        lengths = torch.tensor([0, *(len(sample.inputs) for sample in samples)])
        with self._copying():
            batch = PackedBatch(
                inputs=self._packer.pack([sample.inputs for sample in samples]),
                cu_seqlens=self._on_device(lengths.cumsum(0)),
                targets=Targets(
                    labels=self._on_device(targets.labels),
                    snippet_labels=None
                    if targets.snippet_labels is None
                    else self._on_device(targets.snippet_labels),
                    pairs=self._on_device(targets.pairs),
                ),
                ends_update=chosen.ends_update,
            )
        return batch if self._stream is None else replace(batch, copied=self._mark(self._stream))

    def _copying(self) -> AbstractContextManager[object]:
        """What is done within is done on the stream for copies, where there is one."""
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def _on_device(self, tensor: Tensor) -> Tensor:
        if self._stream is None:
            return tensor
        return tensor.pin_memory().to(self._device, non_blocking=True)

    def _mark(self, stream: torch.cuda.Stream) -> torch.cuda.Event:
        """An event behind all that was enqueued."""
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(stream)
        return event

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


def _nothing(chosen: MicroBatch) -> PackedBatch:
    """The batch of a process for which nothing is left of an update."""
    return PackedBatch(
        inputs=torch.empty(0),
        cu_seqlens=torch.zeros(1, dtype=torch.int64),
        targets=Targets(
            labels=torch.empty(0), snippet_labels=None, pairs=torch.empty(0, 2, dtype=torch.int64)
        ),
        ends_update=chosen.ends_update,
    )
