"""The forward in one kernel, as a TensorRT plugin launches it, against the formulas in float64."""

from __future__ import annotations

import pytest
import torch
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
    ("num_classes", "components", "scale", "activation", "shift"),
    [
        (20, COMPONENTS, "max_one", "softmax", 0.0),
        (40, COMPONENTS, "mean_one", "softmax", 100.0),
        (7, ("temporal_softmax",), "sum_one", "sigmoid", 100.0),
        (5, ("local_gaussian",), "max_one", "sigmoid", 0.0),
        (33, ("global_gaussian",), "max_one", "softmax", 0.0),
    ],
)
def test_scores_are_those_of_the_paper(
    length: int,
    num_classes: int,
    components: tuple[str, ...],
    scale: str,
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
    options = Options(num_classes, *used, scale, activation, EPSILON)
    got = run(options, *(tensor.to(DEVICE) for tensor in (x, h, mu, sigma)))
    wide = [tensor.double() for tensor in (x, h, mu, sigma)]
    wanted = torch.stack(
        [
            one_video(a, b, wide[2], wide[3], components, scale, activation, EPSILON)
            for a, b in zip(wide[0], wide[1], strict=True)
        ]
    )
    # A rounding of x counts by its size over the spread, which is at least 1 / 2 here.
    growth = max(8.0, 4 * shift)
    allowed = ROUNDINGS * torch.finfo(torch.float32).eps / 2 * growth
    for found, right in zip(got, (wanted, wanted.mean(1)), strict=True):
        assert found.isfinite().all()
        difference = (found.cpu().double() - right).abs().max()
        assert difference <= allowed * right.abs().max()
