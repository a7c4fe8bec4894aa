"""From a published file to the converted one, with everything checked on the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wsgn.backbones.config import I3dConfig
from wsgn.errors import InputError, UsageError
from wsgn.weights.converted import ConvertedWeights, Origin, write_weights
from wsgn.weights.digests import file_digests, matching_weights
from wsgn.weights.i3d_layouts import KINETICS_I3D_PYTORCH, PYTORCH_I3D, published_names
from wsgn.weights.identify import OWN, Identified, kind_of
from wsgn.weights.source import read_source, source_files

OUTPUT_LAYOUTS = (OWN, PYTORCH_I3D, KINETICS_I3D_PYTORCH)


@dataclass(frozen=True, kw_only=True)
class CheckedWeights:
    """A file that is whole: its network, and what its checksum says of its origin."""

    network: Identified
    origin: Origin

    @property
    def sentence(self) -> str:
        """What the file is, for people."""
        classes = getattr(self.network.config, "num_logits", 0)
        what = f"{kind_of(self.network.config)}, {classes or 'no'} classes, names of "
        if self.origin.published:
            proof = f"the checksum is that of {self.origin.published} ({self.origin.licence})"
        else:
            proof = "no published checksum is this file's: known by its names and shapes only"
        return f"{what}{self.network.layout}; {proof}"


def check_weights(
    path: Path, *, kind: str | None = None, any_checksum: bool = False
) -> CheckedWeights:
    """Read and check a file of weights; an `InputError` says what is wrong with it.

    `kind` is what it must be; `any_checksum` admits a file under a published name that is another.
    """
    files = source_files(path)
    digests = [file_digests(file) for file in files]
    published = None
    try:
        published = matching_weights(files, digests)
    except InputError:
        if not any_checksum:
            raise
    network = read_source(files)
    found = kind_of(network.config)
    if kind not in (None, found):
        raise InputError(f"{path} holds {found}, not {kind}.")
    origin = Origin(
        file_name=files[-1].name,
        layout=network.layout,
        sha256=digests[-1].sha256,
        published="" if published is None else published.name,
        licence="" if published is None else published.licence,
    )
    return CheckedWeights(network=network, origin=origin)


def convert_weights(checked: CheckedWeights, output: Path, *, layout: str = OWN) -> None:
    """Write checked weights under this project's names, or under those of a published layout."""
    network = checked.network
    tensors = network.tensors
    if layout != OWN:
        if not isinstance(network.config, I3dConfig):
            raise UsageError(
                f"the layout {layout} is one of I3D; ResNet and VGG keep torchvision's names."
            )
        names = published_names(layout)
        tensors = {names[own]: value for own, value in tensors.items()}
    weights = ConvertedWeights(config=network.config, origin=checked.origin, tensors=tensors)
    write_weights(output, weights, layout=layout)
