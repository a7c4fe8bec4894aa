"""Evaluation: detection mAP under named protocols, video classification, Charades localization."""

from __future__ import annotations

from wsgn.metrics.annotations import Truth, read_truth
from wsgn.metrics.charades import CharadesResult, evaluate_charades
from wsgn.metrics.charades_files import (
    CharadesTruth,
    read_charades,
    read_submission,
    write_submission,
)
from wsgn.metrics.classification import ClassificationResult, evaluate_classification
from wsgn.metrics.detection import DetectionResult, evaluate_detection
from wsgn.metrics.detections import Detections, read_detections
from wsgn.metrics.protocol import PROTOCOLS, DetectionProtocol

__all__ = [
    "PROTOCOLS",
    "CharadesResult",
    "CharadesTruth",
    "ClassificationResult",
    "DetectionProtocol",
    "DetectionResult",
    "Detections",
    "Truth",
    "evaluate_charades",
    "evaluate_classification",
    "evaluate_detection",
    "read_charades",
    "read_detections",
    "read_submission",
    "read_truth",
    "write_submission",
]
