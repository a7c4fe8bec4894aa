"""A network of the user's own as a backbone: run by ONNX Runtime, and one node in an export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wsgn.backbones.config import ONNX_AXES, OnnxConfig
from wsgn.backbones.onnx_file import OnnxNetwork, read_network
from wsgn.backbones.pixels import IMAGENET_MEAN, IMAGENET_STD, ImageInput, require_frames
from wsgn.errors import InputError, UsageError
from wsgn.support.packages import default_num_threads, load_package

# The node that stands for the network in an exported graph until its own nodes take its place.
DOMAIN, OPERATOR = "wsgn.network", "Network"
# Where a file leaves height and width open, the side on which it is tried out.
_TRIED_SIDE = 224
# How far features of a snippet may depend on the others in a call, of the largest.
_TOLERANCE = 1e-3
_NOTHING = 4


@dataclass(frozen=True, kw_only=True)
class OnnxOptions:
    """What a user says of a network's pixels and output; the rest is in the file."""

    output: str | None = None
    mean: tuple[float, float, float] = IMAGENET_MEAN
    deviation: tuple[float, float, float] = IMAGENET_STD
    channels: str = "rgb"


def describe_network(path: Path, options: OnnxOptions | None = None, *, side: int) -> OnnxConfig:
    """What a file takes and gives, found out by running it on pictures of `side` pixels.

    Raises `InputError` for a file that does not fit, `UsageError` for options that do not.
    """
    options = options or OnnxOptions()
    network = read_network(path, options.output)
    axes = _axes(path, network.input_shape)
    sizes = dict(zip(axes, network.input_shape, strict=True))
    if sizes["H"] != sizes["W"] and None not in (sizes["H"], sizes["W"]):
        raise InputError(
            f"the network {path} takes frames of {sizes['H']} x {sizes['W']} pixels; a backbone "
            "sees squares: export it with equal height and width."
        )
    tried = OnnxConfig(
        output=network.output_name,
        axes=axes,
        side=sizes["H"] or sizes["W"],
        snippet_length=sizes.get("T"),
        feature_size=1,
        takes_bytes=network.takes_bytes,
        mean=options.mean,
        deviation=options.deviation,
        channels=options.channels,
    )
    size, place_axes = _tried_output(path, network, tried, side)
    return replace(tried, feature_size=size, place_axes=place_axes)


