"""The six protocols once more, as plain loops over lists: the oracle and the speed baseline.

It shares no code with the package: one function per protocol family, one class and one threshold
at a time, seconds in, percent out. It reproduces the known answers by itself (a test says so).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

Span = tuple[float, float]

EXCLUDED = {
    "activitynet-210": {"video_test_0000270", "video_test_0001292", "video_test_0001496"},
    "activitynet-211": {"video_test_0000270", "video_test_0001292"},
}


@dataclass
class Scene:
    """Truth and detections as plain lists."""

    # (video, label, start, end), in file order.
    instances: list[tuple[str, str, float, float]]
    # (video, label, start, end, score), in file order.
    detections: list[tuple[str, str, float, float, float]]
    # Ambiguous intervals of each video.
    ambiguous: dict[str, list[Span]] = field(default_factory=dict)


def plain_map(scene: Scene, protocol: str, tiou: list[float]) -> list[float]:
    """mAP in percent at each threshold."""
    with_instances = {video for video, *_ in scene.instances}
    excluded = EXCLUDED.get(protocol, set())
    limited = protocol in ("activitynet-212", "wtalc")

    def counts(video: str) -> bool:
        return video not in excluded and (video in with_instances or not limited)

    instances = [row for row in scene.instances if counts(row[0])]
    detections = [row for row in scene.detections if counts(row[0])]
    truths: dict[str, dict[str, list[Span]]] = defaultdict(lambda: defaultdict(list))
    for video, label, start, end in instances:
        truths[label][video].append((start, end))
    found: dict[str, list[tuple[str, float, float, float]]] = defaultdict(list)
    for video, label, start, end, score in detections:
        found[label].append((video, start, end, score))
    totals = [0.0] * len(tiou)
    for label, of_label in truths.items():
        ranked = sorted(found[label], key=lambda row: -row[3])
        for index, threshold in enumerate(tiou):
            totals[index] += _class_ap(protocol, of_label, ranked, threshold, scene.ambiguous)
    return [100 * total / len(truths) for total in totals]


def _class_ap(protocol, truths, ranked, threshold, ambiguous):
    positives = sum(len(spans) for spans in truths.values())
    if protocol.startswith("activitynet"):
        return _all_point(_activitynet_flags(truths, ranked, threshold), positives)
    if protocol == "wtalc":
        return _plain_ap(_wtalc_flags(truths, ranked, threshold, ambiguous), positives)
    rows = _thumos_rows(truths, ranked, threshold, ambiguous)
    if protocol == "thumos-2014":
        rows.sort(key=lambda row: (-row[0], not row[1]))
        return _eleven_point([hit for _, hit in rows], positives)
    return _plain_ap([hit for _, hit in rows], positives)


def _intersection(a, b):
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0]))


def _tiou(truth, span):
    shared = _intersection(truth, span)
    union = (truth[1] - truth[0]) + (span[1] - span[0]) - shared
    return shared / union if union > 0 else 0.0


def _of_hull(truth, span):
    shared = _intersection(truth, span)
    return shared / (max(truth[1], span[1]) - min(truth[0], span[0])) if shared > 0 else 0.0


def _activitynet_flags(truths, ranked, threshold):
    taken = set()
    flags = []
    for video, start, end, _ in ranked:
        overlaps = [_tiou(truth, (start, end)) for truth in truths.get(video, [])]
        hit = False
        # Equal overlaps stand as the published evaluator's own expression leaves them.
        for index in np.array(overlaps).argsort()[::-1].tolist():
            if overlaps[index] < threshold:
                break
            if (video, index) not in taken:
                taken.add((video, index))
                hit = True
                break
        flags.append(hit)
    return flags


def _thumos_rows(truths, ranked, threshold, ambiguous):
    by_video = defaultdict(list)
    for index, (video, start, end, _) in enumerate(ranked):
        by_video[video].append((index, (start, end)))
    hits = set()
    for video, spans in truths.items():
        free = list(by_video[video])
        for truth in spans:
            best, best_overlap = None, threshold
            for entry in free:
                overlap = _of_hull(truth, entry[1])
                if overlap > best_overlap:
                    best, best_overlap = entry, overlap
            if best is not None:
                free.remove(best)
                hits.add(best[0])
    rows = []
    for index, (video, start, end, score) in enumerate(ranked):
        touched = any(_intersection(span, (start, end)) > 0 for span in ambiguous.get(video, []))
        if index in hits or not touched:
            rows.append((score, index in hits))
    return rows


def _snippets(span):
    return round(span[0] * 25 / 16), round(span[1] * 25 / 16)


def _wtalc_flags(truths, ranked, threshold, ambiguous):
    free = {video: [_snippets(span) for span in spans] for video, spans in truths.items()}
    flags = []
    for video, start, end, _ in ranked:
        span = _snippets((start, end))
        unsure = [_snippets(interval) for interval in ambiguous.get(video, [])]
        if span[0] == span[1] or any(_intersection(interval, span) > 0 for interval in unsure):
            continue
        hit = False
        for index, truth in enumerate(free.get(video, [])):
            if _tiou(truth, span) >= threshold:
                del free[video][index]
                hit = True
                break
        flags.append(hit)
    return flags


def _plain_ap(flags, positives):
    hits, total = 0, 0.0
    for rank, hit in enumerate(flags, start=1):
        if hit:
            hits += 1
            total += hits / rank
    return total / positives


def _curve(flags, positives):
    hits, precision, recall = 0, [], []
    for rank, hit in enumerate(flags, start=1):
        hits += hit
        precision.append(hits / rank)
        recall.append(hits / positives)
    return precision, recall


def _all_point(flags, positives):
    precision, recall = _curve(flags, positives)
    precision, recall = [0.0, *precision, 0.0], [0.0, *recall, 1.0]
    for index in range(len(precision) - 2, -1, -1):
        precision[index] = max(precision[index], precision[index + 1])
    steps = range(1, len(recall))
    return sum((recall[index] - recall[index - 1]) * precision[index] for index in steps)


def _eleven_point(flags, positives):
    precision, recall = _curve(flags, positives)
    total = 0.0
    for tenth in range(11):
        reached = [p for p, r in zip(precision, recall, strict=True) if r >= tenth / 10]
        total += max(reached, default=0.0)
    return total / 11
