"""Which network a file of weights belongs to, told by its names and shapes alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wsgn.backbones.build import build_backbone
from wsgn.backbones.config import (
    BackboneConfig,
    EfficientNetConfig,
    I3dConfig,
    MotionConfig,
    ResNetConfig,
    VggConfig,
)
from wsgn.errors import InputError
from wsgn.weights.i3d_layouts import KINETICS_I3D_PYTORCH, PYTORCH_I3D, published_names

# This project's own names, and torchvision's, which its ResNet and VGG share.
OWN, TORCHVISION = "wsgn", "torchvision"
# The names of the package efficientnet-lite-pytorch: an underscore before each of ours.
EFFICIENTNET_LITE_PYTORCH = "efficientnet-lite-pytorch"
KINDS = ("i3d-rgb", "i3d-flow", "resnet18", "resnet34", "vgg16", "efficientnet-lite0")

# The first convolution of I3D in each layout.
_I3D_FIRST = {
    OWN: "layers.Conv3d_1a_7x7.conv.weight",
    PYTORCH_I3D: "Conv3d_1a_7x7.conv3d.weight",
    KINETICS_I3D_PYTORCH: "conv3d_1a_7x7.conv3d.weight",
}
# Where the classes of the published classifier are counted.
_CLASSIFIER_BIAS = {
    "i3d": "classifier.bias",
    "resnet": "fc.bias",
    "vgg": "classifier.6.bias",
    "efficientnet": "fc.bias",
}
# Counts the batches seen; files older than it load as well.
_OPTIONAL = ".num_batches_tracked"


@dataclass(frozen=True, kw_only=True)
class Identified:
    """Weights under this project's names, complete and of the right shapes."""

    config: BackboneConfig
    # The names that the file used.
    layout: str
    tensors: dict[str, Tensor]


def kind_of(config: BackboneConfig) -> str:
    """One of KINDS; 'motion', which has no weights."""
    match config:
        case I3dConfig():
            return f"i3d-{config.stream}"
        case ResNetConfig():
            return f"resnet{config.depth}"
        case VggConfig():
            return "vgg16"
        case EfficientNetConfig():
            return "efficientnet-lite0"
        case MotionConfig():
            return "motion"
    raise ValueError(f"nothing is published for the backbone '{config.name}'")


def identify(tensors: Mapping[str, Tensor], *, what: str) -> Identified:
    """Find the network; an `InputError` says what is missing, too much or of another shape.

    `what` names the file in the message.
    """
    for layout, first in _I3D_FIRST.items():
        if first in tensors:
            return _complete(_i3d_config(tensors[first], what), layout, tensors, what)
    if "layer1.0.conv1.weight" in tensors:
        depth = 34 if "layer3.5.conv1.weight" in tensors else 18
        return _complete(ResNetConfig(depth=depth), TORCHVISION, tensors, what)
    if {"features.0.weight", "classifier.0.weight"} <= set(tensors):
        return _complete(VggConfig(), TORCHVISION, tensors, what)
    for layout, first in (
        (OWN, "conv_stem.weight"),
        (EFFICIENTNET_LITE_PYTORCH, "_conv_stem.weight"),
    ):
        if first in tensors:
            return _complete(EfficientNetConfig(), layout, tensors, what)
    raise InputError(
        f"{what} holds no network that is known here (I3D, ResNet-18, ResNet-34, VGG16, "
        f"EfficientNet-Lite0); its first entries are {_some(tensors)}."
    )


def _i3d_config(first: Tensor, what: str) -> I3dConfig:
    channels = first.shape[1] if first.dim() == 5 else 0
    if channels not in (2, 3):
        raise InputError(
            f"{what} is like I3D, but its first convolution has the shape {tuple(first.shape)}: "
            "neither 3 channels (RGB) nor 2 (flow) come in."
        )
    return I3dConfig(stream="rgb" if channels == 3 else "flow")


def _complete(
    config: I3dConfig | ResNetConfig | VggConfig | EfficientNetConfig,
    layout: str,
    tensors: Mapping[str, Tensor],
    what: str,
) -> Identified:
    names: dict[str, str] = {}
    if layout in (PYTORCH_I3D, KINETICS_I3D_PYTORCH):
        names = published_names(layout)
    if layout == EFFICIENTNET_LITE_PYTORCH:
        names = {own: _underscored(own) for own in expected_shapes(replace(config, num_logits=1))}
    bias_name = _CLASSIFIER_BIAS[config.name]
    bias = tensors.get(names.get(bias_name, bias_name))
    if bias is not None and bias.dim() != 1:
        raise InputError(
            f"{what} is like {kind_of(config)}, but its classifier's bias has the shape "
            f"{tuple(bias.shape)}."
        )
    config = replace(config, num_logits=0 if bias is None else len(bias))
    found: dict[str, Tensor] = {}
    for own, shape in expected_shapes(config).items():
        name = names.get(own, own)
        if name not in tensors and own.endswith(_OPTIONAL):
            found[own] = torch.zeros(shape, dtype=torch.int64)
            continue
        found[own] = _checked(name, tensors.get(name), shape, kind_of(config), what)
    surplus = set(tensors) - {names.get(own, own) for own in found}
    if surplus:
        raise InputError(
            f"{what} is like {kind_of(config)}, but holds {len(surplus)} entries too many, such as "
            f"{_some(sorted(surplus))}."
        )
    return Identified(config=config, layout=layout, tensors=found)


def _underscored(own: str) -> str:
    """'blocks.0.bn1.weight' as '_blocks.0._bn1.weight'."""
    *modules, last = own.split(".")
    return ".".join([*(m if m.isdigit() else f"_{m}" for m in modules), last])


def expected_shapes(config: BackboneConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every entry that the network's state has."""
    # No memory is taken on this device.
    with torch.device("meta"):
        network = build_backbone(config, snippet_length=1)
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def _checked(
    name: str, value: Tensor | None, shape: tuple[int, ...], kind: str, what: str
) -> Tensor:
    if value is None:
        raise InputError(f"{what} is like {kind}, but lacks '{name}'.")
    if tuple(value.shape) != shape:
        raise InputError(
            f"{what} is like {kind}, but '{name}' has the shape {tuple(value.shape)}, not {shape}."
        )
    if name.endswith(_OPTIONAL):
        return value.to(torch.int64)
    # As float32 first: of the smallest types PyTorch cannot tell what is finite.
    weights = value.float().contiguous() if value.is_floating_point() else None
    if weights is None or not bool(torch.isfinite(weights).all()):
        raise InputError(f"{what} holds values in '{name}' that are not finite numbers.")
    return weights


def _some(names: Mapping[str, Tensor] | list[str]) -> str:
    return ", ".join(f"'{name}'" for name in list(names)[:3]) or "(nothing)"
