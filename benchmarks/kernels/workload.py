"""What is measured: batches of videos, and an implementation at work on one of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Added to the variance of the local Gaussian inside the root; the model's default.
EPSILON = 1e-6


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A packed batch by its lengths."""

    name: str
    # Snippets of each video.
    lengths: tuple[int, ...]
    num_classes: int

    @property
    def num_snippets(self) -> int:
        """N."""
        return sum(self.lengths)

    @property
    def num_elements(self) -> int:
        """N C."""
        return self.num_snippets * self.num_classes


def spread_lengths(num_videos: int, shortest: int, longest: int) -> tuple[int, ...]:
    """Lengths at equal distances, in a fixed random order."""
    step = (longest - shortest) / max(1, num_videos - 1)
    lengths = [shortest + round(step * index) for index in range(num_videos)]
    random.Random(0).shuffle(lengths)
    return tuple(lengths)


GPU_SHAPES = (
    Shape(name="128 x 200-2,000", lengths=spread_lengths(128, 200, 2000), num_classes=157),
    Shape(name="4 x 20,000, C 200", lengths=(20_000,) * 4, num_classes=200),
    Shape(name="4 x 20,000, C 20", lengths=(20_000,) * 4, num_classes=20),
    Shape(name="1 x 50,000", lengths=(50_000,), num_classes=157),
    Shape(name="1 x 20,000 + 63 x 200", lengths=(20_000, *(200,) * 63), num_classes=157),
    Shape(name="1 x 200", lengths=(200,), num_classes=157),
)
# Smaller relatives, for two cores and two minutes.
CPU_SHAPES = (
    Shape(name="16 x 200-2,000", lengths=spread_lengths(16, 200, 2000), num_classes=157),
    Shape(name="64 x 200-2,000", lengths=spread_lengths(64, 200, 2000), num_classes=157),
    Shape(name="2 x 10,000, C 20", lengths=(10_000,) * 2, num_classes=20),
    Shape(name="1 x 2,000 + 31 x 20", lengths=(2000, *(20,) * 31), num_classes=157),
    Shape(name="1 x 200", lengths=(200,), num_classes=157),
)
# For Triton's interpreter, which takes seconds where a GPU takes microseconds.
INTERPRETER_SHAPES = (
    Shape(name="1, 2, 63", lengths=(1, 2, 63), num_classes=3),
    Shape(name="40, 7, 1, 150", lengths=(40, 7, 1, 150), num_classes=20),
    Shape(name="33, 90", lengths=(33, 90), num_classes=157),
)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the videos lie in a packed batch; made once per batch, before anything is timed."""

    lengths: tuple[int, ...]
    # (B + 1), (N) and (B, 1): offsets, each snippet's video, and lengths in float32.
    cu_seqlens: Tensor
    video: Tensor
    num_snippets: Tensor
    # (B, Tmax, 1), true where the padded batch holds a snippet.
    mask: Tensor

    def pad(self, packed: Tensor) -> Tensor:
        """(N, C) -> (B, Tmax, C) with zeros behind the end."""
        padded = packed.new_zeros(*self.mask.shape[:2], packed.shape[1])
        padded[self.mask[:, :, 0]] = packed
        return padded

    def unpad(self, padded: Tensor) -> Tensor:
        """(B, Tmax, C) -> (N, C)."""
        return padded[self.mask[:, :, 0]]


def make_layout(lengths: tuple[int, ...], device: torch.device) -> Layout:
    """The layout of videos of these lengths."""
    counts = torch.tensor(lengths)
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    mask = torch.arange(max(lengths)) < counts[:, None]  # (B, Tmax)
    return Layout(
        lengths=lengths,
        cu_seqlens=offsets.to(device),
        video=torch.repeat_interleave(torch.arange(len(lengths)), counts).to(device),
        num_snippets=counts[:, None].float().to(device),
        mask=mask[:, :, None].to(device),
    )


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The operator's inputs, and the gradient that the loss sends back."""

    layout: Layout
    # Selection and class logits (N, C) in the measured type; mu and sigma (C) in float32.
    x: Tensor
    h: Tensor
    mu: Tensor
    sigma: Tensor
    # dL/dy (B, C), float32.
    gradient: Tensor

    @property
    def leaves(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the loss is differentiated by."""
        return self.x, self.h, self.mu, self.sigma

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The same layout with every other tensor changed."""
        x, h, mu, sigma, gradient = map(change, (*self.leaves, self.gradient))
        return Batch(layout=self.layout, x=x, h=h, mu=mu, sigma=sigma, gradient=gradient)


def make_batch(shape: Shape, dtype: torch.dtype, device: torch.device) -> Batch:
    """Random logits with a spread of 2, the same in every run on the same device."""
    generator = torch.Generator(device).manual_seed(0)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, device=device)

    size = (shape.num_snippets, shape.num_classes)
    return Batch(
        layout=make_layout(shape.lengths, device),
        x=(2 * normal(*size)).to(dtype),
        h=(2 * normal(*size)).to(dtype),
        mu=normal(shape.num_classes),
        sigma=0.5 + normal(shape.num_classes).abs(),
        gradient=normal(len(shape.lengths), shape.num_classes),
    )


