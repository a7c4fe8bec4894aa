"""What every baseline owes to packed training: batches that may be split, gradients, learning."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from packed import (
    CLASSES,
    LENGTHS,
    SIZE,
    losses_of,
    offsets_of,
    packed_features,
    rows_of,
    scored,
    targets_of,
)
from torch import Tensor, nn
from toy import CLASSES as TOY_CLASSES
from toy import SIZE as TOY_SIZE
from toy import ToySource

from wsgn.data.annotations import label_vector
from wsgn.errors import UsageError
from wsgn.methods.basnet import Basnet
from wsgn.methods.co2net import Co2net
from wsgn.methods.config import (
    BasnetConfig,
    Co2netConfig,
    StpnConfig,
    UntrimmedNetsConfig,
    WsgnConfig,
    WtalcConfig,
)
from wsgn.methods.interface import Method, Targets
from wsgn.methods.stpn import Stpn
from wsgn.methods.untrimmednets import UntrimmedNets
from wsgn.methods.wtalc import Wtalc
from wsgn.selection.packing import Packing

Baseline = UntrimmedNets | Stpn | Wtalc | Basnet | Co2net


def _co2net(size: int, classes: int) -> Co2net:
    """Without dropout; the first stream is the smaller one."""
    config = Co2netConfig(dropout=0.0, attention_size=16, first_stream_size=size // 2 - 1)
    method = Co2net(config, size, classes)
    for module in method.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return method


BUILDERS: dict[str, Callable[[int, int], Baseline]] = {
    "untrimmednets": lambda size, classes: UntrimmedNets(UntrimmedNetsConfig(), size, classes),
    "stpn": lambda size, classes: Stpn(StpnConfig(), size, classes),
    # Dropout draws anew in every call, which no two splits could share.
    "wtalc": lambda size, classes: Wtalc(
        WtalcConfig(dropout=0.0, coactivity_weight=0.0), size, classes
    ),
    "wtalc by sigmoids, linear": lambda size, classes: Wtalc(
        WtalcConfig(dropout=0.0, coactivity_weight=0.0, loss="sigmoid", hidden_layer=False),
        size,
        classes,
    ),
    "untrimmednets, soft gate, hidden": lambda size, classes: UntrimmedNets(
        UntrimmedNetsConfig(gate="soft", hidden_layer=True), size, classes
    ),
    "basnet": lambda size, classes: Basnet(
        BasnetConfig(dropout=0.0, attention_size=16), size, classes
    ),
    "co2net": _co2net,
    "wtalc with co-activity": lambda size, classes: Wtalc(
        WtalcConfig(dropout=0.0, coactivity_weight=0.5), size, classes
    ),
}
every_baseline = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS.keys())
Build = Callable[[int, int], Baseline]


def gradients(module: nn.Module) -> list[Tensor]:
    found = []
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        found.append(parameter.grad.clone())
        parameter.grad = None
    return found


@every_baseline
def test_it_is_a_method(build: Build) -> None:
    method: Method = build(SIZE, CLASSES)
    features = packed_features().float()
    heads = method.heads(features)
    assert heads.selection_logits.shape == (sum(LENGTHS), CLASSES)
    # A background class may stand behind the others.
    assert heads.class_logits.shape[0] == sum(LENGTHS)
    assert heads.class_logits.shape[1] >= CLASSES
    scores, video_scores = scored(method, heads)
    assert scores.shape == (sum(LENGTHS), CLASSES)
    assert video_scores.shape == (len(LENGTHS), CLASSES)
    assert scores.min() >= 0
    assert video_scores.min() >= 0


@every_baseline
def test_a_packed_batch_gives_what_each_video_gives_alone(build: Build) -> None:
    method = build(SIZE, CLASSES).double()
    features = packed_features()
    heads, losses = losses_of(method, features)
    scores, video_scores = scored(method, heads)
    for video in range(len(LENGTHS)):
        rows = rows_of(video)
        alone = method.heads(features[rows])
        offsets = offsets_of((video,))
        scores_alone, (video_scores_alone,) = scored(method, alone, offsets)
        np.testing.assert_allclose(scores_alone, scores[rows])
        np.testing.assert_allclose(video_scores_alone, video_scores[video])
        lonely = method.losses(alone, offsets, targets_of((video,), ()))
        torch.testing.assert_close(lonely.per_video[0], losses.per_video[video])


@every_baseline
def test_gradients_of_single_videos_add_up_to_those_of_the_batch(build: Build) -> None:
    method = build(SIZE, CLASSES).double()
    features = packed_features()
    _, losses = losses_of(method, features)
    losses.per_video.sum().backward()
    whole = gradients(method)
    assert all(gradient.abs().max() > 0 for gradient in whole)
    for video in range(len(LENGTHS)):
        heads = method.heads(features[rows_of(video)])
        offsets = offsets_of((video,))
        method.losses(heads, offsets, targets_of((video,), ())).per_video.sum().backward()
    for together, apart in zip(whole, gradients(method), strict=True):
        torch.testing.assert_close(apart, together)


def test_gradients_of_pairs_add_up_too() -> None:
    method = BUILDERS["wtalc with co-activity"](SIZE, CLASSES).double()
    features = packed_features()
    _, losses = losses_of(method, features)
    losses.per_pair.sum().backward()
    whole = [p.grad.clone() for p in method.parameters() if p.grad is not None]
    method.zero_grad()
    for pair in ((0, 2), (4, 2), (0, 5)):
        heads = method.heads(torch.cat([features[rows_of(video)] for video in pair]))
        apart = method.losses(heads, offsets_of(pair), targets_of(pair, ((0, 1),)))
        apart.per_pair.sum().backward()
    # The classifier's bias shifts all attention logits alike, so that it has no part in this.
    assert len(whole) == 4
    for together, parameter in zip(whole, method.parameters(), strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, together)


@every_baseline
def test_extreme_logits_stay_finite(build: Build) -> None:
    method = build(SIZE, CLASSES)
    _, losses = losses_of(method, packed_features().float() * 1e4)
    losses.per_video.sum().backward()
    assert torch.isfinite(losses.per_video).all()
    assert all(torch.isfinite(gradient).all() for gradient in gradients(method))


@every_baseline
def test_half_precision_heads_have_losses_in_single(build: Build) -> None:
    method = build(SIZE, CLASSES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        heads = method.heads(packed_features().float())
        losses = method.losses(heads, offsets_of(), targets_of())
    assert heads.class_logits.dtype == torch.bfloat16
    assert losses.per_video.dtype.itemsize >= 4


def packed_toys(num_videos: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features (N, D), offsets, labels (B, C), and where each video's action is (N,)."""
    source = ToySource(num_videos, seed)
    features = [torch.as_tensor(source.load(index).inputs) for index in range(num_videos)]
    inside = []
    for video, snippets in zip(source.videos, features, strict=True):
        # The first of 8 snippets of 0.4 s.
        first = round((video.segments[0][1] - 0.2) / 0.4)
        inside.append(torch.isin(torch.arange(len(snippets)), torch.arange(first, first + 8)))
    lengths = torch.tensor([len(snippets) for snippets in features])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    labels = torch.stack(
        [torch.as_tensor(label_vector(v.labels, TOY_CLASSES)) for v in source.videos]
    )
    return torch.cat(features), offsets, labels.float(), torch.cat(inside)


