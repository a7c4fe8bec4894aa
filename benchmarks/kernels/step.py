"""The whole training step in many variants: features, two heads, operator, loss and Adam."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from benchmarks.kernels.baselines import FUSED, LOOPED, PACKED
from benchmarks.kernels.workload import Shape, VideoScores, make_layout

LEARNING_RATE = 1e-4
# Scores stay this far from 0 and 1, where the logarithm of the loss ends.
MARGIN = 1e-7


@dataclass(frozen=True, kw_only=True)
class StepPlan:
    """One variant of the step; each but the last ones changes one thing."""

    name: str
    # Of the operator: "packed", "loop" or "ours".
    operator: str = "ours"
    # Widths of the last layers are rounded up to a multiple of this; 1 leaves them alone.
    class_multiple: int = 1
    # The heads under torch.compile.
    compiled: bool = False
    # How it is fed: resident, copied or streamed.
    feed: str = "resident"
    # The step as one CUDA graph; for resident features.
    graph: bool = False

    def columns(self, num_classes: int) -> int:
        """Width of the last layers."""
        return -(-num_classes // self.class_multiple) * self.class_multiple


# The yardstick of the tolerance and of every gain; it comes first.
BASELINE = StepPlan(name="eager packed", operator="packed")
PLANS = (
    BASELINE,
    StepPlan(name="ours"),
    StepPlan(name="eager loop", operator="loop"),
    StepPlan(name="ours, last layer padded to 16", class_multiple=16),
    StepPlan(name="ours, heads compiled", compiled=True),
    StepPlan(name="ours, CUDA graph", graph=True),
    StepPlan(name="ours, features copied each step", feed="copied"),
    StepPlan(name="ours, features streamed ahead", feed="streamed"),
    StepPlan(
        name="ours, padded, compiled, streamed", class_multiple=16, compiled=True, feed="streamed"
    ),
    StepPlan(
        name="ours, padded, compiled, CUDA graph", class_multiple=16, compiled=True, graph=True
    ),
)


class Heads(nn.Module):
    """Two heads Linear(D, D), ReLU, Linear(D, columns), and the global Gaussian.

    Columns beyond the classes start at zero; the first ones do not depend on how many there are.
    """

    def __init__(self, width: int, num_classes: int, columns: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)

        def layer(outputs: int, rows: int) -> nn.Linear:
            linear = nn.Linear(width, outputs)
            nn.init.zeros_(linear.bias)
            nn.init.zeros_(linear.weight)
            with torch.no_grad():
                nn.init.xavier_uniform_(linear.weight[:rows], generator=generator)
            return linear

        def head() -> nn.Sequential:
            return nn.Sequential(layer(width, width), nn.ReLU(), layer(columns, num_classes))

        self.selection, self.classes = head(), head()
        self.mu = nn.Parameter(torch.zeros(num_classes))
        self.log_sigma = nn.Parameter(torch.zeros(num_classes))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """x and h (N, columns) of features (N, D)."""
        return self.selection(features), self.classes(features)


class TrainingStep:
    """A model on its device, its optimizer and the labels; `run` is one step."""

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
        self._num_classes = shape.num_classes
        self._softmax_scale = softmax_scale
        self._autocast = dtype if dtype != torch.float64 else None
        self._device = device
        self._layout = make_layout(shape.lengths, device)
        columns = plan.columns(shape.num_classes)
        weights = torch.float64 if dtype == torch.float64 else torch.float32
        self.heads = Heads(width, shape.num_classes, columns).to(device, weights)
        self._start = [value.detach().clone() for value in self.heads.parameters()]
        self._apply: Callable[[Tensor], tuple[Tensor, Tensor]] = self.heads
        if plan.compiled:
            torch._dynamo.reset()
            self._apply = torch.compile(self.heads)
        self._video_scores = _OPERATORS[plan.operator]
        generator = torch.Generator().manual_seed(1)
        labels = torch.rand(len(shape.lengths), shape.num_classes, generator=generator) < 0.1
        self._labels = labels.to(device, weights)  # (B, C)
        on_gpu = device.type == "cuda"
        # Fused and without a read-back of the step number, for every variant alike.
        self._optimizer = torch.optim.Adam(
            self.heads.parameters(), lr=LEARNING_RATE, fused=on_gpu, capturable=on_gpu
        )

    def run(self, features: Tensor) -> Tensor:
        """One update from features (N, D); the loss, without a synchronisation."""
        self.forget_gradients()
        loss = self._loss(features)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return loss.detach()

    def forget_gradients(self) -> None:
        """Before a capture, whose gradients must lie in the graph's own memory."""
        self._optimizer.zero_grad(set_to_none=True)

    def reset(self) -> None:
        """Back to the first weights, in place: a CUDA graph keeps its addresses."""
        with torch.no_grad():
            for parameter, start in zip(self.heads.parameters(), self._start, strict=True):
                parameter.copy_(start)
            for state in self._optimizer.state.values():
                for value in state.values():
                    value.zero_()

    def gradients(self) -> dict[str, Tensor]:
        """Of the last step, without the columns that pad."""
        found: dict[str, Tensor] = {}
        for name, parameter in self.heads.named_parameters():
            assert parameter.grad is not None
            is_last_layer = name.split(".")[1:2] == ["2"]
            found[name] = parameter.grad[: self._num_classes if is_last_layer else None].clone()
        return found

    def _loss(self, features: Tensor) -> Tensor:
        with torch.autocast(
            self._device.type,
            dtype=self._autocast,
            enabled=self._autocast == torch.bfloat16,
            # Each weight is cast once a step anyway, and a cache does not survive graph capture.
            cache_enabled=False,
        ):
            x, h = self._apply(features)  # (N, columns)
        y = self._video_scores(
            x, h, self.heads.mu, self.heads.log_sigma.exp(), self._layout, self._softmax_scale
        )
        return nn.functional.binary_cross_entropy(y.clamp(MARGIN, 1 - MARGIN), self._labels)


_OPERATORS: dict[str, VideoScores] = {
    "packed": PACKED.video_scores,
    "loop": LOOPED.video_scores,
    # Skips the columns that pad; slicing them off would cost a copy in the backward.
    "ours": FUSED.video_scores,
}


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
