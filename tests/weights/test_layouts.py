"""Weights in each published layout convert, come back, and go into the networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from published_states import i3d_state
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from wsgn.backbones.build import build_backbone
from wsgn.backbones.config import I3dConfig, ResNetConfig
from wsgn.errors import InputError
from wsgn.weights.convert import check_weights, convert_weights
from wsgn.weights.converted import load_backbone_weights, read_weights

I3D_LAYOUTS = ("pytorch-i3d", "kinetics-i3d-pytorch")


def resnet_state(depth: int) -> dict[str, Tensor]:
    """torchvision's names are this network's own; tests/backbones holds them against the paper."""
    torch.manual_seed(depth)
    return build_backbone(ResNetConfig(depth=depth, num_logits=1000), 1).state_dict()


def converted(state: object, folder: Path, **settings: bool) -> Path:
    torch.save(state, folder / "weights.pt", **settings)
    output = folder / "converted.safetensors"
    convert_weights(check_weights(folder / "weights.pt"), output)
    return output


@pytest.mark.parametrize("layout", I3D_LAYOUTS)
@pytest.mark.parametrize(("channels", "num_classes"), [(3, 400), (2, 157)])
def test_i3d_converts_and_comes_back(
    tmp_path: Path, layout: str, channels: int, num_classes: int
) -> None:
    state = i3d_state(layout, channels=channels, num_classes=num_classes)
    # The published files are older than today's container of torch.save.
    torch.save(state, tmp_path / "weights.pt", _use_new_zipfile_serialization=channels == 3)
    checked = check_weights(tmp_path / "weights.pt")
    assert checked.origin.layout == layout
    stream = "rgb" if channels == 3 else "flow"
    assert checked.network.config == I3dConfig(stream=stream, num_logits=num_classes)
    back = tmp_path / "back.safetensors"
    convert_weights(checked, back, layout=layout)
    tensors = load_file(back)
    counters = {name for name in tensors if name.endswith("num_batches_tracked")}
    assert tensors.keys() - counters == state.keys()
    assert all(torch.equal(tensors[name], value) for name, value in state.items())


@pytest.mark.parametrize("layout", I3D_LAYOUTS)
def test_i3d_puts_each_weight_in_its_place(tmp_path: Path, layout: str) -> None:
    state = i3d_state(layout)
    network = build_backbone(I3dConfig(), 16)
    load_backbone_weights(network, converted(state, tmp_path))
    block, branch, norm = ("Mixed_4e", "b1b", "bn") if layout == I3D_LAYOUTS[0] else (
        "mixed_4e",
        "branch_1.1",
        "batch3d",
    )  # fmt: skip
    unit = network.layers["Mixed_4e"].branch_1[1]
    assert torch.equal(unit.conv.weight, state[f"{block}.{branch}.conv3d.weight"])
    assert torch.equal(unit.norm.running_var, state[f"{block}.{branch}.{norm}.running_var"])


@pytest.mark.parametrize("depth", [18, 34])
def test_resnet_converts_and_loads(tmp_path: Path, depth: int) -> None:
    state = resnet_state(depth)
    network = build_backbone(ResNetConfig(depth=depth), 1)
    load_backbone_weights(network, converted(state, tmp_path))
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_wrappers_of_training_scripts_are_seen_through(tmp_path: Path) -> None:
    state = resnet_state(18)
    wrapped = {"epoch": 3, "state_dict": {f"module.{n}": value for n, value in state.items()}}
    assert torch.equal(read_weights(converted(wrapped, tmp_path)).tensors["conv1.weight"],
                       state["conv1.weight"])  # fmt: skip


def test_the_file_says_where_it_came_from(tmp_path: Path) -> None:
    output = converted(resnet_state(18), tmp_path)
    with safe_open(output, framework="pt") as file:
        header = json.loads(file.metadata()["wsgn.weights"])
    assert header["backbone"]["depth"] == 18
    assert header["origin"]["file_name"] == "weights.pt"
    assert header["origin"]["layout"] == "torchvision"


def test_old_files_without_counters_load(tmp_path: Path) -> None:
    state = resnet_state(18)
    old = {name: value for name, value in state.items() if "num_batches" not in name}
    tensors = read_weights(converted(old, tmp_path)).tensors
    assert tensors.keys() == state.keys()
    assert int(tensors["bn1.num_batches_tracked"]) == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"layer2.0.conv1.weight": None}, "lacks 'layer2.0.conv1.weight'"),
        ({"layer2.0.conv1.weight": torch.zeros(3)}, r"has the shape \(3,\), not"),
        ({"extra.weight": torch.zeros(3)}, "1 entries too many, such as 'extra.weight'"),
        ({"bn1.bias": torch.full((64,), torch.nan)}, "'bn1.bias' that are not finite"),
        ({"layer1.0.conv1.weight": None}, "no network that is known here"),
        ({"epoch": 4}, "no table of named tensors"),
    ],
)
def test_a_wrong_state_is_refused(tmp_path: Path, change: dict, sentence: str) -> None:
    state = {**resnet_state(18), **change}
    torch.save({n: v for n, v in state.items() if v is not None}, tmp_path / "weights.pt")
    with pytest.raises(InputError, match=sentence):
        check_weights(tmp_path / "weights.pt")


def test_weights_of_another_network_are_not_loaded(tmp_path: Path) -> None:
    output = converted(resnet_state(18), tmp_path)
    for config in (ResNetConfig(depth=34), ResNetConfig(depth=18, num_logits=5), I3dConfig()):
        with pytest.raises(InputError, match="resnet18 with 1000 classes, which do not fit"):
            load_backbone_weights(build_backbone(config, 1), output)


def test_published_files_are_not_loaded_unconverted(tmp_path: Path) -> None:
    torch.save(resnet_state(18), tmp_path / "weights.pt")
    with pytest.raises(InputError, match="wsgn-weights convert"):
        read_weights(tmp_path / "weights.pt")
