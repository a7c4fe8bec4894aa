"""Converted weights: one safetensors file that knows its network and where it came from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from wsgn.backbones.config import BackboneConfig
from wsgn.errors import InputError
from wsgn.support.files import require_file, write_whole_file
from wsgn.support.json_input import read_object
from wsgn.support.records import record_from_dict, record_to_dict
from wsgn.weights.identify import OWN, Identified, expected_shapes, kind_of

FORMAT = "wsgn.weights/1"
_KEY = "wsgn.weights"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where converted weights came from."""

    file_name: str
    layout: str
    # Of the file, or of TensorFlow's data file.
    sha256: str
    # The entry of `wsgn-weights list` whose checksum the file has; empty where there is none.
    published: str = ""
    licence: str = ""


@dataclass(frozen=True, kw_only=True)
class _Header:
    format: str
    # The names of the tensors: this project's, or a published layout's for use elsewhere.
    layout: str
    backbone: BackboneConfig
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class ConvertedWeights:
    """A network's weights with all that is needed to build it."""

    config: BackboneConfig
    origin: Origin
    tensors: dict[str, Tensor]


def write_weights(path: Path, weights: ConvertedWeights, *, layout: str = OWN) -> None:
    """Write the file: never half of one."""
    header = _Header(format=FORMAT, layout=layout, backbone=weights.config, origin=weights.origin)
    document = json.dumps(record_to_dict(header), sort_keys=True)
    data = save(weights.tensors, metadata={_KEY: document})
    write_whole_file(path, data, what="the file of weights")


def read_weights(path: Path) -> ConvertedWeights:
    """Read what `wsgn-weights convert` wrote; an `InputError` says what is wrong with others."""
    if path.exists():
        require_file(path, f"the file of weights {path}")
    if not path.is_file():
        raise InputError(f"the file of weights {path} does not exist.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise InputError(
            f"{path} is not a safetensors file, or is damaged; published weights are converted by "
            "wsgn-weights convert."
        ) from error
    header = _header(path, metadata)
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    try:
        expected = expected_shapes(header.backbone)
    # Sizes that no network can have.
    except (TypeError, OverflowError, RuntimeError) as error:
        raise InputError(f"the header of {path} describes no network: {error}.") from error
    if shapes != expected:
        raise InputError(f"{path} does not hold the weights of {kind_of(header.backbone)}.")
    return ConvertedWeights(config=header.backbone, origin=header.origin, tensors=tensors)


def _header(path: Path, metadata: dict[str, str]) -> _Header:
    try:
        document = read_object(metadata[_KEY])
    except (KeyError, InputError) as error:
        raise InputError(
            f"{path} was not made by wsgn-weights convert, which must convert published weights "
            "before they are used."
        ) from error
    if document.get("format") != FORMAT:
        raise InputError(f"{path} has another format than {FORMAT}: convert the weights again.")
    header = record_from_dict(_Header, document, what=f"the header of {path}")
    if header.layout != OWN:
        raise InputError(
            f"{path} was converted for use elsewhere, with the names of {header.layout}: convert "
            "the weights again without --layout."
        )
    return header


def load_backbone_weights(module: nn.Module, path: Path) -> Origin:
    """Load converted weights into a backbone of `build_backbone`; returns where they came from.

    A classifier in the file is left out where the backbone has none. Raises `InputError` where
    the weights are of another network.
    """
    weights = read_weights(path)
    load_tensors(module, weights, path)
    return weights.origin


def load_tensors(module: nn.Module, weights: ConvertedWeights | Identified, path: Path) -> None:
    """As `load_backbone_weights`, of weights that were read from `path`."""
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    classifier = set(weights.tensors) - set(expected)
    tensors = {name: value for name, value in weights.tensors.items() if name in expected}
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    if shapes != expected or not all(map(_is_classifier, classifier)):
        raise InputError(
            f"{path} holds the weights of {kind_of(weights.config)} with "
            f"{getattr(weights.config, 'num_logits', 0)} classes, which do not fit this "
            f"{type(module).__name__}."
        )
    module.load_state_dict(tensors)


def _is_classifier(name: str) -> bool:
    """Of I3D, of ResNet and EfficientNet, of VGG."""
    return name in ("classifier.weight", "classifier.bias") or name.startswith(
        ("fc.", "classifier.6.")
    )
