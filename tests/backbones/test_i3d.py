"""I3D against what was published about it, and against its equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from wsgn.backbones.build import build_backbone
from wsgn.backbones.config import I3dConfig
from wsgn.backbones.i3d import I3dBackbone, Unit3d
from wsgn.errors import UsageError

# The maps of the published network for 16 frames of 224 x 224 (C, T, H, W).
MAPS = {
    "Conv3d_1a_7x7": (64, 8, 112, 112),
    "MaxPool3d_2a_3x3": (64, 8, 56, 56),
    "Conv3d_2b_1x1": (64, 8, 56, 56),
    "Conv3d_2c_3x3": (192, 8, 56, 56),
    "MaxPool3d_3a_3x3": (192, 8, 28, 28),
    "Mixed_3b": (256, 8, 28, 28),
    "Mixed_3c": (480, 8, 28, 28),
    "MaxPool3d_4a_3x3": (480, 4, 14, 14),
    "Mixed_4b": (512, 4, 14, 14),
    "Mixed_4c": (512, 4, 14, 14),
    "Mixed_4d": (512, 4, 14, 14),
    "Mixed_4e": (528, 4, 14, 14),
    "Mixed_4f": (832, 4, 14, 14),
    "MaxPool3d_5a_2x2": (832, 2, 7, 7),
    "Mixed_5b": (832, 2, 7, 7),
    "Mixed_5c": (1024, 2, 7, 7),
}


def small_frames(channels: int = 3, length: int = 4, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (2, length, 20, 17, channels)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="module")
def network() -> I3dBackbone:
    torch.manual_seed(0)
    network = I3dBackbone(I3dConfig(num_logits=5)).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.05, 0.2)
    return network


def test_maps_have_the_published_shapes() -> None:
    with torch.device("meta"):
        network = build_backbone(I3dConfig(), 16)
        frames = torch.zeros(1, 16, 224, 224, 3, dtype=torch.uint8)
        maps = network.end_points(frames)
    assert {name: tuple(x.shape[1:]) for name, x in maps.items()} == MAPS


# Bytes of float32 in model.ckpt.data-00000-of-00001 of kinetics-i3d's rgb_imagenet and
# flow_imagenet: kernels, betas, moving means and variances, and the classifier of 400 classes.
@pytest.mark.parametrize(("stream", "size_bytes"), [("rgb", 50_818_176), ("flow", 50_730_368)])
def test_as_many_numbers_as_in_the_published_checkpoint(stream: str, size_bytes: int) -> None:
    with torch.device("meta"):
        state = build_backbone(I3dConfig(stream=stream, num_logits=400), 16).state_dict()
    # The published normalisation has no scale, and does not count batches.
    absent = ("norm.weight", "num_batches_tracked")
    count = sum(value.numel() for name, value in state.items() if not name.endswith(absent))
    assert 4 * count == size_bytes


def test_unit_is_convolution_normalisation_and_relu() -> None:
    torch.manual_seed(1)
    unit = Unit3d(3, 4, (1, 1, 1)).double().eval()
    state = unit.state_dict()
    for name in ("norm.running_mean", "norm.bias"):
        state[name].normal_()
    for name in ("norm.running_var", "norm.weight"):
        state[name].uniform_(0.001, 0.01)
    x = torch.randn(2, 3, 2, 3, 4, dtype=torch.float64)
    y = np.einsum("oi,nithw->nothw", state["conv.weight"].numpy()[..., 0, 0, 0], x.numpy())
    mean, variance, scale, offset = (
        state[f"norm.{name}"].numpy()[:, None, None, None]
        for name in ("running_mean", "running_var", "weight", "bias")
    )
    # The variances are small, so that another epsilon than the published 1e-3 shows.
    expected = np.maximum((y - mean) / np.sqrt(variance + 1e-3) * scale + offset, 0)
    np.testing.assert_allclose(unit(x).detach().numpy(), expected, atol=1e-12)


def test_running_statistics_keep_999_parts_of_1000() -> None:
    unit = Unit3d(1, 1, (1, 1, 1)).train()
    with torch.no_grad():
        unit.conv.weight.fill_(1.0)
    unit(torch.full((1, 1, 2, 2, 2), 5.0))
    assert float(unit.norm.running_mean) == pytest.approx(0.001 * 5.0)


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_bytes_become_minus_one_to_one(stream: str) -> None:
    pixels = I3dBackbone(I3dConfig(stream=stream)).pixels
    channels = 3 if stream == "rgb" else 2
    frames = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1, 1)
    x = pixels(frames.expand(1, 3, 1, 1, channels))
    assert x.shape == (1, channels, 3, 1, 1)
    torch.testing.assert_close(x[0, 0, :, 0, 0], torch.tensor([-1.0, -0.6, 1.0]))


def test_flow_in_pixels_is_clipped_at_20() -> None:
    pixels = I3dBackbone(I3dConfig(stream="flow")).pixels
    flow = torch.tensor([-50.0, -20.0, 0.0, 5.0, 31.0]).view(1, 5, 1, 1, 1).expand(1, 5, 1, 1, 2)
    torch.testing.assert_close(
        pixels(flow)[0, 1, :, 0, 0], torch.tensor([-1.0, -1.0, 0.0, 0.25, 1.0])
    )


def test_features_are_the_mean_of_the_last_map(network: I3dBackbone) -> None:
    frames = small_frames()
    with torch.inference_mode():
        last = network.end_points(frames)["Mixed_5c"]
        features = network(frames)
    # So small a map is shorter than the published window, which then takes all of it.
    assert last.shape == (2, 1024, 1, 1, 1)
    assert float(last.std()) > 0.01
    torch.testing.assert_close(features, last.mean(dim=(2, 3, 4)))


def test_features_of_long_snippets_average_overlapping_windows(network: I3dBackbone) -> None:
    with torch.inference_mode():
        frames = small_frames(length=33)
        last = network.end_points(frames)["Mixed_5c"].double().numpy()
        features = network(frames).numpy()
    assert last.shape[2] == 5
    expected = np.mean([last[:, :, t : t + 2].mean(axis=(2, 3, 4)) for t in range(4)], axis=0)
    np.testing.assert_allclose(features, expected, atol=1e-5)


def test_logits_are_linear_in_the_features(network: I3dBackbone) -> None:
    frames = small_frames()
    with torch.inference_mode():
        features, logits = network(frames), network.logits(frames)
    weight = network.classifier.weight.detach()[:, :, 0, 0, 0]
    torch.testing.assert_close(logits, features @ weight.T + network.classifier.bias.detach())


def test_frozen_stages_keep_weights_and_statistics() -> None:
    network = I3dBackbone(I3dConfig(frozen_stages=3)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(small_frames()).sum().backward()
    trained = {name for name, value in network.named_parameters() if value.grad is not None}
    moved = {n for n, v in network.state_dict().items() if not torch.equal(v, before[n])}
    assert {name.split(".")[1][:7] for name in trained | moved} == {"Mixed_4", "Mixed_5"}


def test_frames_of_other_channels_are_refused(network: I3dBackbone) -> None:
    with pytest.raises(UsageError, match=r"takes frames \(N, L, H, W, 3\)"):
        network(small_frames(channels=2))


@pytest.mark.parametrize(
    "wrong", [{"stream": "depth"}, {"frozen_stages": 6}, {"num_logits": -1}], ids=str
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        I3dConfig(**wrong)
