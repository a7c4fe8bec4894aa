"""The running mean of a GPU, which looks at no offsets, beside that of the CPU."""

from __future__ import annotations

import pytest
import torch

from wsgn.methods.pooling import _shifted_mean, running_mean

LENGTHS = (1, 2, 9, 30, 3)


@pytest.mark.parametrize("num_snippets", [1, 3, 7, 33, 101])
def test_shifts_of_the_whole_batch_average_within_each_video(num_snippets: int) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(sum(LENGTHS), 4, generator=generator, dtype=torch.float64)
    offsets = torch.tensor([0, *LENGTHS]).cumsum(0)
    results = []
    for mean in (running_mean, _shifted_mean):
        leaf = values.clone().requires_grad_()
        result = mean(leaf, offsets, num_snippets)
        results += [result, *torch.autograd.grad(result.square().sum(), leaf)]
    torch.testing.assert_close(results[2:], results[:2], rtol=1e-12, atol=1e-13)


def test_what_is_not_finite_stays_in_its_video() -> None:
    values = torch.zeros(6, 1)
    values[2] = torch.nan
    result = _shifted_mean(values, torch.tensor([0, 3, 6]), 5)
    assert result.isnan().flatten().tolist() == [True, True, True, False, False, False]
