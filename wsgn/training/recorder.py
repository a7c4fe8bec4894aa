"""Updates as CUDA graphs: recorded once for each size of a batch, replayed for every other one.

A graph holds launches with their addresses and sizes. So a batch is copied to a place that stays,
whose N is rounded up: what is too much there is a video of its own, of zeros, that has no loss. The
first batch of a size runs as any other, the second is recorded, and replaying costs the host a few
copies and one launch in the place of some hundred.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from wsgn.config import ModelConfig, TrainConfig
from wsgn.errors import UsageError
from wsgn.methods.config import WsgnConfig
from wsgn.methods.interface import Targets
from wsgn.training.loader import PackedBatch

# Snippets to whose multiples N is rounded: a batch of 2,400 has a tenth more work on average.
BUCKET = 512
# Each has its launches in the driver's memory; batches of other sizes run without a graph.
MOST_GRAPHS = 64

Work = Callable[[], Tensor]
# Records work without running it; what it returns replays it and gives the same tensor every time.
Capture = Callable[[Work], Work]


def cuda_capture(device: torch.device) -> Capture:
    """CUDA graphs that share one pool of memory, as they never run at a time."""
    pool = torch.cuda.graph_pool_handle()

    def capture(work: Work) -> Work:
        graph = torch.cuda.CUDAGraph()
        # The thread that loads batches may allocate and copy meanwhile.
        with (
            torch.cuda.device(device),
            torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"),
        ):
            output = work()

        def replay() -> Tensor:
            graph.replay()
            return output

        return replay

    return capture


@dataclass(kw_only=True)
class _Recording:
    """Work that runs as it is at first, is recorded the second time, and replayed from then on."""

    work: Work
    seen: bool = False
    replay: Work | None = None

    def run(self, capture: Capture) -> Tensor:
        if not self.seen:
            self.seen = True
            return self.work()
        if self.replay is None:
            self.replay = capture(self.work)
        return self.replay()


@dataclass(kw_only=True)
class Recorder:
    """The recordings of a training."""

    capture: Capture
    bucket: int = BUCKET
    _places: dict[object, tuple[PackedBatch, _Recording]] = field(default_factory=dict)
    _last: _Recording | None = None

    def on_batch(self, work: Callable[[PackedBatch], Tensor], batch: PackedBatch) -> Tensor:
        """The scalar that `work` makes of a batch, here of one with a video of zeros behind it.

        The next batch writes over it.
        """
        key = (
            self._size(batch), len(batch.cu_seqlens), batch.inputs.dtype, batch.inputs.shape[1:],
            batch.ends_update,
        )  # fmt: skip
        if key not in self._places and len(self._places) == MOST_GRAPHS:
            return work(batch)
        if key not in self._places:
            place = _empty(batch, self._size(batch))
            self._places[key] = (place, _Recording(work=lambda: work(place)))
        place, recording = self._places[key]
        _fill(place, batch)
        return recording.run(self.capture)

    def at_end(self, work: Work) -> Tensor:
        """The scalar of the work that ends an update."""
        if self._last is None:
            self._last = _Recording(work=work)
        # The next replay writes over it.
        return self._last.run(self.capture).clone()

    def forget(self) -> None:
        """Tensors that recordings know have been replaced."""
        self._places.clear()
        self._last = None

    def _size(self, batch: PackedBatch) -> int:
        """Room for its snippets and one more at least."""
        return (len(batch.inputs) // self.bucket + 1) * self.bucket


def _empty(batch: PackedBatch, size: int) -> PackedBatch:
    """A place for batches of as many videos, with one of what is left behind them."""
    targets = batch.targets
    labels, snippet_labels = targets.labels, targets.snippet_labels
    cu_seqlens = batch.cu_seqlens.new_full((len(batch.cu_seqlens) + 1,), size)
    return replace(
        batch,
        inputs=batch.inputs.new_zeros(size, *batch.inputs.shape[1:]),
        cu_seqlens=cu_seqlens,
        targets=Targets(
            labels=labels.new_zeros(len(labels) + 1, labels.shape[1]),
            snippet_labels=None
            if snippet_labels is None
            else snippet_labels.new_zeros(size, snippet_labels.shape[1]),
            pairs=targets.pairs.clone(),
        ),
        num_padding=1,
        copied=None,
    )


def _fill(place: PackedBatch, batch: PackedBatch) -> None:
    num_snippets = len(batch.inputs)
    place.inputs[:num_snippets].copy_(batch.inputs)
    place.inputs[num_snippets:].zero_()
    place.cu_seqlens[:-1].copy_(batch.cu_seqlens)
    place.targets.labels[:-1].copy_(batch.targets.labels)
    ours, theirs = place.targets.snippet_labels, batch.targets.snippet_labels
    if ours is not None and theirs is not None:
        ours[:num_snippets].copy_(theirs)
        ours[num_snippets:].zero_()


def require_recordable(model: ModelConfig, train: TrainConfig, num_processes: int) -> None:
    """Refuse trainings in whose steps the host reads what the GPU computes, or waits for others."""
    method = model.method
    if num_processes > 1:
        raise UsageError("--cuda-graph is for one process: leave it out under torchrun.")
    if model.features is None:
        raise UsageError("--cuda-graph is for trainings on features: leave it out.")
    if not isinstance(method, WsgnConfig):
        raise UsageError(
            f"--cuda-graph is for wsgn: the method '{method.name}' waits for the GPU in every step."
        )
    waits = [
        name
        for name, is_so in (
            ("batch_pairs", train.batch_pairs > 0 or method.coactivity_weight > 0),
            ("peak_pooling top_k", method.peak_weight > 0 and method.peak_pooling == "top_k"),
        )
        if is_so
    ]
    if waits:
        raise UsageError(f"--cuda-graph cannot hold {waits[0]}, which waits for the GPU.")
