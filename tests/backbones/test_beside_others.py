"""The same weights in independent implementations, where those are at hand.

WSGN_PYTORCH_I3D names a checkout of github.com/piergiaj/pytorch-i3d. torchvision is used where it
is installed.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import pytest
import torch

from wsgn.backbones.config import I3dConfig, ResNetConfig, VggConfig
from wsgn.backbones.i3d import I3dBackbone
from wsgn.backbones.resnet import ResNetBackbone
from wsgn.backbones.vgg import VggBackbone
from wsgn.weights.i3d_layouts import PYTORCH_I3D, published_names

CHECKOUT = os.environ.get("WSGN_PYTORCH_I3D")


def random_frames(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="module")
def peer() -> Any:
    if CHECKOUT is None:
        pytest.skip("WSGN_PYTORCH_I3D does not name a checkout of pytorch-i3d")
    sys.path.insert(0, CHECKOUT)
    try:
        peer = importlib.import_module("pytorch_i3d").InceptionI3d(7).eval()
    finally:
        sys.path.remove(CHECKOUT)
    torch.manual_seed(0)
    for name, value in peer.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(0, 0.1)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif name.endswith("conv3d.weight"):
            value.normal_(0, (1 / value[0].numel()) ** 0.5)
    return peer


# 224 x 224 is the published size; the others are odd somewhere.
@pytest.mark.parametrize("size", [(16, 224, 224), (17, 113, 97), (24, 97, 112)], ids=str)
def test_i3d_equals_pytorch_i3d(peer: Any, size: tuple[int, int, int]) -> None:
    network = I3dBackbone(I3dConfig(num_logits=7)).eval()
    state = peer.state_dict()
    network.load_state_dict(
        {own: state[name] for own, name in published_names(PYTORCH_I3D).items()}
    )
    frames = random_frames(1, *size, 3)
    x = frames.permute(0, 4, 1, 2, 3).float() / 255 * 2 - 1
    with torch.inference_mode():
        for name, got in network.end_points(frames).items():
            x = getattr(peer, name)(x)
            torch.testing.assert_close(got, x, atol=1e-4, rtol=0)
        if size == (16, 224, 224):
            pooled = peer.avg_pool(x)
            features = pooled.mean(dim=(2, 3, 4))
            torch.testing.assert_close(network(frames), features, atol=1e-4, rtol=0)
            logits = peer.logits(pooled).mean(dim=(2, 3, 4))
            torch.testing.assert_close(network.logits(frames), logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["resnet34", "vgg16"])
def test_frame_networks_equal_torchvision(name: str) -> None:
    models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")
    torch.manual_seed(0)
    peer = getattr(models, name)(weights=None).eval()
    network: ResNetBackbone | VggBackbone
    if name == "resnet34":
        network = ResNetBackbone(ResNetConfig(num_logits=1000)).eval()
    else:
        network = VggBackbone(VggConfig(num_logits=1000)).eval()
    network.load_state_dict(peer.state_dict())
    frames = random_frames(1, 1, 97, 113, 3)
    x = frames[:, 0].permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (x - mean[:, None, None]) / std[:, None, None]
    with torch.inference_mode():
        torch.testing.assert_close(network.logits(frames), peer(x), atol=1e-4, rtol=0)
