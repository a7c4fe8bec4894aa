"""What a host must know about an engine besides its graph: one strict JSON document.

It travels inside an ONNX file's metadata under `METADATA_KEY`, and in a sidecar beside formats that
carry no metadata. docs/manifest.md describes every field for people who write a host of their own.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wsgn.errors import UsageError
from wsgn.support.json_input import read_object
from wsgn.support.records import record_from_dict, record_to_dict
from wsgn.support.terminal import holds_controls, quoted

FORMAT_VERSION = 1
METADATA_KEY = "wsgn.manifest"

COMPONENTS = ("local_gaussian", "global_gaussian", "temporal_softmax")
SOFTMAX_SCALES = ("sum_one", "mean_one", "max_one")
# With SOFT_GATE, which is for scoring only: m / (m + GATE_HALF) for m the mean_one weight.
SOFT_GATE = "soft_gate"
SCORING_SCALES = (*SOFTMAX_SCALES, SOFT_GATE)
# The share of an even spread of weight at which the soft gate is half open.
GATE_HALF = 0.1
CLASS_ACTIVATIONS = ("softmax", "sigmoid")
RESIZE_MODES = ("stretch", "centre_crop")
# What an engine's graph computes: logits of snippets, which is what wsgn-run takes, scores of whole
# videos, or scores of streams whose state goes in and out.
GRAPHS = ("snippet", "whole-video", "streaming")
# What an engine was trained on, in its provenance, where nothing of it was filmed.
SYNTHETIC = ("synthetic videos", "synthetic features")

# What is beyond these is damage, or fills the memory before the first segment (docs/manifest.md).
# Of every number that is not bounded more closely.
_LARGEST = 1e9
# A variance or deviation is divided by.
_SMALLEST_DIVISOR = 1e-30
_FRAME_RATES = (1e-3, 1e3)
_MOST_FRAMES = 1_000_000
_MOST_PIXELS_A_SIDE = 1 << 14
# Of one snippet: 16 frames of 1920 x 1080 are 95 MiB.
_MOST_SNIPPET_BYTES = 1 << 27
_MOST_CHANNELS = 1 << 20
_MOST_CLASSES = 10_000
_LONGEST_NAME = 1000
_MOST_SMOOTHING = 10_001


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)


def _require_numbers(record: object) -> None:
    """Every number of a record is finite and no larger than `_LARGEST`."""
    for name, value in vars(record).items():
        for number in value if isinstance(value, tuple) else (value,):
            _require(
                not isinstance(number, int | float) or abs(number) <= _LARGEST,
                f"{name} must be finite and at most {_LARGEST:g} in size, got {number}.",
            )


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a video becomes snippets: a time grid of frames, cut into overlapping runs."""

    # Frames per second of the time grid on which the video is sampled.
    frame_rate: float
    # Frames in a snippet, L.
    snippet_length: int
    # Frames from the start of a snippet to the start of the next.
    snippet_stride: int

    def __post_init__(self) -> None:
        _require(
            math.isfinite(self.frame_rate) and self.frame_rate > 0,
            f"frame_rate must be a positive number of frames per second, got {self.frame_rate}.",
        )
        slowest, fastest = _FRAME_RATES
        _require(
            slowest <= self.frame_rate <= fastest,
            f"frame_rate must be {slowest:g} to {fastest:g} frames per second, got "
            f"{self.frame_rate:g}.",
        )
        for name in ("snippet_length", "snippet_stride"):
            value = getattr(self, name)
            _require(value >= 1, f"{name} must be at least 1 frame, got {value}.")
            _require(
                value <= _MOST_FRAMES, f"{name} must be at most {_MOST_FRAMES} frames, got {value}."
            )


@dataclass(frozen=True, kw_only=True)
class FrameInput:
    """Engine input `frames` (N, L, height, width, 3) uint8 RGB."""

    # Pixels.
    height: int
    width: int
    # How a frame of another shape gets there: one of RESIZE_MODES.
    resize: str = "stretch"

    def __post_init__(self) -> None:
        _require(
            self.height >= 1 and self.width >= 1,
            f"input height and width must be positive, got {self.height} x {self.width}.",
        )
        _require(
            max(self.height, self.width) <= _MOST_PIXELS_A_SIDE,
            f"input height and width must be at most {_MOST_PIXELS_A_SIDE} pixels, got "
            f"{self.height} x {self.width}.",
        )
        _require(
            self.resize in RESIZE_MODES,
            f"resize must be one of {', '.join(RESIZE_MODES)}, got '{self.resize}'.",
        )


@dataclass(frozen=True, kw_only=True)
class FeatureInput:
    """Engine input `features` (N, size) float32."""

    # Channels of a feature vector, D.
    size: int

    def __post_init__(self) -> None:
        _require(self.size >= 1, f"feature size must be at least 1, got {self.size}.")
        _require(
            self.size <= _MOST_CHANNELS,
            f"feature size must be at most {_MOST_CHANNELS}, got {self.size}.",
        )


