"""Frame and video scores of whole videos by compiled kernels: NumPy in, NumPy out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from wsgn.engines.cuda.device import Argument, Buffer, Device, Kernel, Stream
from wsgn.engines.kernels.bundle import (
    SCRATCH,
    Bundle,
    CompiledKernel,
    pools_as_the_kernels,
    read_bundle,
    read_image,
)
from wsgn.engines.kernels.launches import ALIGNMENT, Sizes, check_kernels
from wsgn.errors import UsageError
from wsgn.localization.scoring import video_scores
from wsgn.localization.statistics import sigmoid
from wsgn.manifest import IDENTITY, SelectionRule
from wsgn.support.arrays import AnyArray, Float32Array, FloatArray, FloatingArray, IntArray

_LANES_OF_A_WARP = 32
_LARGEST_INT32 = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Of a packed batch: frame scores (N, C) and video scores (B, C), by the model's rule."""

    scores: Float32Array
    video_scores: Float32Array


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    kernel: Kernel
    compiled: CompiledKernel


class SelectionKernels:
    """The kernels of one model on one GPU, for one thread; use it as a context manager.

    Memory on the device grows with the largest batch so far and is kept until `close`.
    """

    def __init__(
        self, bundle: Bundle, loaded: tuple[_Loaded, ...], rule: SelectionRule, device: Device
    ) -> None:
        """For `open` alone."""
        self.bundle = bundle
        self._loaded = loaded
        self._rule = rule
        self._device = device
        self._stream: Stream = device.stream()
        self._buffers: dict[str, Buffer] = {}
        self._of_classes: dict[str, AnyArray] = {
            # Without the global Gaussian nobody reads them.
            "mu_ptr": np.asarray(rule.global_mean or [0.0] * bundle.num_classes, np.float32),
            "sigma_ptr": np.asarray(rule.global_std or [1.0] * bundle.num_classes, np.float32),
        }

    @classmethod
    def open(
        cls, folder: Path, device: Device, rule: SelectionRule, num_classes: int
    ) -> SelectionKernels:
        """Load what export/to_cubin.py wrote for a model with this rule.

        Raises:
            EngineError: the bundle is damaged, is for another model or GPU, or cannot be loaded.
        """
        bundle = read_bundle(folder)
        bundle.check_rule(rule, num_classes)
        target, form = bundle.choose(device.compute_capability)
        check_kernels(target, bundle)
        # All files are read before the device is touched.
        images = [read_image(folder, target, kernel, form) for kernel in target.kernels]
        with device.active():
            loaded = tuple(
                _Loaded(
                    kernel=device.load_kernel(
                        image, compiled.name, dynamic_shared_bytes=compiled.shared_bytes
                    ),
                    compiled=compiled,
                )
                for image, compiled in zip(images, target.kernels, strict=True)
            )
            return cls(bundle, loaded, rule, device)

    def score(
        self,
        selection_logits: FloatingArray,
        class_logits: FloatingArray,
        cu_seqlens: npt.NDArray[np.integer[Any]],
    ) -> Scores:
        """Scores of B videos that lie behind each other, by eqs. 2 to 7 and the model's rule.

        Video scores that are no mean over time of weighted probabilities are made on the host.

        Args:
            selection_logits: x, (N, C), finite; computed in float32.
            class_logits: h, (N, C); see `class_logits_of` for engines without them.
            cu_seqlens: (B + 1) offsets of the videos, from 0 to N, rising.

        Raises:
            UsageError: shapes or offsets do not fit; it says what was given.
            EngineError: the GPU has not enough memory, or failed.
        """
        x, h = (np.ascontiguousarray(v, np.float32) for v in (selection_logits, class_logits))
        offsets = np.ascontiguousarray(cu_seqlens, np.int64)
        _check(x, h, offsets, np.asarray(cu_seqlens).dtype, self.bundle.num_classes)
        sizes = Sizes(
            num_snippets=len(x),
            num_videos=len(offsets) - 1,
            num_classes=self.bundle.num_classes,
            layout=self.bundle.layout,
            softmax_over_classes=self.bundle.class_activation == "softmax",
        )
        result = Scores(
            scores=np.empty(x.shape, np.float32),
            video_scores=np.empty((sizes.num_videos, sizes.num_classes), np.float32),
        )
        given: dict[str, AnyArray] = {
            "x_ptr": x,
            "h_ptr": h,
            "offsets_ptr": offsets,
            **self._of_classes,
        }
        with self._device.active():
            arguments = self._arguments(sizes)
            for name, array in (given | self._of_classes).items():
                self._device.copy_in(self._buffers[name], array, self._stream)
            for loaded in self._loaded:
                self._launch(loaded, sizes, arguments)
            self._device.copy_out(result.scores, self._buffers["scores_ptr"], self._stream)
            self._device.copy_out(
                result.video_scores, self._buffers["video_scores_ptr"], self._stream
            )
            self._stream.synchronize()
        return self._by_rule(result, x, h, offsets)

    def close(self) -> None:
        """Give the device's memory back; a second call does nothing."""
        with self._device.active():
            while self._buffers:
                self._buffers.popitem()[1].free()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _by_rule(
        self, scores: Scores, x: Float32Array, h: Float32Array, offsets: IntArray
    ) -> Scores:
        """What the rule makes of class logits that are negative, and its pooling of videos."""
        rule = self._rule
        if rule.class_activation == IDENTITY:
            scores = replace(scores, scores=np.maximum(scores.scores, 0))
        if pools_as_the_kernels(rule):
            return scores
        p = _class_probabilities(h, rule.class_activation)
        videos = [
            video_scores(x[a:b], p[a:b], rule, scores.scores[a:b].astype(np.float64))
            for a, b in itertools.pairwise(offsets.tolist())
        ]
        return replace(scores, video_scores=np.stack(videos).astype(np.float32))

    def _arguments(self, sizes: Sizes) -> Mapping[str, Argument]:
        """The value of every parameter, by its name."""
        pointers = {name: self._address(name, size) for name, size in sizes.num_bytes().items()}
        pointers["results_ptr"] = pointers["statistics_ptr"] + sizes.results_offset
        assert all(address % ALIGNMENT == 0 for address in pointers.values()), pointers
        return {
            **{name: np.uint64(address) for name, address in pointers.items()},
            SCRATCH: np.uint64(0),
            "num_snippets": np.int32(sizes.num_snippets),
            "num_videos": np.int32(sizes.num_videos),
            "num_slots": np.int32(sizes.num_slots),
            "epsilon": np.float32(self._rule.variance_epsilon),
            "gate_level": np.float32(self._rule.gate_level),
        }

    def _address(self, name: str, num_bytes: int) -> int:
        """Address of a buffer that holds so much, 0 for nothing."""
        if num_bytes == 0:
            return 0
        held = self._buffers.get(name)
        if held is None or held.num_bytes < num_bytes:
            if held is not None:
                del self._buffers[name]
                held.free()
            held = self._buffers[name] = self._device.allocate(num_bytes)
        return held.address

    def _launch(self, loaded: _Loaded, sizes: Sizes, arguments: Mapping[str, Argument]) -> None:
        compiled = loaded.compiled
        self._device.launch(
            loaded.kernel,
            sizes.grid(compiled.name),
            (compiled.num_warps * _LANES_OF_A_WARP, 1, 1),
            [arguments[parameter.name] for parameter in compiled.parameters],
            self._stream,
            dynamic_shared_bytes=compiled.shared_bytes,
        )


