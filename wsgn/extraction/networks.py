"""The backbones of a configuration, loaded onto one device and used by one video at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from wsgn.backbones.build import build_backbone
from wsgn.backbones.config import OnnxConfig
from wsgn.backbones.streams import FewImages
from wsgn.checkpoint import load_checkpoint
from wsgn.errors import InputError
from wsgn.extraction.config import ExtractionConfig, Network, is_on_images
from wsgn.extraction.snippets import Frame
from wsgn.support.arrays import Float32Array
from wsgn.support.counts import checked_count
from wsgn.torch_device import open_device
from wsgn.weights.convert import check_weights
from wsgn.weights.converted import load_backbone_weights, load_tensors

# Files of PyTorch, which hold no configuration of this project.
_PUBLISHED = ".pth"
# Of random weights, which are the same every time.
_SEED = 0


class Networks:
    """Snippets of frames to features; calls from several threads wait for each other."""

    def __init__(
        self, config: ExtractionConfig, modules: Sequence[nn.Module], device: torch.device
    ) -> None:
        self._flow = [stream == "flow" for stream in config.streams]
        self._device = device
        self._modules = [module.eval().to(device) for module in modules]
        self._lock = Lock()

    @torch.inference_mode()
    def features(self, snippets: Sequence[Sequence[Frame]]) -> Float32Array:
        """(N, D) of N snippets of L frames: each network's features, behind each other."""
        stacked = {flow: _stacked(snippets, flow=flow) for flow in set(self._flow)}
        with self._lock:
            parts = [
                module(frames.to(self._device)).float().cpu()
                for module, frames in zip(
                    self._modules, (stacked[flow] for flow in self._flow), strict=True
                )
            ]
        features: Float32Array = torch.cat(parts, dim=1).numpy()
        return features


def _stacked(snippets: Sequence[Sequence[Frame]], *, flow: bool) -> Tensor:
    """(N, L, H, W, 3) uint8, or (N, L, H, W, 2) float32 of flow."""
    if flow:
        flows = [[frame.flow for frame in snippet] for snippet in snippets]
        return torch.from_numpy(np.stack([np.stack(one) for one in flows]))  # type: ignore[arg-type]
    images = [np.stack([frame.image for frame in snippet]) for snippet in snippets]
    return torch.from_numpy(np.stack(images))


def open_networks(
    config: ExtractionConfig,
    weights: Sequence[Path | None],
    device: str,
    *,
    num_threads: int | None = None,
) -> Networks:
    """Build the networks that `config` names, with their files of weights (None: random)."""
    modules = []
    chosen = open_device(device)
    if num_threads is not None:
        torch.set_num_threads(checked_count("--threads", num_threads))
    for network, path in zip(config.networks, weights, strict=True):
        modules.append(
            build_network(
                network,
                path,
                config.snippet_length,
                image_frames=config.image_frames,
                num_threads=num_threads,
            )
        )
    return Networks(config, modules, chosen)


def build_network(
    network: Network,
    path: Path | None,
    snippet_length: int,
    *,
    image_frames: int = 0,
    num_threads: int | None = None,
) -> nn.Module:
    """One network with its weights: (N, L, H, W, C) to (N, D)."""
    if isinstance(network.config, OnnxConfig):
        from wsgn.backbones.onnx_network import open_network

        assert path is not None
        module: nn.Module = open_network(network.config, path, num_threads=num_threads)
    else:
        torch.manual_seed(_SEED)
        module = build_backbone(network.config, snippet_length)
        if path is not None:
            load_weights(module, path)
    if image_frames and is_on_images(network.config):
        return FewImages(module, image_frames)
    return module


def load_weights(module: nn.Module, path: Path) -> None:
    """Load a backbone: published or converted weights, or those of a model of `wsgn-train`.

    Raises `InputError` where the file is none, or of another network.
    """
    if path.suffix == _PUBLISHED:
        # What a package brings along is read as the published file that it is.
        load_tensors(module, check_weights(path).network, path)
        return
    trained = _trained_backbone(path)
    if trained is None:
        load_backbone_weights(module, path)
        return
    try:
        module.load_state_dict(trained)
    except RuntimeError as error:
        raise InputError(
            f"the model {path} has another backbone than {type(module).__name__}, or was trained "
            "on snippets of another length: give its own settings, or the weights that fit these."
        ) from error


def _trained_backbone(path: Path) -> dict[str, Tensor] | None:
    """The backbone's weights out of a checkpoint; None where the file is none."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            is_checkpoint = "wsgn" in (file.metadata() or {})
    # What is wrong with the file is said by who reads it next.
    except Exception:
        return None
    if not is_checkpoint:
        return None
    weights = load_checkpoint(path).weights
    prefix = "backbone."
    found = {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}
    if not found:
        raise InputError(f"the model {path} was trained on features and has no backbone.")
    return found
