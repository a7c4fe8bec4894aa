"""Detection mAP@tIoU under a named protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from wsgn.errors import InputError, UsageError
from wsgn.metrics.annotations import Truth
from wsgn.metrics.average_precision import average_precision, true_first_on_ties
from wsgn.metrics.detections import Detections
from wsgn.metrics.matching import matched_truths
from wsgn.metrics.overlap import overlap_pairs, touches_any
from wsgn.metrics.protocol import DEFAULT_PROTOCOL, DetectionProtocol, detection_protocol
from wsgn.metrics.spans import Spans
from wsgn.metrics.video_names import unknown_video
from wsgn.support.arrays import BoolArray, FloatArray, IntArray

# W-TALC's time base: one snippet per 16 frames at 25 fps.
_SNIPPET_FPS = 25
_SNIPPET_FRAMES = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectionResult:
    """mAP of one set of detections, with all that a comparison needs to name."""

    # The protocol's name, and what it counted.
    protocol: str
    num_videos: int
    num_instances: int
    # Detections left out: in videos that the protocol or the subset leaves out.
    num_ignored_detections: int
    # The thresholds.
    tiou: tuple[float, ...]
    # (C,) the classes with instances; the mean goes over these.
    classes: tuple[str, ...]
    # (C, thresholds) average precision in percent.
    average_precision_percent: FloatArray

    @property
    def map_percent(self) -> FloatArray:
        """Mean average precision at each threshold, (thresholds,), in percent."""
        return np.asarray(self.average_precision_percent.mean(axis=0), dtype=np.float64)

    @property
    def average_map_percent(self) -> float:
        """The mean of `map_percent` over the thresholds."""
        return float(self.map_percent.mean())


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranking:
    """The evaluated detections, class by class by falling score."""

    # (N,) index of the class, rising.
    classes: IntArray
    # (N,) index of the video.
    videos: IntArray
    # Seconds, or snippets; grouped by video and class.
    spans: Spans
    scores: FloatArray

    def take(self, index: IntArray | BoolArray) -> Ranking:
        return Ranking(
            classes=self.classes[index],
            videos=self.videos[index],
            spans=self.spans.take(index),
            scores=self.scores[index],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Matched:
    """The evaluated detections, and what each of them found at each of K thresholds."""

    rules: DetectionProtocol
    thresholds: tuple[float, ...]
    # (V,) which videos of the truth are evaluated.
    evaluated: BoolArray
    # (C,) classes with instances: indices into those of the truth, rising.
    classes: IntArray
    # The evaluated instances: their spans, and (I,) indices of video and class.
    instance_spans: Spans
    instance_videos: IntArray
    instance_classes: IntArray
    ranking: Ranking
    # (N, K) which of the instances a detection found, or -1.
    found: IntArray
    # (N,) touches an interval in which nobody can say what happens: no error.
    excused: BoolArray
    num_ignored: int

    @property
    def hits(self) -> BoolArray:
        """Whether a detection is a true positive, (N, K)."""
        return self.found >= 0

    @property
    def misses(self) -> BoolArray:
        """Whether it is a false positive, (N, K)."""
        return (self.found < 0) & ~self.excused[:, None]

    def average_precision(
        self, misses: BoolArray | None = None, num_positives: IntArray | None = None
    ) -> FloatArray:
        """AP (C, K), between 0 and 1, also for other false positives or numbers (C,) to be found.

        Where nothing is to be found it is 0.
        """
        misses = self.misses if misses is None else misses
        if num_positives is None:
            num_positives = self.num_positives
        rows = [
            _class_average_precision(self.ranking, index, self.hits, misses, number, self.rules)
            for index, number in zip(self.classes, num_positives.tolist(), strict=True)
        ]
        return np.stack(rows)

    @property
    def num_positives(self) -> IntArray:
        """Instances of each class, (C,)."""
        return np.bincount(self.instance_classes, minlength=self.classes[-1] + 1)[self.classes]


def evaluate_detection(
    truth: Truth,
    detections: Detections,
    protocol: str = DEFAULT_PROTOCOL,
    tiou: Sequence[float] | None = None,
) -> DetectionResult:
    """Detection mAP: average precision of every class at every threshold of overlap.

    Args:
        truth: of `read_truth`.
        detections: of `read_detections`, or of `Detections.from_segments`. Equal scores keep their
            order. Those in videos of other subsets, or that the protocol leaves out, are ignored
            and counted.
        protocol: a key of `wsgn.metrics.PROTOCOLS`, each of which names its source.
        tiou: thresholds of temporal intersection over union, in (0, 1]; the protocol's own by
            default.

    Returns:
        `average_precision_percent` (C, thresholds) of the C classes with instances, and its means.

    Raises:
        InputError: a detection names a video or label that the truth does not know, or the truth
            has no instance.
        UsageError: an unknown protocol, or a threshold outside (0, 1].
    """
    matched = match_detections(truth, detections, protocol, tiou)
    return DetectionResult(
        protocol=matched.rules.name,
        num_videos=int(matched.evaluated.sum()),
        num_instances=len(matched.instance_spans),
        num_ignored_detections=matched.num_ignored,
        tiou=matched.thresholds,
        classes=tuple(truth.classes[index] for index in matched.classes),
        average_precision_percent=100 * matched.average_precision(),
    )


def match_detections(
    truth: Truth, detections: Detections, protocol: str, tiou: Sequence[float] | None = None
) -> Matched:
    """What each detection found; arguments and errors are those of `evaluate_detection`."""
    rules = detection_protocol(protocol)
    thresholds = _checked_thresholds(rules.default_tiou if tiou is None else tiou)
    evaluated = evaluated_videos(truth, rules)  # (V,)
    instances = np.flatnonzero(evaluated[truth.instance_videos])
    if len(instances) == 0:
        raise InputError(f"The ground truth has no instance in the videos of {protocol!r}.")
    classes = np.unique(truth.instance_classes[instances])
    ranking, num_ignored = _ranking(truth, detections, rules, evaluated, classes)
    ambiguous = _touches_ambiguous(truth, ranking, rules)
    if rules.ambiguous == "drop":
        ranking, ambiguous = ranking.take(~ambiguous), ambiguous[~ambiguous]
    spans = _instance_spans(truth, instances, rules)
    return Matched(
        rules=rules,
        thresholds=thresholds,
        evaluated=evaluated,
        classes=classes,
        instance_spans=spans,
        instance_videos=truth.instance_videos[instances],
        instance_classes=truth.instance_classes[instances],
        ranking=ranking,
        found=_found(spans, ranking, rules, thresholds),
        excused=ambiguous,
        num_ignored=num_ignored,
    )


def _checked_thresholds(tiou: Sequence[float]) -> tuple[float, ...]:
    thresholds = tuple(float(threshold) for threshold in tiou)
    wrong = [threshold for threshold in thresholds if not 0 < threshold <= 1]
    if wrong or not thresholds:
        got = ", ".join(map(str, wrong)) or "nothing"
        raise UsageError(f"Got {got} as tIoU threshold; give one or more above 0 and up to 1.")
    return thresholds


def evaluated_videos(truth: Truth, rules: DetectionProtocol) -> BoolArray:
    """Which videos of the truth (V,) a protocol counts."""
    kept = np.array([video not in rules.excluded_videos for video in truth.videos], dtype=np.bool_)
    if rules.only_videos_with_instances:
        kept &= np.bincount(truth.instance_videos, minlength=len(truth.videos)) > 0
    return kept


def _ranking(
    truth: Truth,
    detections: Detections,
    rules: DetectionProtocol,
    evaluated: BoolArray,
    classes: IntArray,
) -> tuple[Ranking, int]:
    """The detections that count, sorted, and how many lie in videos that do not count."""
    ignored = truth.other_videos | rules.excluded_videos
    videos = _indices(detections.video_ids, truth.videos, "video", ignored)
    labels = _indices(detections.labels, truth.classes, "label")
    inside = (videos >= 0) & evaluated[videos]
    # A class without instances has no average precision, so its detections change nothing.
    kept = np.flatnonzero(inside & np.isin(labels, classes))
    spans = Spans(
        group=videos[kept] * len(truth.classes) + labels[kept],
        start=detections.start_seconds[kept],
        end=detections.end_seconds[kept],
    )
    unsorted = Ranking(
        classes=labels[kept],
        videos=videos[kept],
        spans=_time_base(spans, rules),
        scores=detections.scores[kept],
    )
    if rules.rounds_to_snippets:
        unsorted = unsorted.take(unsorted.spans.end > unsorted.spans.start)
    order = np.lexsort((-unsorted.scores, unsorted.classes))  # stable
    return unsorted.take(order), len(detections) - int(inside.sum())


def _indices(
    names: Sequence[str], known: Sequence[str], what: str, ignored: frozenset[str] = frozenset()
) -> IntArray:
    """The index of each name among the known ones, -1 for an ignored one."""
    index_of = dict.fromkeys(ignored, -1) | {name: index for index, name in enumerate(known)}
    try:
        return np.fromiter((index_of[name] for name in names), dtype=np.int64, count=len(names))
    except KeyError as error:
        name = error.args[0]
        if what == "video":
            raise InputError(unknown_video(name, index_of)) from None
        raise InputError(
            f"The detections have the {what} {name!r}, which the ground truth does not have."
        ) from None


def _time_base(spans: Spans, rules: DetectionProtocol) -> Spans:
    """The spans in the protocol's unit of time: seconds, or whole snippets (half to even)."""
    if not rules.rounds_to_snippets:
        return spans
    return replace(
        spans,
        start=np.rint(spans.start * _SNIPPET_FPS / _SNIPPET_FRAMES),
        end=np.rint(spans.end * _SNIPPET_FPS / _SNIPPET_FRAMES),
    )


