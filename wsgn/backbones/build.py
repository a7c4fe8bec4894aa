"""From a backbone's configuration to its network."""

from __future__ import annotations

from torch import nn

from wsgn.backbones.compact import CompactBackbone
from wsgn.backbones.config import (
    BackboneConfig,
    CompactConfig,
    EfficientNetConfig,
    I3dConfig,
    MotionConfig,
    ResNetConfig,
    VggConfig,
)
from wsgn.backbones.efficientnet import EfficientNetBackbone
from wsgn.backbones.frames import FrameByFrameBackbone
from wsgn.backbones.i3d import I3dBackbone
from wsgn.backbones.motion import MotionBackbone
from wsgn.backbones.resnet import ResNetBackbone
from wsgn.backbones.vgg import VggBackbone
from wsgn.errors import UsageError


def build_backbone(config: BackboneConfig, snippet_length: int) -> nn.Module:
    """A network from frames (N, L, H, W, 3) uint8 to features (N, config.feature_size).

    The compact backbone on motion is bound to L = `snippet_length`; both compact ones and motion
    see what changes within a snippet and need two frames. The flow stream of I3D takes
    (N, L, H, W, 2) instead, see wsgn.backbones.pixels.
    """
    match config:
        case CompactConfig():
            _require_neighbours("compact", snippet_length)
            if config.frame_by_frame:
                return FrameByFrameBackbone(config)
            return CompactBackbone(config, snippet_length)
        case I3dConfig():
            return I3dBackbone(config)
        case ResNetConfig():
            return ResNetBackbone(config)
        case VggConfig():
            return VggBackbone(config)
        case EfficientNetConfig():
            return EfficientNetBackbone(config)
        case MotionConfig():
            _require_neighbours("motion", snippet_length)
            return MotionBackbone(config)


def _require_neighbours(name: str, snippet_length: int) -> None:
    """In one frame nothing changes: every feature would be a constant."""
    if snippet_length < 2:
        raise UsageError(
            f"the {name} backbone sees what changes within a snippet of 2 frames or more, got "
            f"{snippet_length}: raise --snippet-length, or take --backbone resnet18."
        )
