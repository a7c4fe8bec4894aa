"""Files of weights in each published layout, with random values.

Names and shapes are written down here from the repositories' own code, apart from the package's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from wsgn.support.arrays import Float32Array

# Channels that come in, and those of the six units, in their published order.
MIXED = {
    "Mixed_3b": (192, (64, 96, 128, 16, 32, 32)),
    "Mixed_3c": (256, (128, 128, 192, 32, 96, 64)),
    "Mixed_4b": (480, (192, 96, 208, 16, 48, 64)),
    "Mixed_4c": (512, (160, 112, 224, 24, 64, 64)),
    "Mixed_4d": (512, (128, 128, 256, 24, 64, 64)),
    "Mixed_4e": (512, (112, 144, 288, 32, 64, 64)),
    "Mixed_4f": (528, (256, 160, 320, 32, 128, 128)),
    "Mixed_5b": (832, (256, 160, 320, 32, 128, 128)),
    "Mixed_5c": (832, (384, 192, 384, 48, 128, 128)),
}
PYTORCH_I3D_UNITS = ("b0", "b1a", "b1b", "b2a", "b2b", "b3b")
KINETICS_I3D_PYTORCH_UNITS = (
    "branch_0",
    "branch_1.0",
    "branch_1.1",
    "branch_2.0",
    "branch_2.1",
    "branch_3.1",
)
TENSORFLOW_UNITS = (
    "Branch_0/Conv3d_0a_1x1",
    "Branch_1/Conv3d_0a_1x1",
    "Branch_1/Conv3d_0b_3x3",
    "Branch_2/Conv3d_0a_1x1",
    "Branch_2/Conv3d_0b_3x3",
    "Branch_3/Conv3d_0b_1x1",
)


def units(names: tuple[str, ...], separator: str) -> Iterator[tuple[str, int, int, int]]:
    """Name, channels in, channels out, and width of the kernel of every convolution."""
    yield "Conv3d_1a_7x7", 0, 64, 7
    yield "Conv3d_2b_1x1", 64, 64, 1
    yield "Conv3d_2c_3x3", 64, 192, 3
    for block, (channels, (b0, b1a, b1b, b2a, b2b, b3b)) in MIXED.items():
        sizes = (
            (channels, b0, 1),
            (channels, b1a, 1),
            (b1a, b1b, 3),
            (channels, b2a, 1),
            (b2a, b2b, 3),
            (channels, b3b, 1),
        )
        for name, (into, out, width) in zip(names, sizes, strict=True):
            # A slip of the published code that its checkpoints keep.
            if block == "Mixed_5b" and name == "Branch_2/Conv3d_0b_3x3":
                name = "Branch_2/Conv3d_0a_3x3"
            yield f"{block}{separator}{name}", into, out, width


def i3d_state(layout: str, *, channels: int = 3, num_classes: int = 400) -> dict[str, Tensor]:
    """A state of I3D in the layout of one of the two PyTorch repositories."""
    generator = torch.Generator().manual_seed(channels)
    published = layout == "pytorch-i3d"
    norm = "bn" if published else "batch3d"
    state: dict[str, Tensor] = {}
    names = PYTORCH_I3D_UNITS if published else KINETICS_I3D_PYTORCH_UNITS
    for unit, into, out, width in units(names, "."):
        name = unit if published else unit[0].lower() + unit[1:]
        shape = (out, into or channels, width, width, width)
        state[f"{name}.conv3d.weight"] = torch.randn(shape, generator=generator)
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{name}.{norm}.{part}"] = torch.rand(out, generator=generator)
    head = "logits" if published else "conv3d_0c_1x1"
    shape = (num_classes, 1024, 1, 1, 1)
    state[f"{head}.conv3d.weight"] = torch.randn(shape, generator=generator)
    state[f"{head}.conv3d.bias"] = torch.randn(num_classes, generator=generator)
    return state


def i3d_tensorflow(*, scope: str = "RGB/inception_i3d/") -> dict[str, Float32Array]:
    """The variables of kinetics-i3d as TensorFlow stores them."""
    random = np.random.default_rng(0)

    def draw(*shape: int) -> Float32Array:
        return random.random(shape, dtype=np.float32)

    tensors: dict[str, Float32Array] = {}
    for unit, into, out, width in units(TENSORFLOW_UNITS, "/"):
        tensors[f"{scope}{unit}/conv_3d/w"] = draw(width, width, width, into or 3, out)
        for part in ("beta", "moving_mean", "moving_variance"):
            tensors[f"{scope}{unit}/batch_norm/{part}"] = draw(1, 1, 1, 1, out)
    head = f"{scope}Logits/Conv3d_0c_1x1/conv_3d"
    tensors[f"{head}/w"] = draw(1, 1, 1, 1024, 400)
    tensors[f"{head}/b"] = draw(400)
    return tensors
