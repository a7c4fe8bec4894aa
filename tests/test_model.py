"""The network: initialisation, the naive model, packing and the settled points."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from toy import CLASSES, SIZE, feature_model, frame_model

from wsgn.errors import UsageError
from wsgn.manifest import MultiThresholdRule
from wsgn.methods.interface import Targets
from wsgn.methods.losses import normalised_labels, score_losses
from wsgn.methods.wsgn import Wsgn
from wsgn.model import WeakDetector


def test_heads_are_two_separate_mlps_with_xavier_weights_and_zero_biases() -> None:
    model = WeakDetector(feature_model())
    method = model.method
    assert isinstance(method, Wsgn)
    for head in (method.class_head, method.selection_head):
        first, last = head.hidden, head.output
        assert (first.in_features, first.out_features) == (SIZE, SIZE)
        assert (last.in_features, last.out_features) == (SIZE, len(CLASSES))
        for layer in (first, last):
            limit = (6 / (layer.in_features + layer.out_features)) ** 0.5
            assert layer.weight.abs().max() <= limit
            assert layer.weight.abs().max() > 0.8 * limit
            assert layer.bias.abs().max() == 0
    shared = {id(p) for p in method.class_head.parameters()} & {
        id(p) for p in method.selection_head.parameters()
    }
    assert not shared


def test_the_global_gaussian_starts_at_zero_and_one() -> None:
    method = WeakDetector(feature_model()).method
    assert isinstance(method, Wsgn)
    assert method.global_mean.tolist() == [0, 0, 0]
    assert method.global_std.tolist() == [1, 1, 1]


def test_the_global_gaussian_may_start_elsewhere() -> None:
    method = WeakDetector(feature_model(initial_mean=2.0, initial_std=0.5)).method
    assert isinstance(method, Wsgn)
    assert method.global_mean.tolist() == [2, 2, 2]
    assert method.global_std.tolist() == [0.5, 0.5, 0.5]


def test_a_packed_batch_costs_what_each_video_costs_alone() -> None:
    model = WeakDetector(frame_model()).eval()
    frames = torch.randint(0, 256, (9, 8, 16, 24, 3), dtype=torch.uint8)
    labels, pairs = torch.tensor([[0.0, 1, 1], [1, 0, 0]]), torch.zeros(0, 2, dtype=torch.int64)
    together = model.method.losses(
        model(frames), torch.tensor([0, 2, 9]), Targets(labels=labels, pairs=pairs)
    )
    alone = model.method.losses(
        model(frames[2:]), torch.tensor([0, 7]), Targets(labels=labels[1:], pairs=pairs)
    )
    torch.testing.assert_close(together.per_video[1:], alone.per_video)


def test_dropout_acts_in_training_only_and_on_both_heads() -> None:
    model = WeakDetector(feature_model(dropout=0.5))
    features = torch.randn(4, SIZE)
    for same in (False, True):
        first, second = model.train(not same)(features), model(features)
        assert torch.equal(first.class_logits, second.class_logits) == same
        assert torch.equal(first.selection_logits, second.selection_logits) == same


def test_a_still_frame_carries_no_motion() -> None:
    model = WeakDetector(frame_model()).eval()
    frame = torch.randint(0, 256, (1, 1, 16, 24, 3), dtype=torch.uint8)
    backbone = model.backbone
    assert isinstance(backbone, nn.Module)
    still = backbone.motion(frame.expand(1, 8, 16, 24, 3))  # type: ignore[operator,union-attr]
    assert still.abs().max() < 1e-4


def test_score_losses_are_the_binary_cross_entropy_by_hand() -> None:
    scores = torch.tensor([[0.9, 0.2]])
    labels = torch.tensor([[1.0, 0.0]])
    expected = -(torch.log(torch.tensor(0.9)) + torch.log(torch.tensor(0.8))) / 2
    torch.testing.assert_close(score_losses(scores, labels), expected[None])
    # The ends of the logarithm stay finite, and a score over 1 counts as 1.
    ends = score_losses(torch.tensor([[0.0, 1.7]]), torch.tensor([[1.0, 0.0]]))
    assert torch.isfinite(ends).all()


@pytest.mark.parametrize(
    ("distance", "costs"), [(1e-2, 4.60517), (1e-6, 13.81551), (1e-9, 16.11810), (0.0, 16.11810)]
)
def test_a_confident_error_costs_its_logarithm_down_to_a_ten_millionth(
    distance: float, costs: float
) -> None:
    """-ln(distance), and no more than -ln(1e-7) where the score reaches 0 or 1."""
    missed = torch.tensor([[distance]], dtype=torch.float64)
    one, zero = torch.ones_like(missed), torch.zeros_like(missed)
    torch.testing.assert_close(score_losses(missed, one).item(), costs, rtol=1e-6, atol=0)
    torch.testing.assert_close(score_losses(1 - missed, zero).item(), costs, rtol=1e-6, atol=0)


def test_normalised_labels_sum_to_one() -> None:
    labels = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(normalised_labels(labels), torch.tensor([[0.5, 0.5, 0], [0, 0, 0]]))


def test_wrong_configurations_are_refused() -> None:
    with pytest.raises(UsageError, match="either frames or features"):
        feature_model(features=None)
    with pytest.raises(UsageError, match="gaussian"):
        feature_model(components=("gaussian",))
    with pytest.raises(UsageError, match=r"\[0, 1\)"):
        feature_model(dropout=1.0)
    with pytest.raises(UsageError, match="smoothing_seconds must be 0 or more"):
        feature_model(smoothing_seconds=-1.0)
    with pytest.raises(UsageError, match="set smoothing_seconds"):
        feature_model(proposals=MultiThresholdRule(smoothing_snippets=3))
    with pytest.raises(UsageError, match="peak_gate"):
        feature_model(peak_gate=-1.0)


@pytest.mark.parametrize("num_snippets", [1, 10_000])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("standardised", [True, False])
def test_features_are_prepared_for_training_in_one_pass(
    num_snippets: int, dtype: torch.dtype, standardised: bool
) -> None:
    """Block by block: standardised to the bit, a share dropped anywhere, and nothing written on."""
    model = WeakDetector(feature_model(standardise=standardised, dropout=0.3)).train()
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(num_snippets, SIZE, generator=generator).to(dtype)
    expected = features.float()
    if model.standardise is not None:
        model.standardise.mean.normal_()
        model.standardise.deviation.uniform_(0.5, 2)
        expected = model.standardise(expected)
    before = features.clone()
    seen: list[torch.Tensor] = []
    model.method.heads = lambda features: seen.append(features)  # type: ignore[method-assign]
    for dropout in (0.0, 0.3):
        model.dropout.p = dropout
        model(features)
    whole, thinned = seen
    assert whole.dtype == thinned.dtype == torch.float32
    assert torch.equal(whole, expected)
    kept = thinned != 0
    torch.testing.assert_close(thinned[kept], expected[kept] / 0.7)
    if num_snippets > 1:
        # Of 160,000; in each channel and along the batch alike.
        assert kept.float().mean().item() == pytest.approx(0.7, abs=0.01)
        assert kept.float().mean(dim=0).sub(0.7).abs().max() < 0.03
        halves = kept.float().mean(dim=1).view(2, -1).mean(dim=1)
        assert halves.sub(0.7).abs().max() < 0.01
    assert torch.equal(features, before)
    model.eval()
    model(features)
    assert torch.equal(seen[-1], expected)
