"""`python -m benchmarks.kernels.interpreted SCALE`, under TRITON_INTERPRET=1: JSON lines.

The Triton kernels run on CPU tensors, statement by statement, and are held against float64.
"""

from __future__ import annotations

import dataclasses
import json
import sys

import torch

from benchmarks.kernels.correctness import examiner
from benchmarks.kernels.results import BOTH, OperatorRow
from benchmarks.kernels.roofline import dtype_name
from benchmarks.kernels.shapes import EPSILON, INTERPRETER_SHAPES, Batch, Shape, make_batch
from benchmarks.kernels.workload import Outcome
from wsgn.kernels.launch import backward, forward
from wsgn.selection.reference import Inputs, Options

NAME = "ours, interpreted"


def main() -> int:
    """Check every small shape in every type."""
    for shape in INTERPRETER_SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            print(json.dumps(dataclasses.asdict(check(shape, dtype, sys.argv[1]))), flush=True)
    return 0


def check(shape: Shape, dtype: torch.dtype, softmax_scale: str) -> OperatorRow:
    """One shape and type."""
    judge = examiner(make_batch(shape, dtype, torch.device("cpu")), softmax_scale)
    return OperatorRow(
        shape=f"{shape.name}, C {shape.num_classes}",
        dtype=dtype_name(dtype),
        measured=BOTH,
        implementation=NAME,
        verdict=judge.compare(run_kernels(judge.batch, softmax_scale)),
    )


def run_kernels(batch: Batch, softmax_scale: str) -> Outcome:
    """The kernels called directly: the operator would send CPU tensors to plain PyTorch."""
    x, h, mu, sigma = batch.leaves
    inputs = Inputs(x=x, h=h, cu_seqlens=batch.layout.cu_seqlens, mu=mu, sigma=sigma)
    options = Options(len(mu), True, True, True, softmax_scale, "softmax", EPSILON)
    kept = forward(inputs, options, frame_scores=False)
    found = backward(inputs, options, kept.row_numbers, kept.statistics, None, batch.gradient)
    gradients = (found.x, found.h, found.mu, found.sigma)
    return Outcome(video_scores=kept.video_scores, gradients=gradients)


if __name__ == "__main__":
    sys.exit(main())
