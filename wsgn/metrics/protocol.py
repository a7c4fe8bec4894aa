"""The named evaluation protocols of temporal action detection.

The same detections differ by up to 10 % in mAP between evaluators in use, so every result carries
the name of its protocol. The first six are those of THUMOS14, `activitynet` serves other datasets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from wsgn.errors import UsageError

DEFAULT_PROTOCOL = "activitynet-210"

# Who chooses whom: a detection (by falling score) takes its best free ground truth, or the first
# free one in file order, or a ground truth (in file order) takes its best free detection.
Matching = Literal["detection_takes_best", "detection_takes_first", "truth_takes_best"]
Interpolation = Literal["none", "all_point", "eleven_point"]
# What becomes of a detection that touches an ambiguous interval: nothing, or it is not counted
# unless it is a true positive, or it is dropped before matching.
AmbiguousRule = Literal["ignore", "excuse", "drop"]


@dataclass(frozen=True, kw_only=True)
class DetectionProtocol:
    """The rules of one way to compute detection mAP."""

    name: str
    # These videos count neither in the ground truth nor in the detections.
    excluded_videos: frozenset[str] = frozenset()
    # Whether videos without any instance are left out as well.
    only_videos_with_instances: bool = False
    matching: Matching = "detection_takes_best"
    # A match needs overlap > threshold instead of >=.
    strict_overlap: bool = False
    # Overlap is intersection over hull; it equals tIoU but for the last bit.
    overlap_of_hull: bool = False
    interpolation: Interpolation = "all_point"
    # Among equal scores of a class true positives come first; otherwise file order decides.
    true_first_on_ties: bool = False
    ambiguous: AmbiguousRule = "ignore"
    # Round all times to snippets of 16 frames at 25 fps.
    rounds_to_snippets: bool = False
    # The subset that its published numbers are computed on; None where it is the dataset's choice.
    subset: str | None = None
    # The thresholds that papers report.
    default_tiou: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


# Annotated up to 713.7 s but 176 s long; ambiguous intervals only; labels that contradict segments.
_WRONG_LENGTH = "video_test_0000270"
_ONLY_AMBIGUOUS = "video_test_0001292"
_WRONG_LABEL = "video_test_0001496"

_ALL = (
    DetectionProtocol(
        name="activitynet-210",
        excluded_videos=frozenset({_WRONG_LENGTH, _ONLY_AMBIGUOUS, _WRONG_LABEL}),
        subset="test",
    ),
    DetectionProtocol(
        name="activitynet-211",
        excluded_videos=frozenset({_WRONG_LENGTH, _ONLY_AMBIGUOUS}),
        subset="test",
    ),
    DetectionProtocol(name="activitynet-212", only_videos_with_instances=True, subset="test"),
    DetectionProtocol(
        name="thumos-2015",
        matching="truth_takes_best",
        strict_overlap=True,
        overlap_of_hull=True,
        interpolation="none",
        ambiguous="excuse",
        subset="test",
    ),
    DetectionProtocol(
        name="thumos-2014",
        matching="truth_takes_best",
        strict_overlap=True,
        overlap_of_hull=True,
        interpolation="eleven_point",
        true_first_on_ties=True,
        ambiguous="excuse",
        subset="test",
    ),
    DetectionProtocol(
        name="wtalc",
        only_videos_with_instances=True,
        matching="detection_takes_first",
        interpolation="none",
        ambiguous="drop",
        rounds_to_snippets=True,
        subset="test",
    ),
    DetectionProtocol(
        name="activitynet",
        default_tiou=(0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95),
    ),
)

# Every protocol by its name.
PROTOCOLS: Mapping[str, DetectionProtocol] = MappingProxyType({rule.name: rule for rule in _ALL})


def detection_protocol(name: str) -> DetectionProtocol:
    """The protocol of that name; `UsageError` where there is none."""
    if name not in PROTOCOLS:
        raise UsageError(f"There is no protocol {name!r}; choose one of {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]
