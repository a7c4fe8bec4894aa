"""Weights that fit, weights that do not, and a backbone taken in parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from wsgn.backbones.build import build_backbone
from wsgn.backbones.config import CompactConfig, ResNetConfig
from wsgn.backbones.parts import features_in_parts
from wsgn.checkpoint import Checkpoint, save_checkpoint
from wsgn.config import ModelConfig, TrainConfig
from wsgn.errors import InputError
from wsgn.extraction.choose import weights_sha256
from wsgn.extraction.config import ExtractionConfig, Network
from wsgn.extraction.networks import load_weights, open_networks
from wsgn.manifest import FeatureInput, FrameInput, Sampling
from wsgn.model import WeakDetector
from wsgn.weights.converted import ConvertedWeights, Origin, write_weights

RESNET = ResNetConfig(depth=18)
ORIGIN = Origin(file_name="random", layout="torchvision", sha256="0" * 64)
SAMPLING = Sampling(frame_rate=10.0, snippet_length=4, snippet_stride=4)


def random_network(seed: int, config: ResNetConfig = RESNET) -> nn.Module:
    torch.manual_seed(seed)
    return build_backbone(config, 1)


def converted(path: Path, config: ResNetConfig) -> Path:
    network = random_network(5, config)
    write_weights(
        path, ConvertedWeights(config=config, origin=ORIGIN, tensors=network.state_dict())
    )
    return path


def trained(path: Path, config: ModelConfig) -> Path:
    torch.manual_seed(5)
    save_checkpoint(
        path,
        Checkpoint(
            model=config,
            train=TrainConfig(),
            step=1,
            weights=WeakDetector(config).state_dict(),
            optimizer={},
        ),
    )
    return path


def test_converted_weights_are_loaded_without_their_classifier(tmp_path: Path) -> None:
    config = replace(RESNET, num_logits=7)
    path = converted(tmp_path / "w.safetensors", config)
    network = random_network(1)
    load_weights(network, path)
    expected = random_network(5, config).state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_the_backbone_of_a_trained_model_is_loaded(tmp_path: Path) -> None:
    config = ModelConfig(
        classes=("a", "b"), sampling=SAMPLING, frames=FrameInput(height=32, width=32)
    )
    path = trained(tmp_path / "model.safetensors", config)
    network = build_backbone(CompactConfig(), 4)
    load_weights(network, path)
    torch.manual_seed(5)
    expected = WeakDetector(config).backbone.state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(value, expected[name]), name
    with pytest.raises(InputError, match="another backbone than"):
        load_weights(build_backbone(CompactConfig(), 8), path)


def test_weights_of_something_else_are_refused(tmp_path: Path) -> None:
    features = ModelConfig(classes=("a",), sampling=SAMPLING, features=FeatureInput(size=8))
    on_features = trained(tmp_path / "f.safetensors", features)
    with pytest.raises(InputError, match="trained on features"):
        load_weights(random_network(1), on_features)
    with pytest.raises(InputError, match="do not fit"):
        load_weights(
            build_backbone(ResNetConfig(depth=34), 1), converted(tmp_path / "w.safetensors", RESNET)
        )
    (tmp_path / "words").write_text("no weights")
    with pytest.raises(InputError, match="not a safetensors file"):
        load_weights(random_network(1), tmp_path / "words")
    with pytest.raises(InputError, match="cannot be read"):
        weights_sha256(tmp_path / "none")


def test_the_config_knows_the_weights(tmp_path: Path) -> None:
    path = converted(tmp_path / "w.safetensors", RESNET)
    # The hash of b"abc" is a published test vector (FIPS 180-4).
    (tmp_path / "abc").write_bytes(b"abc")
    assert weights_sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")
    network = Network(name="resnet18", config=RESNET, weights_sha256=weights_sha256(path))
    config = ExtractionConfig(networks=(network,), short_side=48, crop_size=32)
    assert weights_sha256(path) in config.source
    open_networks(config, [path], "cpu")


class Doubtful(nn.Module):
    """A backbone with dropout, whose draws must be the same on the way back."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(12, 6)
        self.dropout = nn.Dropout(0.5)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.layer(frames.flatten(1).float()))


class Small(nn.Module):
    """A backbone with batch normalisation."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 6, 3),
            nn.BatchNorm2d(6),
        )

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        images = frames[:, 0].permute(0, 3, 1, 2) / 255
        return self.layers(images).amax(dim=(2, 3))


def assert_same_gradients(ours: nn.Module, theirs: nn.Module) -> None:
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("part", [1, 2, 3, 6, 7, 100, 0])
def test_parts_change_neither_features_nor_gradients(part: int) -> None:
    frames = torch.randint(0, 256, (7, 1, 16, 16, 3), dtype=torch.uint8)
    whole, parted = Small().eval(), Small().eval()
    features = features_in_parts(parted, frames, part)
    expected = whole(frames)
    torch.testing.assert_close(features, expected)
    expected.square().sum().backward()
    features.square().sum().backward()
    assert_same_gradients(parted, whole)


def test_in_training_each_part_counts_once() -> None:
    frames = torch.randint(0, 256, (6, 1, 16, 16, 3), dtype=torch.uint8)
    plain, parted = Small().train(), Small().train()
    expected = torch.cat([plain(part) for part in frames.split(3)])
    expected.square().sum().backward()
    features_in_parts(parted, frames, 3).square().sum().backward()
    assert_same_gradients(parted, plain)
    for (name, ours), theirs in zip(parted.named_buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=name)


def test_dropout_draws_the_same_on_the_way_back() -> None:
    frames = torch.ones(8, 1, 2, 2, 3)
    network = Doubtful().train()
    features = features_in_parts(network, frames, 2)
    features.sum().backward()
    # The gradient of a bias is the sum of its units' factors: 2 where kept, 0 where dropped.
    kept = (features != 0).float().sum(dim=0)
    torch.testing.assert_close(network.layer.bias.grad, 2 * kept)
