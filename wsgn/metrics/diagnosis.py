"""Errors of detection by kind: what each detection did wrong, and what each kind costs.

After DETAD (Alwassel et al., "Diagnosing Error in Temporal Action Detectors", ECCV 2018) and TIDE
(Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020).
Whether a detection is true is the matching of the protocol, so the kinds add up to what mAP counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from wsgn.errors import UsageError
from wsgn.metrics.annotations import Truth
from wsgn.metrics.average_precision import average_precision
from wsgn.metrics.detection import Matched, match_detections
from wsgn.metrics.detections import Detections
from wsgn.metrics.overlap import overlap_pairs
from wsgn.metrics.protocol import DEFAULT_PROTOCOL
from wsgn.support.arrays import BoolArray, FloatArray, IntArray

# What a detection is; the first that fits.
KINDS = ("true", "double", "wrong label", "localisation", "both", "background")
MISSED = "missed"
# Under this overlap a detection has nothing to do with an instance: DETAD and TIDE alike.
BACKGROUND_TIOU = 0.1
# DETAD looks at so many times as many detections of a class as it has instances.
NUM_BANDS = 10
_EXCUSED = -1


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoErrors:
    """One evaluated video that has instances."""

    name: str
    # Mean over its classes of the average precision within the video, in percent.
    ap_percent: float
    num_instances: int
    num_missed: int
    # Detections of each of KINDS.
    counts: IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Diagnosis:
    """The errors of one set of detections at one threshold."""

    protocol: str
    tiou: float
    # (C,) the classes with instances.
    classes: tuple[str, ...]
    # (C, KINDS) detections of each class.
    counts: IntArray
    # (NUM_BANDS, KINDS) of the best G detections of each class with G instances, the next G, ...
    bands: IntArray
    # (C,) instances of each class, each in one: found by a true detection; not, but met by one of
    # a wrong label or localisation; met by none.
    num_found: IntArray
    num_met: IntArray
    num_missed: IntArray
    map_percent: float
    # By how many points mAP rises without the false detections of a kind, or the missed instances.
    gains_percent: Mapping[str, float]
    # Those with the lowest average precision first.
    videos: tuple[VideoErrors, ...]


def diagnose(
    truth: Truth,
    detections: Detections,
    protocol: str = DEFAULT_PROTOCOL,
    tiou: float = 0.5,
    background_tiou: float = BACKGROUND_TIOU,
) -> Diagnosis:
    """What is wrong with detections at a threshold of overlap.

    A detection is the first of these that fits: `true`; `double` (an instance of its class overlaps
    enough, but a better detection has it); `wrong label` (one of another class overlaps enough);
    `localisation` (one of its class overlaps by `background_tiou` or more); `both` (one of another
    class does); `background`. Detections that the protocol excuses, and those of classes without
    instances, are none of them.

    Raises:
        UsageError: `background_tiou` is not above 0 or lies above `tiou`; see also
            `evaluate_detection`.
    """
    if not 0 < background_tiou <= tiou:
        raise UsageError(
            f"Got {background_tiou} as the tIoU of background; give one above 0 and up to the "
            f"threshold, {tiou}."
        )
    matched = match_detections(truth, detections, protocol, (tiou,))
    pairs = _pairs(matched, background_tiou)
    kinds = _kinds(matched, pairs)
    state = _states(matched, pairs, kinds)
    rows = np.searchsorted(matched.classes, matched.ranking.classes)  # (N,)
    instance_rows = np.searchsorted(matched.classes, matched.instance_classes)  # (I,)
    num_classes = len(matched.classes)
    by_state = _table(instance_rows, state, num_classes, 3)
    mean_precision = float(matched.average_precision().mean())
    bands = np.minimum(_places(rows) // matched.num_positives[rows], NUM_BANDS)
    return Diagnosis(
        protocol=matched.rules.name,
        tiou=tiou,
        classes=tuple(truth.classes[index] for index in matched.classes),
        counts=_table(rows, kinds, num_classes, len(KINDS)),
        bands=_table(bands, kinds, NUM_BANDS + 1, len(KINDS))[:NUM_BANDS],
        num_found=by_state[:, 0],
        num_met=by_state[:, 1],
        num_missed=by_state[:, 2],
        map_percent=100 * mean_precision,
        gains_percent=_gains(matched, kinds, by_state[:, 2], mean_precision),
        videos=_videos(truth, matched, kinds, state),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pairs:
    """P pairs of a detection and an instance of its video, of any class."""

    detection: IntArray
    instance: IntArray
    # Of the same class.
    same: BoolArray
    # Overlap as the protocol wants it of a match.
    enough: BoolArray


def _pairs(matched: Matched, minimum: float) -> _Pairs:
    ranking = matched.ranking
    pairs = overlap_pairs(
        replace(ranking.spans, group=ranking.videos),
        replace(matched.instance_spans, group=matched.instance_videos),
        minimum=minimum,
        of_hull=matched.rules.overlap_of_hull,
    )
    tiou = matched.thresholds[0]
    strict = matched.rules.strict_overlap
    return _Pairs(
        detection=pairs.row,
        instance=pairs.column,
        same=ranking.classes[pairs.row] == matched.instance_classes[pairs.column],
        enough=pairs.overlap > tiou if strict else pairs.overlap >= tiou,
    )


def _kinds(matched: Matched, pairs: _Pairs) -> IntArray:
    """The place in KINDS of each detection (N,), or `_EXCUSED`."""

    def any_of(which: BoolArray) -> BoolArray:
        found = np.zeros(len(matched.found), dtype=np.bool_)
        found[pairs.detection[which]] = True
        return found

    fits = [
        matched.hits[:, 0],
        any_of(pairs.same & pairs.enough),
        any_of(~pairs.same & pairs.enough),
        any_of(pairs.same),
        any_of(~pairs.same),
    ]
    kinds = np.select(fits, list(range(len(fits))), default=KINDS.index("background"))
    kinds[matched.excused & ~matched.hits[:, 0]] = _EXCUSED
    return kinds


def _states(matched: Matched, pairs: _Pairs, kinds: IntArray) -> IntArray:
    """Of each instance (I,): 0 found, 1 met by a wrong label or localisation, 2 missed."""
    state = np.full(len(matched.instance_spans), 2)
    of_pair = kinds[pairs.detection]
    wrong_label = (of_pair == KINDS.index("wrong label")) & pairs.enough
    badly_placed = (of_pair == KINDS.index("localisation")) & pairs.same
    state[pairs.instance[wrong_label | badly_placed]] = 1
    found = matched.found[:, 0]
    state[found[found >= 0]] = 0
    return state


def _gains(
    matched: Matched, kinds: IntArray, num_missed: IntArray, before: float
) -> dict[str, float]:
    """Points over a mean AP of `before` that each kind of error costs, by taking it out alone."""
    gains = {}
    for index, kind in enumerate(KINDS[1:], start=1):
        misses = matched.misses & (kinds != index)[:, None]
        gains[kind] = 100 * (float(matched.average_precision(misses).mean()) - before)
    left = matched.num_positives - num_missed
    after = matched.average_precision(num_positives=left)
    # A class of which nothing is left has no average precision any more, unless something false
    # was found of it: as TIDE does.
    rows = np.searchsorted(matched.classes, matched.ranking.classes)
    counted = (left > 0) | (np.bincount(rows, minlength=len(left)) > 0)
    gains[MISSED] = 100 * (float(after[counted].mean()) - before) if counted.any() else 0.0
    return gains


def _videos(
    truth: Truth, matched: Matched, kinds: IntArray, state: IntArray
) -> tuple[VideoErrors, ...]:
    instance_videos = matched.instance_videos
    num_videos = len(truth.videos)
    counts = _table(matched.ranking.videos, kinds, num_videos, len(KINDS))
    missed = np.bincount(instance_videos[state == 2], minlength=num_videos)
    num_instances = np.bincount(instance_videos, minlength=num_videos)
    precision: dict[int, list[float]] = {}
    by_group = np.argsort(matched.ranking.spans.group, kind="stable")  # by falling score inside
    groups = matched.ranking.spans.group[by_group]
    hits, misses = matched.hits, matched.misses
    wanted, first, positives = np.unique(
        matched.instance_spans.group, return_index=True, return_counts=True
    )
    for group, instance, number in zip(wanted, first, positives.tolist(), strict=True):
        begin, end = np.searchsorted(groups, [group, group + 1])
        own = by_group[begin:end]
        found = average_precision(hits[own], misses[own], number, matched.rules.interpolation)
        precision.setdefault(int(instance_videos[instance]), []).append(float(found[0]))
    videos = [
        VideoErrors(
            name=truth.videos[video],
            ap_percent=100 * float(np.mean(values)),
            num_instances=int(num_instances[video]),
            num_missed=int(missed[video]),
            counts=counts[video],
        )
        for video, values in precision.items()
    ]
    return tuple(sorted(videos, key=lambda one: (one.ap_percent, -one.num_instances, one.name)))


def precision_recall(matched: Matched, index: int, recall: FloatArray) -> FloatArray:
    """Precision (R, K) of the class at that place of `classes`, at each of R recalls.

    The falling envelope: the best precision at that recall or a higher one; 0 where none is.
    """
    begin, end = np.searchsorted(
        matched.ranking.classes, [matched.classes[index], matched.classes[index] + 1]
    )
    hits = np.cumsum(matched.hits[begin:end], axis=0)  # (N, K)
    counted = hits + np.cumsum(matched.misses[begin:end], axis=0)
    precision = hits / np.maximum(counted, 1)
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    envelope = np.concatenate([envelope, np.zeros((1, hits.shape[1]))])
    reached = hits / matched.num_positives[index]
    columns = [
        envelope[np.searchsorted(reached[:, column], recall - 1e-9), column]
        for column in range(hits.shape[1])
    ]
    return np.stack(columns, axis=1)


def _places(rows: IntArray) -> IntArray:
    """Of entries sorted by row (N,): how many of the same row stand before each."""
    first = np.searchsorted(rows, rows)
    return np.arange(len(rows)) - first


def _table(rows: IntArray, columns: IntArray, num_rows: int, num_columns: int) -> IntArray:
    """How often each pair occurs, (num_rows, num_columns); columns below 0 do not count."""
    kept = columns >= 0
    flat = rows[kept] * num_columns + columns[kept]
    counts = np.bincount(flat, minlength=num_rows * num_columns)
    return counts.reshape(num_rows, num_columns)
