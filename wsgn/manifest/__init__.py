"""What a host must know about an engine besides its graph: one strict JSON document.

It travels inside an ONNX file's metadata under `METADATA_KEY`, and in a sidecar beside formats that
carry no metadata. docs/manifest.md describes every field for people who write a host of their own.
"""

from wsgn.manifest.detection import AlarmRule, DetectionRule, MultiThresholdRule
from wsgn.manifest.document import Checksum, Manifest, was_changed
from wsgn.manifest.inputs import FeatureInput, FlowInput, FrameInput, Sampling
from wsgn.manifest.names import (
    ACTIVATIONS,
    ATTENTION,
    AVERAGE,
    CLASS_ACTIVATIONS,
    COMPONENTS,
    FLOW_METHODS,
    FORMAT_VERSION,
    GATE_HALF,
    GATES,
    GRAPHS,
    IDENTITY,
    METADATA_KEY,
    PER_FRAME,
    POOLED,
    POOLINGS,
    RESIZE_MODES,
    SCORING_SCALES,
    SELECTIONS,
    SOFT_GATE,
    SOFTMAX_SCALES,
    SYNTHETIC,
    VIDEO_ACTIVATIONS,
    WEIGHT_SCALES,
)
from wsgn.manifest.selection import Prior, SelectionRule, VideoScore

__all__ = [
    "ACTIVATIONS",
    "ATTENTION",
    "AVERAGE",
    "CLASS_ACTIVATIONS",
    "COMPONENTS",
    "FLOW_METHODS",
    "FORMAT_VERSION",
    "GATES",
    "GATE_HALF",
    "GRAPHS",
    "IDENTITY",
    "METADATA_KEY",
    "PER_FRAME",
    "POOLED",
    "POOLINGS",
    "RESIZE_MODES",
    "SCORING_SCALES",
    "SELECTIONS",
    "SOFTMAX_SCALES",
    "SOFT_GATE",
    "SYNTHETIC",
    "VIDEO_ACTIVATIONS",
    "WEIGHT_SCALES",
    "AlarmRule",
    "Checksum",
    "DetectionRule",
    "FeatureInput",
    "FlowInput",
    "FrameInput",
    "Manifest",
    "MultiThresholdRule",
    "Prior",
    "Sampling",
    "SelectionRule",
    "VideoScore",
    "was_changed",
]
