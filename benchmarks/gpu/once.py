"""Every kernel once, forward and backward, for tools that watch a process.

    compute-sanitizer --tool racecheck python -m benchmarks.gpu.once

`--plant race` and `--plant bounds` launch a kernel that is wrong, to see that the tool tells.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks.gpu.part import SKIPPED_CODE
from benchmarks.kernels.workload import Batch, Shape, make_batch
from wsgn.selection.api import frame_selection, video_selection

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
PLANTS = ("none", "race", "bounds")
_RACE = """
extern "C" __global__ void planted(float* out) {
  __shared__ float cell[64];
  cell[threadIdx.x] = threadIdx.x;
  // Read before the other warp is known to have written.
  out[threadIdx.x] = cell[63 - threadIdx.x];
}
"""
_BOUNDS = """
extern "C" __global__ void planted(float* out) { out[threadIdx.x + (1 << 20)] = 1; }
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the case, or the planted mistake alone."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.once", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("--lengths", type=int, nargs="+", default=[1, 63, 300], help="snippets of the videos")
    add("--classes", type=int, nargs="+", default=[20, 157], help="C of each run")
    add("--dtype", choices=DTYPES, default="bf16", help="of the logits (default: bf16)")
    add("--main", action="store_true", help="the kernels of a training step alone")
    add("--plant", choices=PLANTS, default="none", help="a mistake (default: none)")
    add("--device", choices=("cuda", "cpu"), default="cuda", help="cpu is to try this script")
    arguments = parser.parse_args(argv)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print(f"PyTorch {torch.__version__} finds no CUDA device")
        return SKIPPED_CODE
    if arguments.plant != "none":
        plant(_RACE if arguments.plant == "race" else _BOUNDS)
        return 0
    if arguments.device == "cuda":
        import wsgn.kernels  # noqa: F401 (registers them)
    for num_classes in arguments.classes:
        shape = Shape(name="once", lengths=tuple(arguments.lengths), num_classes=num_classes)
        batch = make_batch(shape, DTYPES[arguments.dtype], torch.device(arguments.device))
        for gradient in run_case(batch, only_main=arguments.main):
            if not bool(gradient.isfinite().all()):
                print("a gradient is not finite")
                return 1
    print("every kernel ran")
    return 0


def run_case(batch: Batch, *, only_main: bool) -> list[Tensor]:
    """Forward and backward of what training does, and of everything else that has a kernel."""
    x, h, mu, sigma = leaves = [value.detach().requires_grad_() for value in batch.leaves]
    offsets = batch.layout.cu_seqlens
    scores = [video_selection(x, h, offsets, mu, sigma)]
    if not only_main:
        for weight_scale in ("per_frame", "average"):
            found = frame_selection(x, h, offsets, mu, sigma, weight_scale=weight_scale)
            # A gradient of frame scores as well, which has kernels of its own.
            scores.append(found.video_scores + found.scores.sum())
    return [each for y in scores for each in torch.autograd.grad(y.sum(), leaves)]


def plant(source: str) -> None:
    """Launch a wrong kernel, compiled by NVRTC, which comes with PyTorch."""
    kernel = torch.cuda._compile_kernel(source, "planted")
    out = torch.zeros(64, device="cuda")
    kernel(grid=(1, 1, 1), block=(64, 1, 1), args=[out])
    torch.cuda.synchronize()


if __name__ == "__main__":
    sys.exit(main())