@dataclass(frozen=True, kw_only=True)
class SelectionRule:
    """How frame scores follow from selection logits and class probabilities (eqs. 3 to 7)."""

    # Subset of COMPONENTS that is averaged; empty is the naive model (eq. 1), whose weight is 1.
    components: tuple[str, ...]
    # What the temporal softmax is scaled to, one of SCORING_SCALES; sum_one is the literal
    # paper.
    softmax_scale: str
    # How class probabilities were made inside the graph, one of CLASS_ACTIVATIONS; informative.
    class_activation: str
    # mu_l and s_l of the global Gaussian, one per class; empty when it is not in use.
    global_mean: tuple[float, ...] = ()
    global_std: tuple[float, ...] = ()
    # Added to the variance of eq. 3 inside the root.
    variance_epsilon: float = 1e-6

    def __post_init__(self) -> None:
        unknown = set(self.components) - set(COMPONENTS)
        _require(
            not unknown and len(set(self.components)) == len(self.components),
            f"components must be distinct names out of {', '.join(COMPONENTS)}, "
            f"got {list(self.components)}.",
        )
        _require(
            self.softmax_scale in SCORING_SCALES,
            f"softmax_scale must be one of {', '.join(SCORING_SCALES)}, "
            f"got '{self.softmax_scale}'.",
        )
        _require(
            self.class_activation in CLASS_ACTIVATIONS,
            f"class_activation must be one of {', '.join(CLASS_ACTIVATIONS)}, "
            f"got '{self.class_activation}'.",
        )
        _require_numbers(self)
        _require(self.variance_epsilon > 0, "variance_epsilon must be positive.")
        _require(all(s > 0 for s in self.global_std), "every global_std must be positive.")
        _require(
            min(self.variance_epsilon, *self.global_std, 1.0) >= _SMALLEST_DIVISOR,
            f"variance_epsilon and global_std must be at least {_SMALLEST_DIVISOR:g}.",
        )


@dataclass(frozen=True, kw_only=True)
class Prior:
    """Statistics of the training videos' selection logits, for the first seconds of a stream."""

    # Number of pseudo-observations that the prior stands for, in snippets.
    count: float
    # Per class: mean and population variance of the logits.
    mean: tuple[float, ...]
    variance: tuple[float, ...]
    # Per class: log of the mean of exp(logit), and the largest logit of a typical video.
    log_mean_exponential: tuple[float, ...]
    maximum: tuple[float, ...]

    def __post_init__(self) -> None:
        _require_numbers(self)
        _require(self.count >= 0, f"the prior's count must not be negative, got {self.count}.")
        _require(all(v >= 0 for v in self.variance), "the prior's variances must not be negative.")


@dataclass(frozen=True, kw_only=True)
class DetectionRule:
    """How segments follow from frame scores."""

    # Per class: while a video plays, a segment opens above the first and closes at or below the
    # second; a whole video has thresholds of its own.
    open_thresholds: tuple[float, ...]
    close_thresholds: tuple[float, ...]
    # Frame scores are averaged over this many neighbouring snippets (odd) before they meet a
    # threshold; 1 leaves them alone (the paper).
    smoothing_snippets: int = 1
    # A class must also reach this share of the video's largest video score (paper: 0.1).
    video_score_gate: float = 0.1
    # Whole videos: its score must somewhere reach this share of the class's opening threshold, or
    # the class is not there; 0 leaves this out (the paper).
    peak_gate: float = 0.75
    # Only strictly longer segments are kept (paper: 1 s).
    minimum_duration_seconds: float = 1.0
    # How long the score must stay low before a segment ends.
    merge_gap_seconds: float = 0.0
    # Weight of the video score in a segment's score (paper: 0.2).
    video_score_weight: float = 0.2

    def __post_init__(self) -> None:
        _require_numbers(self)
        _require(
            all(
                close <= opening
                for close, opening in zip(self.close_thresholds, self.open_thresholds, strict=False)
            ),
            "no close_threshold may lie above its open_threshold.",
        )
        for name in (
            "minimum_duration_seconds",
            "merge_gap_seconds",
            "peak_gate",
            "video_score_gate",
            "video_score_weight",
        ):
            value = getattr(self, name)
            _require(value >= 0, f"{name} must not be negative, got {value}.")
        _require(
            self.smoothing_snippets >= 1 and self.smoothing_snippets % 2 == 1,
            f"smoothing_snippets must be odd and positive, got {self.smoothing_snippets}.",
        )
        _require(
            self.smoothing_snippets <= _MOST_SMOOTHING,
            f"smoothing_snippets must be at most {_MOST_SMOOTHING}, got {self.smoothing_snippets}.",
        )


