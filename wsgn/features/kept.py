"""Features that stay in memory as they are stored: no step of a training reads them again."""

from __future__ import annotations

import torch
from torch import Tensor

from wsgn.errors import UsageError
from wsgn.features.options import CacheOptions

# Of the GPU's free memory: the rest is for the training.
_DEVICE_SHARE = 0.5


class KeptFeatures:
    """Features by the name of their video, until a limit is reached; none is given up for another.

    Those of a training come again in an order that has no favourites, so that whoever came first
    is as good to keep as any.
    """

    def __init__(self, limit_bytes: int, device: torch.device) -> None:
        self._limit_bytes = limit_bytes
        self._device = device
        self._kept: dict[str, Tensor] = {}
        self.num_bytes = 0

    def get(self, name: str) -> Tensor | None:
        """What is kept of a video; nobody writes on it."""
        return self._kept.get(name)

    def offer(self, name: str, features: Tensor) -> Tensor:
        """Keep a video's features if there is room; the tensor to use."""
        size = features.numel() * features.element_size()
        if name in self._kept or self.num_bytes + size > self._limit_bytes:
            return features
        self.num_bytes += size
        self._kept[name] = features.to(self._device)
        return self._kept[name]


def open_cache(options: CacheOptions, device: torch.device, *, by_frame: bool) -> KeptFeatures:
    """Where a training on a device keeps its features.

    Frames are interpolated on the CPU, so that their features (`by_frame`) stay there by default.
    """
    place = options.place
    if place is None:
        place = "device" if device.type == "cuda" and not by_frame else "ram"
    if place == "none":
        return KeptFeatures(0, torch.device("cpu"))
    if place == "ram":
        return KeptFeatures(options.limit_bytes, torch.device("cpu"))
    if device.type != "cuda":
        raise UsageError("--cache device keeps features on a GPU: add --device cuda, or take ram.")
    if by_frame:
        raise UsageError("--cache device has no meaning for scores of frames: take ram.")
    free_bytes, _ = torch.cuda.mem_get_info(device)
    return KeptFeatures(min(options.limit_bytes, int(_DEVICE_SHARE * free_bytes)), device)