def _instance_spans(truth: Truth, instances: IntArray, rules: DetectionProtocol) -> Spans:
    videos, classes = truth.instance_videos[instances], truth.instance_classes[instances]
    seconds = Spans(
        group=videos * len(truth.classes) + classes,
        start=truth.instance_start_seconds[instances],
        end=truth.instance_end_seconds[instances],
    )
    return _time_base(seconds, rules)


def _touches_ambiguous(truth: Truth, ranking: Ranking, rules: DetectionProtocol) -> BoolArray:
    if rules.ambiguous == "ignore":
        return np.zeros(len(ranking.spans), dtype=np.bool_)
    seconds = Spans(
        group=truth.ambiguous_videos,
        start=truth.ambiguous_start_seconds,
        end=truth.ambiguous_end_seconds,
    )
    # An ambiguous interval excuses detections of every class of its video.
    return touches_any(replace(ranking.spans, group=ranking.videos), _time_base(seconds, rules))


def _found(
    instances: Spans, ranking: Ranking, rules: DetectionProtocol, tiou: tuple[float, ...]
) -> IntArray:
    pairs = overlap_pairs(
        ranking.spans, instances, minimum=min(tiou), of_hull=rules.overlap_of_hull
    )
    return matched_truths(
        pairs,
        num_detections=len(ranking.spans),
        num_truths=len(instances),
        tiou=tiou,
        matching=rules.matching,
        strict_overlap=rules.strict_overlap,
    )


def _class_average_precision(
    ranking: Ranking,
    index: int,
    hits: BoolArray,
    misses: BoolArray,
    num_positives: int,
    rules: DetectionProtocol,
) -> FloatArray:
    """AP of one class at every threshold, (thresholds,), between 0 and 1."""
    begin, end = np.searchsorted(ranking.classes, [index, index + 1])
    hits, misses = hits[begin:end], misses[begin:end]
    if rules.true_first_on_ties:
        order = true_first_on_ties(hits, misses, ranking.scores[begin:end])
        hits = np.take_along_axis(hits, order, axis=0)
        misses = np.take_along_axis(misses, order, axis=0)
    return average_precision(hits, misses, max(num_positives, 1), rules.interpolation)
