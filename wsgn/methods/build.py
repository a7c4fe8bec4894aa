"""From a method's configuration to its layers."""

from __future__ import annotations

from wsgn.methods.config import (
    MethodConfig,
    StpnConfig,
    UntrimmedNetsConfig,
    WsgnConfig,
    WtalcConfig,
)
from wsgn.methods.interface import Method
from wsgn.methods.stpn import Stpn
from wsgn.methods.untrimmednets import UntrimmedNets
from wsgn.methods.wsgn import Wsgn
from wsgn.methods.wtalc import Wtalc


def build_method(config: MethodConfig, feature_size: int, num_classes: int) -> Method:
    """The layers of a method on features of D channels; an nn.Module too."""
    match config:
        case WsgnConfig():
            return Wsgn(config, feature_size, num_classes)
        case UntrimmedNetsConfig():
            return UntrimmedNets(config, feature_size, num_classes)
        case StpnConfig():
            return Stpn(config, feature_size, num_classes)
        case WtalcConfig():
            return Wtalc(config, feature_size, num_classes)
