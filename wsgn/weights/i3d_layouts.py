"""The names of I3D's weights in the files that are in circulation, and in this project.

| layout | a weight of it |
|---|---|
| wsgn | `layers.Mixed_3b.branch_1.0.conv.weight` |
| pytorch-i3d | `Mixed_3b.b1a.conv3d.weight` |
| kinetics-i3d-pytorch | `mixed_3b.branch_1.0.conv3d.weight` |
| kinetics-i3d (TensorFlow) | `RGB/inception_i3d/Mixed_3b/Branch_1/Conv3d_0a_1x1/conv_3d/w` |

TensorFlow stores kernels as (T, H, W, in, out) and normalises without a scale, which is 1.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wsgn.backbones.i3d import STAGES
from wsgn.errors import InputError

PYTORCH_I3D = "pytorch-i3d"
KINETICS_I3D_PYTORCH = "kinetics-i3d-pytorch"
KINETICS_I3D = "kinetics-i3d"

# Units of a mixed block: here, in pytorch-i3d, and in TensorFlow.
_BRANCHES = (
    ("branch_0", "b0", "Branch_0/Conv3d_0a_1x1"),
    ("branch_1.0", "b1a", "Branch_1/Conv3d_0a_1x1"),
    ("branch_1.1", "b1b", "Branch_1/Conv3d_0b_3x3"),
    ("branch_2.0", "b2a", "Branch_2/Conv3d_0a_1x1"),
    ("branch_2.1", "b2b", "Branch_2/Conv3d_0b_3x3"),
    ("branch_3.1", "b3b", "Branch_3/Conv3d_0b_1x1"),
)
# The one unit whose name in TensorFlow breaks the pattern.
_ODD_NAME = "Mixed_5b/Branch_2/Conv3d_0b_3x3", "Mixed_5b/Branch_2/Conv3d_0a_3x3"
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_TENSORFLOW_NORM = {
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
_CLASSIFIER = {
    PYTORCH_I3D: "logits.conv3d",
    KINETICS_I3D_PYTORCH: "conv3d_0c_1x1.conv3d",
    KINETICS_I3D: "Logits/Conv3d_0c_1x1/conv_3d",
}


def published_names(layout: str) -> dict[str, str]:
    """Every name of this project's I3D, and the one that it has in a PyTorch layout."""
    conv, norm = "conv3d", "bn" if layout == PYTORCH_I3D else "batch3d"
    names = {}
    for unit, pytorch_i3d, _ in _units():
        other = pytorch_i3d
        if layout == KINETICS_I3D_PYTORCH:
            other = unit[0].lower() + unit[1:]
        names[f"layers.{unit}.conv.weight"] = f"{other}.{conv}.weight"
        names |= {f"layers.{unit}.norm.{part}": f"{other}.{norm}.{part}" for part in _NORM}
    for part in ("weight", "bias"):
        names[f"classifier.{part}"] = f"{_CLASSIFIER[layout]}.{part}"
    return names


def tensorflow_names() -> dict[str, str]:
    """Every stored name of this project's I3D, and the one in TensorFlow, less its scope."""
    names = {}
    for unit, _, tensorflow in _units():
        names[f"layers.{unit}.conv.weight"] = f"{tensorflow}/conv_3d/w"
        for part, other in _TENSORFLOW_NORM.items():
            names[f"layers.{unit}.norm.{part}"] = f"{tensorflow}/batch_norm/{other}"
    names["classifier.weight"] = _CLASSIFIER[KINETICS_I3D] + "/w"
    names["classifier.bias"] = _CLASSIFIER[KINETICS_I3D] + "/b"
    return names


def tensorflow_scope(names: set[str]) -> str:
    """What stands before every name of a TensorFlow checkpoint: `RGB/inception_i3d/`, or nothing.

    Raises `InputError` where the names are not those of I3D.
    """
    first = "Conv3d_1a_7x7/conv_3d/w"
    scopes = [name.removesuffix(first) for name in names if name.endswith(first)]
    if len(scopes) != 1:
        raise InputError(
            f"the TensorFlow checkpoint is not one of I3D: it holds '{first}' {len(scopes)} times."
        )
    return scopes[0]


def from_tensorflow(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under this project's names, but as TensorFlow stores them, brought into our form.

    Raises `InputError` for a kernel that has not five dimensions.
    """
    weights = {}
    for name, value in tensors.items():
        if name.endswith(".weight"):
            if value.dim() != 5:
                raise InputError(
                    f"the TensorFlow checkpoint is like I3D, but '{name}' has the shape "
                    f"{tuple(value.shape)}."
                )
            weights[name] = value.permute(4, 3, 0, 1, 2).contiguous()
        else:
            weights[name] = value.flatten().contiguous()
    for unit, _, _ in _units():
        weights[f"layers.{unit}.norm.weight"] = torch.ones_like(weights[f"layers.{unit}.norm.bias"])
    return weights


def _units() -> Iterator[tuple[str, str, str]]:
    """Every convolution with its normalisation: here, in pytorch-i3d, and in TensorFlow."""
    for layer in (name for stage in STAGES for name in stage):
        if layer.startswith("Conv3d"):
            yield layer, layer, layer
        elif layer.startswith("Mixed"):
            for branch, pytorch_i3d, tensorflow in _BRANCHES:
                full = f"{layer}/{tensorflow}"
                odd, published = _ODD_NAME
                yield (
                    f"{layer}.{branch}",
                    f"{layer}.{pytorch_i3d}",
                    published if full == odd else full,
                )
