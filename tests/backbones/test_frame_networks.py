"""ResNet and VGG against the published structure, written out in float64 by the weights' names."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from wsgn.backbones.build import build_backbone
from wsgn.backbones.config import BackboneConfig, ResNetConfig, VggConfig
from wsgn.backbones.resnet import ResNetBackbone
from wsgn.backbones.vgg import VggBackbone
from wsgn.errors import UsageError

State = dict[str, Tensor]
MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64)
STD = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)


def images(frames: Tensor) -> Tensor:
    """All frames as ImageNet's networks see them."""
    return ((frames.double() / 255 - MEAN) / STD).flatten(0, 1).permute(0, 3, 1, 2)


def normalised(x: Tensor, state: State, name: str) -> Tensor:
    mean, variance, scale, offset = (
        state[f"{name}.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(variance + 1e-5) * scale + offset


def plain_resnet(frames: Tensor, state: State, blocks: tuple[int, ...]) -> Tensor:
    """Features (N, 512) by table 1 of the paper, with shortcuts of type B."""
    x = F.conv2d(images(frames), state["conv1.weight"], stride=2, padding=3)
    x = F.max_pool2d(normalised(x, state, "bn1").clamp(min=0), 3, 2, 1)
    for layer, count in enumerate(blocks, start=1):
        for block in range(count):
            name = f"layer{layer}.{block}"
            stride = 2 if layer > 1 and block == 0 else 1
            y = F.conv2d(x, state[f"{name}.conv1.weight"], stride=stride, padding=1)
            y = normalised(y, state, f"{name}.bn1").clamp(min=0)
            y = F.conv2d(y, state[f"{name}.conv2.weight"], padding=1)
            y = normalised(y, state, f"{name}.bn2")
            if stride == 2:
                x = F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=2)
                x = normalised(x, state, f"{name}.downsample.1")
            x = (x + y).clamp(min=0)
    return x.mean(dim=(2, 3)).view(*frames.shape[:2], 512).mean(dim=1)


def plain_vgg(frames: Tensor, state: State) -> Tensor:
    """fc7 (N, 4096) by table 1 of the paper, column D."""
    x, index = images(frames), 0
    for convolutions in (2, 2, 3, 3, 3):
        for _ in range(convolutions):
            weight, bias = state[f"features.{index}.weight"], state[f"features.{index}.bias"]
            x = F.conv2d(x, weight, bias, padding=1).clamp(min=0)
            index += 2
        x = F.max_pool2d(x, 2)
        index += 1
    # A map of one pixel fills all 7 x 7 places.
    x = x.expand(-1, -1, 7, 7).flatten(1)
    for name in ("classifier.0", "classifier.3"):
        x = (x @ state[f"{name}.weight"].T + state[f"{name}.bias"]).clamp(min=0)
    return x.view(*frames.shape[:2], 4096).mean(dim=1)


def small_frames(height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 2, height, width, 3), generator=generator, dtype=torch.uint8)


def double(state: State) -> State:
    return {name: value.double() for name, value in state.items()}


@pytest.fixture(scope="module")
def vgg() -> VggBackbone:
    torch.manual_seed(0)
    vgg = VggBackbone(VggConfig()).eval()
    with torch.no_grad():
        for name, value in vgg.named_parameters():
            if name.startswith("features") and name.endswith("weight"):
                # The default start lets the signal die in so deep a network.
                value.mul_(6**0.5)
    return vgg


# The numbers of parameters that torchvision states for its weights.
@pytest.mark.parametrize(
    ("config", "count"),
    [
        (ResNetConfig(depth=18, num_logits=1000), 11_689_512),
        (ResNetConfig(depth=34, num_logits=1000), 21_797_672),
        (VggConfig(num_logits=1000), 138_357_544),
    ],
)
def test_as_many_parameters_as_published(config: BackboneConfig, count: int) -> None:
    with torch.device("meta"):
        network = build_backbone(config, 1)
    assert sum(value.numel() for value in network.parameters()) == count


@pytest.mark.parametrize(("depth", "blocks"), [(18, (2, 2, 2, 2)), (34, (3, 4, 6, 3))])
def test_resnet_equals_the_published_structure(depth: int, blocks: tuple[int, ...]) -> None:
    torch.manual_seed(depth)
    network = ResNetBackbone(ResNetConfig(depth=depth)).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 0.8)
    frames = small_frames(41, 50)
    with torch.inference_mode():
        expected = plain_resnet(frames, double(network.state_dict()), blocks)
        features = network(frames)
    assert float(expected.mean()) > 0.01
    torch.testing.assert_close(features.double(), expected, atol=1e-5, rtol=1e-5)


def test_vgg_equals_the_published_structure(vgg: VggBackbone) -> None:
    frames = small_frames(32, 45)
    with torch.inference_mode():
        expected = plain_vgg(frames, double(vgg.state_dict()))
        features = vgg(frames)
    assert float(expected.mean()) > 0.001
    torch.testing.assert_close(features.double(), expected, atol=1e-5, rtol=1e-5)


def test_a_frame_too_small_for_vgg_is_refused(vgg: VggBackbone) -> None:
    with pytest.raises(UsageError, match="at least 32 pixels a side, got 31 x 40"):
        vgg(small_frames(31, 40))


def test_logits_are_linear_in_the_features() -> None:
    network = ResNetBackbone(ResNetConfig(depth=18, num_logits=4)).eval()
    frames = small_frames(20, 20)
    with torch.inference_mode():
        features, logits = network(frames), network.logits(frames)
    weight, bias = (value.detach() for value in network.fc.parameters())
    torch.testing.assert_close(logits, features @ weight.T + bias)


def test_frozen_stages_keep_weights_and_statistics() -> None:
    network = ResNetBackbone(ResNetConfig(depth=18, frozen_stages=4)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(small_frames(20, 20)).sum().backward()
    trained = {name for name, value in network.named_parameters() if value.grad is not None}
    moved = {n for n, v in network.state_dict().items() if not torch.equal(v, before[n])}
    assert {name.split(".")[0] for name in trained | moved} == {"layer4"}
