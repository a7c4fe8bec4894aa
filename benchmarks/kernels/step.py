"""The product's own training step in many variants: model, loss, clipping and Adam of `wsgn-train`.

All are `wsgn.training.update.Update`; what differs is the operator, how features come, and whether
layers are compiled or updates recorded. There is no dropout, so that one step can be held against
another.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from benchmarks.kernels.baselines import LOOPED, PACKED
from benchmarks.kernels.workload import Layout, Shape, VideoScores, make_layout
from wsgn.config import DEFAULT_SAMPLING, ModelConfig, TrainConfig
from wsgn.manifest import PER_FRAME, FeatureInput
from wsgn.methods.config import WsgnConfig
from wsgn.methods.interface import HeadOutput, Targets
from wsgn.methods.wsgn import Wsgn
from wsgn.model import WeakDetector
from wsgn.training.loader import PackedBatch
from wsgn.training.recorder import Recorder, cuda_capture
from wsgn.training.update import Update

LEARNING_RATE = 1e-4


@dataclass(frozen=True, kw_only=True)
class StepPlan:
    """One variant of the step; each but the last ones changes one thing."""

    name: str
    # Of the operator: "packed", "loop" or "ours".
    operator: str = "ours"
    # The layers under torch.compile.
    compiled: bool = False
    # How it is fed: resident, copied or streamed.
    feed: str = "resident"
    # Recorded as CUDA graphs.
    graph: bool = False


# The yardstick of the tolerance and of every gain; it comes first.
BASELINE = StepPlan(name="eager packed", operator="packed")
PLANS = (
    BASELINE,
    StepPlan(name="ours"),
    StepPlan(name="eager loop", operator="loop"),
    StepPlan(name="ours, CUDA graph", graph=True),
    StepPlan(name="ours, layers compiled", compiled=True),
    StepPlan(name="ours, features copied each step", feed="copied"),
    StepPlan(name="ours, features streamed ahead", feed="streamed"),
    StepPlan(name="ours, compiled, streamed", compiled=True, feed="streamed"),
    StepPlan(name="ours, compiled, CUDA graph", compiled=True, graph=True),
)


class TrainingStep:
    """A model on its device with its update, and the labels; `run` is one step."""

    def __init__(
        self,
        plan: StepPlan,
        shape: Shape,
        width: int,
        *,
        dtype: torch.dtype,
        device: torch.device,
        softmax_scale: str,
    ) -> None:
        self._layout = make_layout(shape.lengths, device)
        classes = tuple(f"class {index}" for index in range(shape.num_classes))
        config = ModelConfig(
            classes=classes,
            sampling=DEFAULT_SAMPLING,
            features=FeatureInput(size=width),
            method=WsgnConfig(weight_scale=PER_FRAME, softmax_scale=softmax_scale),
            standardise=True,
            dropout=0.0,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = WeakDetector(config)
        weights = torch.float64 if dtype == torch.float64 else torch.float32
        self.model = model.to(device, weights).train()
        if plan.operator != "ours":
            _take_operator(model, _OPERATORS[plan.operator], self._layout)
        if plan.compiled:
            torch._dynamo.reset()
        recorder = None
        if plan.graph:
            # Where there are no graphs, the work on places that stay is tried.
            capture = cuda_capture(device) if device.type == "cuda" else lambda work: work
            recorder = Recorder(capture=capture)
        self._update = Update(
            model,
            TrainConfig(
                batch_videos=len(shape.lengths),
                precision="bfloat16" if dtype == torch.bfloat16 else "float32",
            ),
            device,
            compile_layers=plan.compiled,
            recorder=recorder,
        )
        self._start = [value.detach().clone() for value in model.parameters()]
        generator = torch.Generator().manual_seed(1)
        labels = torch.rand(len(shape.lengths), shape.num_classes, generator=generator) < 0.1
        self._targets = Targets(
            labels=labels.to(device, weights),  # (B, C)
            pairs=torch.empty(0, 2, dtype=torch.int64, device=device),
        )

    def run(self, features: Tensor) -> Tensor:
        """One update from features (N, D); the loss, without a synchronisation."""
        batch = PackedBatch(
            inputs=features,
            cu_seqlens=self._layout.cu_seqlens,
            targets=self._targets,
            ends_update=True,
        )
        return self._update.run([batch], LEARNING_RATE).loss

    def reset(self) -> None:
        """Back to the first weights, in place: a CUDA graph keeps its addresses."""
        with torch.no_grad():
            for parameter, start in zip(self.model.parameters(), self._start, strict=True):
                parameter.copy_(start)
            for state in self._update.optimizer.state.values():
                for value in state.values():
                    value.zero_()

    def gradients(self) -> dict[str, Tensor]:
        """Of the last step, clipped."""
        found: dict[str, Tensor] = {}
        for name, parameter in self.model.named_parameters():
            assert parameter.grad is not None
            found[name] = parameter.grad.clone()
        return found


def _take_operator(model: WeakDetector, video_scores: VideoScores, layout: Layout) -> None:
    """Let the method's scores of videos be computed by other formulas."""
    method = model.method
    assert isinstance(method, Wsgn)
    softmax_scale = method.config.softmax_scale

    def selected(heads: HeadOutput, cu_seqlens: Tensor, activation: str) -> Tensor:
        x, h = (v[:, : method.num_classes] for v in (heads.selection_logits, heads.class_logits))
        return video_scores(x, h, method.global_mean, method.global_std, layout, softmax_scale)

    method._selected = selected  # type: ignore[method-assign]