class OnnxBackbone(nn.Module):
    """Frames (N, L, S, S, 3) uint8 -> features (N, D) of an ONNX network.

    A network on images sees every frame by itself, and its features are averaged over the snippet;
    maps are averaged over their places. On the way back there is nothing: it is not trained.
    """

    def __init__(
        self, config: OnnxConfig, network: OnnxNetwork, *, num_threads: int | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.network = network
        self.pixels = ImageInput(config.mean, config.deviation)
        self._num_threads = num_threads
        self._session: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the session, which does not travel; it is opened again where it is needed."""
        return self.__dict__ | {"_session": None}

    def forward(self, frames: Tensor) -> Tensor:
        """Order, normalise, run, average."""
        require_frames(frames, 3)
        length = frames.shape[1]
        if self.config.snippet_length not in (None, length):
            raise UsageError(
                f"the ONNX network takes snippets of {self.config.snippet_length} frames, got "
                f"{length}: set --snippet-length."
            )
        features = self._run(self._input(frames))
        if len(self.config.axes) == 4:
            features = features.reshape(-1, length, features.shape[1]).mean(dim=1)
        return features

    def _input(self, frames: Tensor) -> Tensor:
        x = frames.flip(-1) if self.config.channels == "bgr" else frames
        num_snippets, length, height, width, _ = x.shape
        if not self.config.takes_bytes:
            x = self.pixels(x).reshape(num_snippets, length, 3, height, width)
        else:
            # Graphs take pixels as numbers, see wsgn.export.graphs.networks.
            x = x.to(torch.uint8).permute(0, 1, 4, 2, 3)
        match self.config.axes:
            case "NCHW":
                return x.flatten(0, 1)
            case "NHWC":
                return x.flatten(0, 1).permute(0, 2, 3, 1)
            case "NCTHW":
                return x.transpose(1, 2)
            case "NTHWC":
                return x.permute(0, 1, 3, 4, 2)
        return x

    def _run(self, x: Tensor) -> Tensor:
        """(M, ...) -> (M, D)."""
        if torch.compiler.is_exporting():
            # Gets the network's own nodes, with the mean over places behind them.
            return torch.onnx.ops.symbolic(
                f"{DOMAIN}::{OPERATOR}",
                (x,),
                dtype=torch.float32,
                shape=(x.shape[0], self.config.feature_size),
                version=1,
            )
        if self._session is None:
            self._session = _session(self.network, self._num_threads)
        values = np.ascontiguousarray(x.detach().cpu().numpy())
        return torch.from_numpy(_pooled(_called(self._session, self.network, values))).to(x.device)


def open_network(config: OnnxConfig, path: Path, *, num_threads: int | None = None) -> OnnxBackbone:
    """The backbone of a file that `describe_network` described."""
    return OnnxBackbone(config, read_network(path, config.output), num_threads=num_threads)


def _axes(path: Path, shape: Sequence[int | None]) -> str:
    """Which of ONNX_AXES a shape is, by where its three channels are; NCHW where nobody says."""
    for axes in ONNX_AXES:
        if len(axes) == len(shape) and shape[axes.index("C")] == 3:
            return axes
    if len(shape) == 4 and shape[1] is None and shape[3] is None:
        return "NCHW"
    raise InputError(
        f"the network {path} takes ({', '.join('?' if n is None else str(n) for n in shape)}); a "
        "backbone takes images (N, 3, H, W) or (N, H, W, 3), or snippets (N, 3, T, H, W), "
        "(N, T, H, W, 3) or (N, T, 3, H, W)."
    )


def _session(network: OnnxNetwork, num_threads: int | None) -> Any:
    onnxruntime = load_package("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _NOTHING
    options.intra_op_num_threads = num_threads or default_num_threads()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            network.document.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise InputError(f"ONNX Runtime does not take the network: {_line(error)}") from error


def _called(session: Any, network: OnnxNetwork, values: Any) -> Any:
    try:
        return session.run([network.output_name], {network.input_name: values})[0]
    except Exception as error:
        raise InputError(
            f"the ONNX network failed on an input of shape {values.shape}: {_line(error)}"
        ) from error


def _pooled(features: Any) -> Any:
    """(M, D) of (M, D) or of maps (M, D, ...), whose places are averaged."""
    return features.reshape(*features.shape[:2], -1).mean(axis=2, dtype=np.float32)


def _tried_output(
    path: Path, network: OnnxNetwork, config: OnnxConfig, side: int
) -> tuple[int, int]:
    """Channels of the features and axes of places.

    Refuses what is no feature of each input by itself.
    """
    pixels = config.side or side or _TRIED_SIDE
    sizes = {"C": 3, "H": pixels, "W": pixels, "T": config.snippet_length or 4}
    session = _session(network, None)
    shape = [2 if axis == "N" else sizes[axis] for axis in config.axes]
    values = np.random.default_rng(0).integers(0, 256, shape)
    inputs = (
        values.astype(np.uint8) if config.takes_bytes else (values / 128 - 1).astype(np.float32)
    )
    try:
        both = np.asarray(_called(session, network, inputs))
        alone = np.asarray(_called(session, network, inputs[:1]))
    except InputError as error:
        raise InputError(
            f"the network {path} does not run on 1 and 2 inputs ({error}): export it with an open "
            "first axis (batch), and give the frames' size by --crop-size."
        ) from error
    if both.dtype != np.float32 or both.ndim not in (2, 4, 5) or 0 in both.shape:
        raise InputError(
            f"the value '{network.output_name}' of the network {path} is {both.dtype} of shape "
            f"{both.shape}; features are float32 (N, D), or maps (N, D, H, W) that are averaged: "
            "name another with --onnx-output."
        )
    if both.shape[0] != 2 or alone.shape != (1, *both.shape[1:]):
        raise InputError(
            f"the network {path} gives {both.shape} for 2 inputs and {alone.shape} for 1: export "
            "it with an open first axis (batch)."
        )
    off = np.abs(both[:1] - alone).max()
    if not off <= _TOLERANCE * max(1.0, float(np.abs(alone).max())):
        raise InputError(
            f"the network {path} gives other features for an input beside others than alone (by "
            f"{off:.2g}): export it in evaluation mode."
        )
    return int(both.shape[1]), both.ndim - 2


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]