def _check(
    x: Float32Array,
    h: Float32Array,
    offsets: IntArray,
    offsets_type: np.dtype[Any],
    num_classes: int,
) -> None:
    if x.ndim != 2 or x.shape != h.shape or x.shape[1] != num_classes:
        raise UsageError(
            f"selection_logits and class_logits must be (N, {num_classes}), got {x.shape} and "
            f"{h.shape}."
        )
    if not np.issubdtype(offsets_type, np.integer):
        raise UsageError(f"cu_seqlens must be integers, got {offsets_type}.")
    rising = offsets.ndim == 1 and len(offsets) >= 2 and bool((np.diff(offsets) > 0).all())
    if not rising or offsets[0] != 0 or offsets[-1] != len(x):
        raise UsageError(
            f"cu_seqlens must rise from 0 to N = {len(x)}, each video with at least one snippet, "
            f"got {np.array2string(offsets, threshold=8)}."
        )
    if len(x) > _LARGEST_INT32:
        raise UsageError(
            f"a batch may have {_LARGEST_INT32} snippets, got {len(x)}: score it in parts."
        )


def _class_probabilities(class_logits: Float32Array, class_activation: str) -> FloatArray:
    """What an engine's graph makes of h (N, C)."""
    h = class_logits.astype(np.float64)
    if class_activation == "softmax":
        exponentials = np.exp(h - h.max(axis=1, keepdims=True))
        softmax: FloatArray = exponentials / exponentials.sum(axis=1, keepdims=True)
        return softmax
    return sigmoid(h) if class_activation == "sigmoid" else h


def class_logits_of(class_probabilities: FloatingArray, class_activation: str) -> Float32Array:
    """Class logits (N, C) whose probabilities are these, for engines that give no logits.

    softmax(log p) = p and sigmoid(logit p) = p, but float32 keeps less of a logarithm: what the
    kernels then find differs from p by a share of at most 4e-6 for p >= 1e-37 (softmax, where p is
    also divided by its sum over classes), and by at most 6e-8 near 1 (sigmoid). Zeros become
    1.2e-38, the smallest normal number. With `identity` the engine gives logits.
    """
    if class_activation == IDENTITY:
        return np.asarray(class_probabilities, np.float32)
    p = np.asarray(class_probabilities, np.float64)
    # Not with a comparison that NaN would pass.
    if not ((p >= 0) & (p <= 1)).all():
        raise UsageError("class_probabilities must lie between 0 and 1.")
    p = np.maximum(p, np.finfo(np.float32).smallest_normal)
    if class_activation == "softmax":
        return np.log(p).astype(np.float32)
    # float32 cannot hold a probability between this and 1.
    p = np.minimum(p, 1 - 2.0**-25)
    return (np.log(p) - np.log1p(-p)).astype(np.float32)