_OPERATORS: dict[str, VideoScores] = {"packed": PACKED.video_scores, "loop": LOOPED.video_scores}


class Feed(Protocol):
    """Features (N, D) of one training step after the other, in turn and without an end."""

    def next(self) -> Tensor:
        """Ready to be read on the current stream, until the next call."""
        ...


def make_feed(name: str, batches: Sequence[Tensor], device: torch.device) -> Feed:
    """The feed of this name (see `Step`) over batches in host memory."""
    if name == "resident":
        return ResidentFeed(batches, device)
    return CopiedFeed(batches, device) if name == "copied" else StreamedFeed(batches, device)


class ResidentFeed:
    """Everything lies on the GPU."""

    def __init__(self, batches: Sequence[Tensor], device: torch.device) -> None:
        self._batches: Iterator[Tensor] = itertools.cycle([b.to(device) for b in batches])

    def next(self) -> Tensor:
        """The next batch."""
        return next(self._batches)


class CopiedFeed:
    """Copied when it is needed, from ordinary memory; the host waits for the end of the copy."""

    def __init__(self, batches: Sequence[Tensor], device: torch.device) -> None:
        self._batches: Iterator[Tensor] = itertools.cycle(batches)
        self._device = device

    def next(self) -> Tensor:
        """The next batch."""
        return next(self._batches).to(self._device)


class StreamedFeed:
    """Copied one step ahead from pinned memory on a stream of its own, into two buffers in turn."""

    def __init__(self, batches: Sequence[Tensor], device: torch.device) -> None:
        self._batches: Iterator[Tensor] = itertools.cycle([b.pin_memory() for b in batches])
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        # NaN, so that a step which does not wait for its copy shows in the loss.
        self._buffers = [
            torch.full_like(batches[0], torch.nan, device=device) for _ in range(2)
        ]  # (N, D) each
        self._copied: list[torch.cuda.Event] = [
            torch.cuda.Event()  # type: ignore[no-untyped-call]
            for _ in range(2)
        ]
        self._step = 0
        self._copy_into(0)

    def next(self) -> Tensor:
        """The batch whose copy was started one step ago; starts that of the following one."""
        now, following = self._step % 2, (self._step + 1) % 2
        self._step += 1
        self._copy_into(following)
        torch.cuda.current_stream().wait_event(self._copied[now])
        return self._buffers[now]

    def _copy_into(self, slot: int) -> None:
        # Everything enqueued so far may still read the buffer: it held the step before this one.
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            self._buffers[slot].copy_(next(self._batches), non_blocking=True)
            self._copied[slot].record()
