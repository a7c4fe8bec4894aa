"""From a backbone's configuration to its network."""

from __future__ import annotations

from torch import nn

from wsgn.backbones.compact import CompactBackbone
from wsgn.backbones.config import (
    BackboneConfig,
    CompactConfig,
    I3dConfig,
    ResNetConfig,
    VggConfig,
)
from wsgn.backbones.i3d import I3dBackbone
from wsgn.backbones.resnet import ResNetBackbone
from wsgn.backbones.vgg import VggBackbone


def build_backbone(config: BackboneConfig, snippet_length: int) -> nn.Module:
    """A network from frames (N, L, H, W, 3) uint8 to features (N, config.feature_size).

    Only the compact backbone is bound to L = `snippet_length`. The flow stream of I3D takes
    (N, L, H, W, 2) instead, see wsgn.backbones.pixels.
    """
    match config:
        case CompactConfig():
            return CompactBackbone(config, snippet_length)
        case I3dConfig():
            return I3dBackbone(config)
        case ResNetConfig():
            return ResNetBackbone(config)
        case VggConfig():
            return VggBackbone(config)
