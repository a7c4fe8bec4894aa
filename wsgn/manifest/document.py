"""What a host must know about an engine besides its graph: one strict JSON document."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wsgn.errors import UsageError
from wsgn.manifest.bounds import (
    MOST_CLASSES,
    MOST_SNIPPET_BYTES,
    require,
    require_text,
)
from wsgn.manifest.detection import DetectionRule, MultiThresholdRule
from wsgn.manifest.inputs import FeatureInput, FlowInput, FrameInput, Sampling
from wsgn.manifest.names import AVERAGE, FORMAT_VERSION, GRAPHS
from wsgn.manifest.selection import Prior, SelectionRule
from wsgn.support.json_input import read_object
from wsgn.support.records import record_from_dict, record_to_dict
from wsgn.support.terminal import holds_controls, quoted

# Fields that came later: left out of a document where they say what was meant before. So what was
# made of an older manifest's text (a plan's name, a saved stream) still fits it.
_LATER: dict[str, tuple[str, ...]] = {
    "": ("checksum", "proposals", "flow"),
    "detection": ("alarms",),
    "selection": ("weight_scale", "gate", "gate_level", "video_score"),
    "prior": ("mean_local", "mean_global"),
}


@dataclass(frozen=True, kw_only=True)
class Checksum:
    """What an engine looked like when it was exported: SHA-256 in hexadecimal digits."""

    # Of the ONNX file's bytes without its metadata: the graph and its weights.
    graph: str
    # Of the manifest without this record, as compact JSON with sorted keys.
    manifest: str

    def __post_init__(self) -> None:
        for value in (self.graph, self.manifest):
            require(
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
    # Cuts whole videos where it is given, in place of `detection`.
    proposals: MultiThresholdRule | None = None
    # Exactly one of frames and features is given.
    frames: FrameInput | None = None
    # Of engines that take optical flow beside the frames.
    flow: FlowInput | None = None
    features: FeatureInput | None = None
    # One of GRAPHS.
    graph: str = "snippet"
    # Words for people: what made this engine, and of what.
    provenance: dict[str, str] = field(default_factory=dict)
    # None of an engine that was exported before there was one.
    checksum: Checksum | None = None

    def __post_init__(self) -> None:
        require(
            self.format_version == FORMAT_VERSION,
            f"the manifest has format version {self.format_version}, this wsgn reads version "
            f"{FORMAT_VERSION}: export the engine again, or install the matching wsgn.",
        )
        require(
            len(self.classes) >= 1 and len(set(self.classes)) == len(self.classes),
            "the manifest must name at least one class, each once.",
        )
        require(
            len(self.classes) <= MOST_CLASSES,
            f"the manifest must name at most {MOST_CLASSES} classes, got {len(self.classes)}.",
        )
        for words in (*self.classes, *self.provenance, *self.provenance.values()):
            require_text(words)
        for name in self.classes:
            require(
                bool(name) and not holds_controls(name),
                f"the class {quoted([name])} is empty, or holds a control character: name it "
                "otherwise and export the engine again.",
            )
        require(
            (self.frames is None) != (self.features is None),
            "the manifest must describe either frames or features as input.",
        )
        require(
            self.graph in GRAPHS, f"graph must be one of {', '.join(GRAPHS)}, got '{self.graph}'."
        )
        require(
            self.flow is None or (self.frames is not None and self.graph == "snippet"),
            "optical flow stands beside the frames of a snippet graph.",
        )
        self._check_lengths()
        if self.frames is not None:
            size = self.snippet_bytes
            require(
                size <= MOST_SNIPPET_BYTES,
                f"a snippet of {self.sampling.snippet_length} frames of {self.frames.height} x "
                f"{self.frames.width} pixels takes {size >> 20} MiB, the most is "
                f"{MOST_SNIPPET_BYTES >> 20} MiB.",
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
        pixel = 3 if self.flow is None else 3 + 4 * 2
        return self.sampling.snippet_length * self.frames.height * self.frames.width * pixel

    def _check_lengths(self) -> None:
        expected = len(self.classes)
        lengths = {
            f"prior.{name}": len(getattr(self.prior, name))
            for name in ("mean", "variance", "log_mean_exponential", "maximum")
        }
        for name in ("open_thresholds", "close_thresholds"):
            lengths[f"detection.{name}"] = len(getattr(self.detection, name))
        if (alarms := self.detection.alarms) is not None:
            for name in ("open_thresholds", "hours", "false_alarms"):
                lengths[f"detection.alarms.{name}"] = len(getattr(alarms, name))
        if "global_gaussian" in self.selection.components:
            lengths["selection.global_mean"] = len(self.selection.global_mean)
            lengths["selection.global_std"] = len(self.selection.global_std)
        if self.selection.video_score.bias:
            lengths["selection.video_score.bias"] = len(self.selection.video_score.bias)
        for component, name in (
            ("local_gaussian", "mean_local"),
            ("global_gaussian", "mean_global"),
        ):
            values = getattr(self.prior, name)
            is_wanted = self.selection.weight_scale == AVERAGE
            if values or (is_wanted and component in self.selection.components):
                lengths[f"prior.{name}"] = len(values)
        for name, length in lengths.items():
            require(
                length == expected,
                f"the manifest's {name} has {length} values for {expected} classes.",
            )

    def to_json(self) -> str:
        """The document as compact JSON with sorted keys: equal manifests give equal bytes."""
        document = record_to_dict(self)
        for path, names in _LATER.items():
            record = getattr(self, path) if path else self
            place = document[path] if path else document
            for one in dataclasses.fields(record):
                if one.name in names and getattr(record, one.name) == one.default:
                    del place[one.name]
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
