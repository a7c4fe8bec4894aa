"""Options that `wsgn-features` and `to_onnx` share: the pixels of a user's own network."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wsgn.backbones.config import ONNX_CHANNELS
from wsgn.errors import UsageError
from wsgn.extraction.config import ONNX_PREFIX
from wsgn.remote.arguments import input_behind

if TYPE_CHECKING:
    from wsgn.backbones.onnx_network import OnnxOptions

Numbers = tuple[float, float, float]


def add_onnx_options(group: argparse._ArgumentGroup) -> None:
    """What an ONNX file does not say of itself."""
    group.add_argument(
        "--onnx-output",
        metavar="NAME",
        help="the value of the network that is the features (default: its only output)",
    )
    group.add_argument(
        "--onnx-mean",
        type=_numbers,
        metavar="R,G,B",
        help="taken from pixels between 0 and 1 (default: ImageNet's)",
    )
    group.add_argument(
        "--onnx-deviation",
        type=_numbers,
        metavar="R,G,B",
        help="then divided by (default: ImageNet's; 1,1,1 with --onnx-mean 0,0,0 leaves 0 to 1)",
    )
    group.add_argument("--onnx-channels", choices=ONNX_CHANNELS, help="their order (default: rgb)")


def onnx_options(arguments: argparse.Namespace, names: Sequence[str]) -> OnnxOptions | None:
    """The options that were given; refused where no backbone is an ONNX file."""
    given = {
        "output": arguments.onnx_output,
        "mean": arguments.onnx_mean,
        "deviation": arguments.onnx_deviation,
        "channels": arguments.onnx_channels,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if not any(name.startswith(ONNX_PREFIX) for name in names):
        if given:
            raise UsageError(
                f"--onnx-{next(iter(given))} goes with --backbone {ONNX_PREFIX}FILE, and there is "
                "none."
            )
        return None
    from wsgn.backbones.onnx_network import OnnxOptions

    return OnnxOptions(**given)


def backbone_names(text: str) -> str:
    """Names with commas as they are; files at addresses among them are those of copies."""
    sign = ONNX_PREFIX[-1]
    # Where PyTorch puts the weights of a network that is exported with them beside it.
    return ",".join(input_behind(sign, name, endings=(".data",)) for name in text.split(","))


def _numbers(text: str) -> Numbers:
    """Three numbers, or one for all channels."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be numbers like 0.5,0.5,0.5, got '{text}'") from (
            error
        )
    if len(values) == 1:
        values *= 3
    if len(values) != 3:
        raise argparse.ArgumentTypeError(f"must be one number or three, got '{text}'")
    return values[0], values[1], values[2]