@every_baseline
def test_it_learns_where_the_actions_are(build: Build) -> None:
    torch.manual_seed(0)
    features, offsets, labels, _ = packed_toys(180, seed=0)
    # Every third video shows the same class.
    targets = Targets(labels=labels, pairs=torch.tensor([[i, i + 3] for i in range(6)]))
    method = build(TOY_SIZE, len(TOY_CLASSES))
    optimizer = torch.optim.Adam(method.parameters(), lr=2e-2)
    for _ in range(100):
        losses = method.losses(method.heads(features), offsets, targets)
        loss = losses.per_video.mean() + losses.per_pair.sum() / max(1, len(losses.per_pair))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    features, offsets, labels, inside = packed_toys(30, seed=1)
    with torch.no_grad():
        heads = method.heads(features)
        scores, video_scores = map(torch.from_numpy, scored(method, heads, offsets))
    assert (video_scores.argmax(dim=1) == labels.argmax(dim=1)).float().mean() > 0.8
    column = Packing(offsets).spread(labels).argmax(dim=1)
    curve = scores.gather(1, column[:, None])[:, 0]
    # The chance that a snippet of the action scores higher than one outside; 0.5 knows nothing.
    difference = curve[inside][:, None] - curve[~inside][None, :]
    assert (difference.sign().mean() + 1) / 2 > 0.7


def test_wtalc_drops_parts_of_its_hidden_layer_in_training_only() -> None:
    method = Wtalc(WtalcConfig(dropout=0.5), SIZE, CLASSES).double()
    features = packed_features()
    assert not torch.equal(method.heads(features).hidden, method.heads(features).hidden)
    method.eval()
    assert torch.equal(method.heads(features).hidden, method.heads(features).hidden)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="attention_threshold must not be negative"):
        UntrimmedNetsConfig(attention_threshold=-0.1)
    with pytest.raises(UsageError, match="attention_threshold must be positive"):
        UntrimmedNetsConfig(attention_threshold=0.0, gate="soft")
    with pytest.raises(UsageError, match="components must be out of"):
        WsgnConfig(components=("attention",))
    with pytest.raises(UsageError, match="sparsity_weight must not be negative"):
        StpnConfig(sparsity_weight=-1.0)
    with pytest.raises(UsageError, match="attention_size must be at least 1"):
        StpnConfig(attention_size=0)
    with pytest.raises(UsageError, match="snippets_per_pick must be at least 1"):
        WtalcConfig(snippets_per_pick=0)
    with pytest.raises(UsageError, match="coactivity_weight"):
        WtalcConfig(coactivity_weight=1.0)
    with pytest.raises(UsageError, match="dropout"):
        WtalcConfig(dropout=1.0)
    with pytest.raises(UsageError, match="loss must be one of softmax, sigmoid"):
        WtalcConfig(loss="hinge")
    with pytest.raises(UsageError, match="gate must be one of hard, soft"):
        UntrimmedNetsConfig(gate="open")
    with pytest.raises(UsageError, match="initial_attention_logit must be a number"):
        StpnConfig(initial_attention_logit=float("nan"))
    with pytest.raises(UsageError, match="the first cannot have 6 of the features' 6 channels"):
        Co2net(Co2netConfig(first_stream_size=6), 6, 3)
