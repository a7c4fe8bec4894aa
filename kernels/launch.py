"""Launches of the frame-selection kernels, with the interface of `wsgn.selection.reference`.

Five launches for forward and backward of a loss on video scores, seven where frame scores have a
gradient, and one more for frame scores that are weighted averages or pass a gate. Nothing here
waits for the device: sizes depend on shapes alone, so that a CUDA graph can hold all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wsgn.manifest import ACTIVATIONS, GATES
from wsgn.selection.reference import (
    ForwardResult,
    Gradients,
    Inputs,
    Options,
)

from . import backward_kernels, describe_kernels, finish_kernels, forward_kernels
from .tiles import LANES

# More classes than this would leave no registers; the reference takes them.
MOST_CLASSES = 256

Launch = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sizes of the launches; kernels/README.md says how each was chosen."""

    # Snippets of a chunk, the work of one program.
    chunk: int = 128
    # Warps of a program.
    warps: int = 4
    # Snippets that a warp holds at a time in each walk over the batch.
    describe_held: int = 8
    pool_held: int = 1
    gradient_held: int = 2
    score_held: int = 4
    # Chunks that are merged in a turn, and videos for mu and sigma: a multiple of the warps.
    block: int = 32


def plan_for(num_classes: int) -> Plan:
    """Few classes leave registers for more snippets, many do not."""
    tiles = _tiles(num_classes)
    if tiles <= 2:
        return Plan(pool_held=4 // tiles, gradient_held=4)
    return Plan(gradient_held=2 if tiles <= 5 else 1)


def _tiles(num_classes: int) -> int:
    lanes = int(LANES.value)
    return -(-num_classes // lanes)


def run(kernel: Any, grid: tuple[int, ...], *arguments: object, **constants: object) -> None:
    """Launch on the current stream."""
    kernel[grid](*arguments, **constants)


def supports(x: Tensor, options: Options) -> bool:
    """Whether the kernels take these logits; float64 and very many classes are the reference's."""
    return x.dtype != torch.float64 and options.num_classes <= MOST_CLASSES


def scores_need_a_walk(options: Options) -> bool:
    """Whether frame scores wait until their video is finished."""
    return options.average or options.gate != "none"


def num_chunk_sums(options: Options) -> int:
    """Numbers of x and h that a chunk hands on."""
    if options.average:
        return forward_kernels.NUM_CHUNK_SUMS_OF_AVERAGE
    return forward_kernels.NUM_CHUNK_SUMS


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """Arguments that most launches share."""

    inputs: Inputs
    options: Options
    plan: Plan
    launch: Launch

    @property
    def num_videos(self) -> int:
        return self.inputs.cu_seqlens.shape[0] - 1

    @property
    def num_slots(self) -> int:
        return self.inputs.x.shape[0] // self.plan.chunk + self.num_videos

    @property
    def num_tiles(self) -> int:
        return _tiles(self.options.num_classes)

    @property
    def sizes(self) -> tuple[int, int, int]:
        return self.inputs.x.shape[0], self.num_videos, self.num_slots

    @property
    def components(self) -> dict[str, bool]:
        options = self.options
        return {
            "LOCAL": options.use_local,
            "GLOBAL": options.use_global,
            "SOFTMAX": options.use_softmax,
            "MAX_ONE": options.max_one,
        }

    @property
    def weights(self) -> dict[str, bool]:
        """The components, and how they are scaled."""
        return {**self.components, "AVERAGE": self.options.average}

    @property
    def constants(self) -> dict[str, Any]:
        """Of every launch."""
        return {
            "C": self.options.num_classes,
            "CHUNK": self.plan.chunk,
            "num_warps": self.plan.warps,
            # Triton 3.10 turns it off by default; the results stand either way.
            "enable_fp_fusion": True,
        }

    def of_rows(self, held: int) -> dict[str, Any]:
        """Of the launches over whole rows."""
        x, h = self.inputs.x, self.inputs.h
        return {
            "WIDTH": x.shape[1],
            "X_STRIDE": x.stride(0),
            "H_STRIDE": h.stride(0),
            "TILES": self.num_tiles,
            "HELD": held,
            "WARPS": self.plan.warps,
            # As tiles.py counts them.
            "ACTIVATION": ACTIVATIONS.index(self.options.class_activation),
        }

    def workspace(self, count: int) -> Tensor:
        """(count, slots, C) float32 of chunks; unused slots stay as they are and are not read."""
        shape = (count, self.num_slots, self.options.num_classes)
        return self.inputs.x.new_empty(shape, dtype=torch.float32)


def forward(
    inputs: Inputs,
    options: Options,
    *,
    frame_scores: bool,
    plan: Plan | None = None,
    launch: Launch = run,
) -> ForwardResult:
    """Scores, and what the backward needs beside the inputs."""
    problem = _problem(inputs, options, plan, launch)
    x, num_classes, num_videos = inputs.x, options.num_classes, problem.num_videos

    def empty(*shape: int) -> Tensor:
        return x.new_empty(shape, dtype=torch.float32)

    result = ForwardResult(
        scores=empty(x.shape[0], num_classes) if frame_scores else None,
        video_scores=empty(num_videos, num_classes),
        row_numbers=empty(x.shape[0] if options.class_activation == "softmax" else 0, 2),
        statistics=empty(options.num_statistics, num_videos, num_classes),
    )
    if options.use_local or options.use_softmax:
        _describe(problem, result.statistics)
    sums = _pool(problem, result, grad_scores=None, grad_video_scores=None)
    results = result.statistics[options.results]
    _finish(problem, sums, result.statistics, result.scores, result.video_scores, results)
    if frame_scores and scores_need_a_walk(options):
        _score(problem, result)
    return result


def backward(
    inputs: Inputs,
    options: Options,
    row_numbers: Tensor,
    statistics: Tensor,
    grad_scores: Tensor | None,
    grad_video_scores: Tensor | None,
    *,
    plan: Plan | None = None,
    launch: Launch = run,
) -> Gradients:
    """Gradients of a loss with these gradients of frame scores (N, C) and video scores (B, C)."""
    problem = _problem(inputs, options, plan, launch)
    if grad_video_scores is None:
        grad_video_scores = torch.zeros_like(statistics[0])
    grad_video_scores = grad_video_scores.contiguous()
    sums = statistics[options.results]
    if grad_scores is not None:
        grad_scores = grad_scores.contiguous()
        kept = ForwardResult(
            scores=None, video_scores=sums[0], row_numbers=row_numbers, statistics=statistics
        )
        of_chunks = _pool(
            problem, kept, grad_scores=grad_scores, grad_video_scores=grad_video_scores
        )
        sums = torch.empty_like(sums)
        _finish(problem, of_chunks, statistics, None, None, sums)
    return _gradients(problem, row_numbers, statistics, sums, grad_scores, grad_video_scores)


def _problem(inputs: Inputs, options: Options, plan: Plan | None, launch: Launch) -> _Problem:
    """With copies only where something else than rows has a stride."""
    x, h = inputs.x, inputs.h
    adjacent = Inputs(
        x=x if x.stride(1) == 1 or x.shape[1] == 1 else x.contiguous(),
        h=h if h.stride(1) == 1 or h.shape[1] == 1 else h.contiguous(),
        cu_seqlens=inputs.cu_seqlens.contiguous(),
        mu=inputs.mu.contiguous(),
        sigma=inputs.sigma.contiguous(),
    )
    plan = plan or plan_for(options.num_classes)
    return _Problem(inputs=adjacent, options=options, plan=plan, launch=launch)


def _describe(problem: _Problem, statistics: Tensor) -> None:
    inputs, options, plan = problem.inputs, problem.options, problem.plan
    moments = problem.workspace(describe_kernels.NUM_CHUNK_MOMENTS)
    flags = {name: flag for name, flag in problem.components.items() if name != "GLOBAL"}
    problem.launch(
        describe_kernels.describe_chunks,
        (problem.num_slots, problem.num_tiles),
        inputs.x, inputs.cu_seqlens, moments, *problem.sizes,
        X_STRIDE=inputs.x.stride(0), HELD=plan.describe_held, WARPS=plan.warps,
        **flags, **problem.constants,
    )  # fmt: skip
    problem.launch(
        describe_kernels.describe_videos,
        (problem.num_videos, problem.num_tiles),
        inputs.cu_seqlens, moments, statistics, *problem.sizes, options.epsilon,
        BLOCK=plan.block, WARPS=plan.warps, MEAN_ONE=options.mean_one, **flags,
        **problem.constants,
    )  # fmt: skip


def _pool(
    problem: _Problem,
    result: ForwardResult,
    *,
    grad_scores: Tensor | None,
    grad_video_scores: Tensor | None,
) -> Tensor:
    """Sums of the chunks (numbers, slots, C); fills row numbers and frame scores."""
    inputs, plan = problem.inputs, problem.plan
    sums = problem.workspace(num_chunk_sums(problem.options))
    scores = None if scores_need_a_walk(problem.options) else result.scores
    problem.launch(
        forward_kernels.pool_chunks,
        (problem.num_slots,),
        inputs.x, inputs.h, inputs.cu_seqlens,
        inputs.mu, inputs.sigma, result.statistics, result.row_numbers, scores,
        grad_scores, grad_video_scores, sums, *problem.sizes,
        SCORES=scores is not None, WEIGHTED=grad_scores is not None,
        **problem.of_rows(plan.pool_held), **problem.weights, **problem.constants,
    )  # fmt: skip
    return sums


def _finish(
    problem: _Problem,
    sums: Tensor,
    statistics: Tensor,
    scores: Tensor | None,
    video_scores: Tensor | None,
    results: Tensor,
) -> None:
    options = problem.options
    problem.launch(
        finish_kernels.finish_videos,
        (problem.num_videos, problem.num_tiles),
        problem.inputs.cu_seqlens, sums, statistics, scores, video_scores, results,
        *problem.sizes,
        BLOCK=problem.plan.block, WARPS=problem.plan.warps, MEAN_ONE=options.mean_one,
        SCORES=scores is not None, WEIGHTED=video_scores is None,
        **problem.weights, **problem.constants,
    )  # fmt: skip


def _score(problem: _Problem, result: ForwardResult) -> None:
    """Fill the frame scores from the statistics and the row numbers."""
    inputs, options = problem.inputs, problem.options
    problem.launch(
        finish_kernels.score_chunks,
        (problem.num_slots,),
        inputs.x, inputs.h, inputs.cu_seqlens, inputs.mu, inputs.sigma, result.statistics,
        result.row_numbers, result.scores, *problem.sizes, options.gate_level,
        GATE=GATES.index(options.gate),
        **problem.of_rows(problem.plan.score_held), **problem.weights, **problem.constants,
    )  # fmt: skip


def _gradients(
    problem: _Problem,
    row_numbers: Tensor,
    statistics: Tensor,
    sums: Tensor,
    grad_scores: Tensor | None,
    grad_video_scores: Tensor,
) -> Gradients:
    inputs, plan = problem.inputs, problem.plan
    width = inputs.x.shape[1]
    # The kernel writes whole tiles, up to the row's end; what lies further must be cleared.
    new = torch.empty if width <= problem.num_tiles * int(LANES.value) else torch.zeros
    dx, dh = (new(v.shape, dtype=v.dtype, device=v.device) for v in (inputs.x, inputs.h))
    d_mu, d_sigma = torch.empty_like(inputs.mu), torch.empty_like(inputs.sigma)
    problem.launch(
        backward_kernels.gradients,
        (problem.num_tiles + problem.num_slots,),
        inputs.x, inputs.h, inputs.cu_seqlens,
        inputs.mu, inputs.sigma, statistics, row_numbers, grad_scores, grad_video_scores, sums,
        dx, dh, d_mu, d_sigma, *problem.sizes,
        BLOCK=plan.block, WEIGHTED=grad_scores is not None,
        **problem.of_rows(plan.gradient_held),
        **problem.weights, **problem.constants,
    )  # fmt: skip
    return Gradients(x=dx, h=dh, mu=d_mu, sigma=d_sigma)