VideoScores = Callable[[Tensor, Tensor, Tensor, Tensor, Layout, str], Tensor]


@dataclass(frozen=True, kw_only=True)
class Implementation:
    """One way to compute video scores."""

    name: str
    video_scores: VideoScores
    # Whether x and h come as (B, Tmax, C) instead of (N, C).
    is_padded: bool = False
    is_compiled: bool = False

    def arranged(self, packed: Tensor, layout: Layout) -> Tensor:
        """A packed (N, C) tensor in the form that this implementation reads."""
        return layout.pad(packed) if self.is_padded else packed

    def packed(self, arranged: Tensor, layout: Layout) -> Tensor:
        """The way back, for gradients."""
        return layout.unpad(arranged) if self.is_padded else arranged


GRADIENTS = ("dx", "dh", "dmu", "dsigma")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one implementation computed, packed: y (B, C), dx and dh (N, C), dmu and dsigma (C)."""

    video_scores: Tensor
    # Empty after a forward alone.
    gradients: tuple[Tensor, ...] = ()

    def named(self) -> dict[str, Tensor]:
        """Every tensor by its symbol."""
        return {"y": self.video_scores, **dict(zip(GRADIENTS, self.gradients, strict=False))}


class Workload:
    """Forward, and forward with backward, of one implementation; inputs are arranged once."""

    def __init__(self, implementation: Implementation, batch: Batch, softmax_scale: str) -> None:
        self._implementation = implementation
        self._layout = batch.layout
        self._softmax_scale = softmax_scale
        x, h = (implementation.arranged(value, batch.layout) for value in (batch.x, batch.h))
        self._leaves = [v.detach().requires_grad_() for v in (x, h, batch.mu, batch.sigma)]
        self._gradient = batch.gradient

    def forward(self) -> tuple[Tensor, ...]:
        """Video scores, with everything kept that a backward would need."""
        return (self._video_scores().detach(),)

    def both(self) -> tuple[Tensor, ...]:
        """Video scores, and gradients in the implementation's own arrangement."""
        y = self._video_scores()
        return y.detach(), *torch.autograd.grad(y, self._leaves, self._gradient)

    def outcome(self, computed: Sequence[Tensor]) -> Outcome:
        """What `forward` or `both` gave, packed."""
        y, *gradients = computed
        packed = [self._implementation.packed(value, self._layout) for value in gradients[:2]]
        return Outcome(video_scores=y, gradients=(*packed, *gradients[2:]))

    def _video_scores(self) -> Tensor:
        x, h, mu, sigma = self._leaves
        return self._implementation.video_scores(x, h, mu, sigma, self._layout, self._softmax_scale)


def evaluate(implementation: Implementation, batch: Batch, softmax_scale: str) -> Outcome:
    """One forward and backward of a implementation."""
    workload = Workload(implementation, batch, softmax_scale)
    return workload.outcome(workload.both())


def dtype_name(dtype: torch.dtype) -> str:
    """As in tables and in the compile report: fp32, bf16, fp16."""
    return {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[dtype]
