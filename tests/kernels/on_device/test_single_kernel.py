"""The forward in one kernel, as a TensorRT plugin launches it, against the formulas in float64."""

from __future__ import annotations

import pytest
import torch
from kernel_cases import formula_of
from kernel_device import DEVICE, ROUNDINGS
from plain_formulas import one_video

from wsgn.kernels.ahead_of_time.plugin_kernel import constants_for
from wsgn.kernels.single_kernel import score_videos
from wsgn.manifest import COMPONENTS
from wsgn.selection.reference import Options

EPSILON = 1e-4


def run(options: Options, x: torch.Tensor, h: torch.Tensor, mu: torch.Tensor, sigma: torch.Tensor):
    """Scores (B, T, C) and video scores (B, C); both were full of NaN."""
    num_videos, length, num_classes = x.shape
    scores = torch.full_like(x, torch.nan)
    video_scores = torch.full((num_videos, num_classes), torch.nan, device=x.device)
    constants = constants_for(options)
    score_videos[(num_videos,)](
        x, h, mu, sigma, length, scores, video_scores, **constants,
        num_warps=constants["WARPS"], enable_fp_fusion=True,
    )  # fmt: skip
    return scores, video_scores


@pytest.mark.parametrize("length", [1, 2, 100])
@pytest.mark.parametrize(
    ("num_classes", "components", "scale", "gate", "activation", "shift"),
    [
        (20, COMPONENTS, "max_one", "none", "softmax", 0.0),
        (40, COMPONENTS, "mean_one", "none", "softmax", 100.0),
        (7, ("temporal_softmax",), "sum_one", "soft", "sigmoid", 100.0),
        (5, ("local_gaussian",), "max_one", "cut", "sigmoid", 0.0),
        (33, ("global_gaussian",), "max_one", "none", "softmax", 0.0),
        (40, COMPONENTS, "average", "product", "softmax", 100.0),
        (5, COMPONENTS, "average", "none", "identity", 0.0),
        (33, ("local_gaussian",), "average", "cut", "sigmoid", 0.0),
        (7, ("global_gaussian", "temporal_softmax"), "average", "soft", "softmax", 0.0),
        (3, ("local_gaussian", "global_gaussian"), "average", "hard", "softmax", 0.0),
    ],
)
def test_scores_are_those_of_the_paper(
    length: int,
    num_classes: int,
    components: tuple[str, ...],
    scale: str,
    gate: str,
    activation: str,
    shift: float,
) -> None:
    generator = torch.Generator().manual_seed(length)
    size = (2, length, num_classes)
    x, h = (2 * torch.randn(size, generator=generator) for _ in range(2))
    x = x + shift
    mu = shift + torch.randn(num_classes, generator=generator)
    sigma = 0.5 + torch.rand(num_classes, generator=generator)
    used = (name in components for name in COMPONENTS)
    weight_scale = "average" if scale == "average" else "per_frame"
    options = Options(
        num_classes, *used, "sum_one" if scale == "average" else scale, activation, EPSILON,
        weight_scale, gate, 0.7,
    )  # fmt: skip
    got = run(options, *(tensor.to(DEVICE) for tensor in (x, h, mu, sigma)))
    wide = [tensor.double() for tensor in (x, h, mu, sigma)]
    wanted = [
        one_video(a, b, wide[2], wide[3], formula_of(options))
        for a, b in zip(wide[0], wide[1], strict=True)
    ]
    # A rounding of x counts by its size over the spread, which is at least 1 / 2 here.
    growth = max(8.0, 4 * shift)
    allowed = ROUNDINGS * torch.finfo(torch.float32).eps / 2 * growth
    for found, right in zip(got, map(torch.stack, zip(*wanted, strict=True)), strict=True):
        assert found.isfinite().all()
        difference = (found.cpu().double() - right).abs().max()
        assert difference <= allowed * right.abs().max()