@dataclass(frozen=True, kw_only=True)
class Checksum:
    """What an engine looked like when it was exported: SHA-256 in hexadecimal digits."""

    # Of the ONNX file's bytes without its metadata: the graph and its weights.
    graph: str
    # Of the manifest without this record, as compact JSON with sorted keys.
    manifest: str

    def __post_init__(self) -> None:
        for value in (self.graph, self.manifest):
            _require(
                re.fullmatch("[0-9a-f]{64}", value) is not None,
                "a checksum must have 64 hexadecimal digits.",
            )


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything a host needs to turn an engine's outputs into segments."""

    format_version: int
    # Class names, in the order of the engine's output columns.
    classes: tuple[str, ...]
    sampling: Sampling
    selection: SelectionRule
    prior: Prior
    detection: DetectionRule
    # Exactly one of the two is given.
    frames: FrameInput | None = None
    features: FeatureInput | None = None
    # One of GRAPHS.
    graph: str = "snippet"
    # Words for people: what made this engine, and of what.
    provenance: dict[str, str] = field(default_factory=dict)
    # None of an engine that was exported before there was one.
    checksum: Checksum | None = None

    def __post_init__(self) -> None:
        _require(
            self.format_version == FORMAT_VERSION,
            f"the manifest has format version {self.format_version}, this wsgn reads version "
            f"{FORMAT_VERSION}: export the engine again, or install the matching wsgn.",
        )
        _require(
            len(self.classes) >= 1 and len(set(self.classes)) == len(self.classes),
            "the manifest must name at least one class, each once.",
        )
        _require(
            len(self.classes) <= _MOST_CLASSES,
            f"the manifest must name at most {_MOST_CLASSES} classes, got {len(self.classes)}.",
        )
        for words in (*self.classes, *self.provenance, *self.provenance.values()):
            _require_text(words)
        for name in self.classes:
            _require(
                bool(name) and not holds_controls(name),
                f"the class {quoted([name])} is empty, or holds a control character: name it "
                "otherwise and export the engine again.",
            )
        _require(
            (self.frames is None) != (self.features is None),
            "the manifest must describe either frames or features as input.",
        )
        _require(
            self.graph in GRAPHS, f"graph must be one of {', '.join(GRAPHS)}, got '{self.graph}'."
        )
        self._check_lengths()
        if self.frames is not None:
            size = self.snippet_bytes
            _require(
                size <= _MOST_SNIPPET_BYTES,
                f"a snippet of {self.sampling.snippet_length} frames of {self.frames.height} x "
                f"{self.frames.width} pixels takes {size >> 20} MiB, the most is "
                f"{_MOST_SNIPPET_BYTES >> 20} MiB.",
            )

    @property
    def trained_on(self) -> str:
        """A dataset's name, or one of SYNTHETIC; empty where nothing says."""
        return self.provenance.get("trained_on", "")

    @property
    def snippet_bytes(self) -> int:
        """Of one snippet in the engine's input."""
        if self.frames is None:
            assert self.features is not None
            return 4 * self.features.size
        return self.sampling.snippet_length * self.frames.height * self.frames.width * 3

    def _check_lengths(self) -> None:
        expected = len(self.classes)
        lengths = {
            f"prior.{name}": len(getattr(self.prior, name))
            for name in ("mean", "variance", "log_mean_exponential", "maximum")
        }
        for name in ("open_thresholds", "close_thresholds"):
            lengths[f"detection.{name}"] = len(getattr(self.detection, name))
        if "global_gaussian" in self.selection.components:
            lengths["selection.global_mean"] = len(self.selection.global_mean)
            lengths["selection.global_std"] = len(self.selection.global_std)
        for name, length in lengths.items():
            _require(
                length == expected,
                f"the manifest's {name} has {length} values for {expected} classes.",
            )

    def to_json(self) -> str:
        """The document as compact JSON with sorted keys: equal manifests give equal bytes."""
        document = record_to_dict(self)
        if self.checksum is None:
            # As it was before there were any: what was made of its text is still of this engine.
            del document["checksum"]
        return _compact(document)

    def sealed(self, graph_sha256: str) -> Manifest:
        """The manifest with the checksums of a graph and of itself."""
        bare = replace(self, checksum=None)
        own = _own_sha256(json.loads(bare.to_json()))
        return replace(bare, checksum=Checksum(graph=graph_sha256, manifest=own))

    @staticmethod
    def from_json(text: str) -> Manifest:
        """Read a document; a `UsageError` says what is wrong with it."""
        document = read_object(text, what="the manifest", error=UsageError)
        version = document.get("format_version")
        if version != FORMAT_VERSION:
            raise UsageError(
                f"the manifest has format version {version}, this wsgn reads version "
                f"{FORMAT_VERSION}: export the engine again, or install the matching wsgn."
            )
        return record_from_dict(Manifest, document, what="the manifest")


def was_changed(text: str) -> bool:
    """Whether the text of a valid manifest says other things than when it was sealed."""
    document = json.loads(text)
    checksum = document.pop("checksum", None)
    return checksum is not None and checksum["manifest"] != _own_sha256(document)


def _own_sha256(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(_compact(document).encode()).hexdigest()


def _compact(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _require_text(words: str) -> None:
    """Of a length that can be shown, and writable: JSON can hold half of a surrogate pair."""
    _require(
        len(words) <= _LONGEST_NAME,
        f"a name in the manifest is longer than {_LONGEST_NAME} characters.",
    )
    try:
        words.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the manifest's name {words!r} is no text: half of a surrogate pair stands in it."
        ) from error
