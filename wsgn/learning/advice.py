"""What to do where an engine of one's own clips is bad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wsgn.data.annotations import Annotations
from wsgn.learning.check import FEW_CLIPS
from wsgn.metrics.video_level import BACKGROUND

# Average precision in percent under which a class is not learned.
_GOOD_AP = 70.0
# Share of a class's clips that are taken for one other class, in percent, from which on they are
# said to look alike; and of the clips of background in which a class is found.
_ALIKE, _ALARMS = 30.0, 20.0
# Segments that score less are no finding: the rule of many thresholds ranks all there are. A clip
# that is action throughout has no contrast, so that its video score of 0.6 is one of 0.1.
SHOWN_SCORE = 0.1


def advice(
    annotations: Annotations,
    scores: Mapping[str, Any],
    found: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Iterator[str]:
    """Sentences, most useful first; none where nothing is wrong.

    Args:
        annotations: of all clips, with the subset `train`.
        scores: what `wsgn-predict --json` says of the clips that were kept apart.
        found: segments by video in those.
    """
    level = scores.get("video_level")
    if level is None:
        return
    trained = Counter(
        label for video in annotations.subset("train") for label in video.labels or (BACKGROUND,)
    )
    weak = [label for label, ap in level["AP"].items() if ap is not None and ap < _GOOD_AP]
    for label in weak:
        count = trained[label]
        if count < FEW_CLIPS:
            yield (
                f"'{label}' is not learned well (AP {level['AP'][label]:.0f} %), and only {count} "
                f"clips of it were trained on: add clips, {FEW_CLIPS} or more, of different people "
                "and places."
            )
        else:
            yield (
                f"'{label}' is not learned well (AP {level['AP'][label]:.0f} %) from {count} "
                "clips: see whether they show it whole and near enough, and little else."
            )
    yield from _alike(level["confusion"])
    yield from _alarms(annotations, found)
    if not trained[BACKGROUND]:
        yield "there are no clips of background: add some, of the places where it will be used."


def _alike(confusion: Mapping[str, Any]) -> Iterator[str]:
    columns = confusion["columns"]
    for label, row in confusion["rows"].items():
        total = sum(row)
        if label == BACKGROUND or not total:
            continue
        for other, count in zip(columns, row, strict=True):
            if other != label and 100 * count >= _ALIKE * total and count > 1:
                yield (
                    f"{count} of {total} clips of '{label}' are taken for '{other}': if they look "
                    "alike to you too, make one class of them, or film what tells them apart."
                )


def _alarms(
    annotations: Annotations, found: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Iterator[str]:
    nothing = {video.name for video in annotations.videos if not video.labels} & found.keys()
    for label in annotations.classes:
        count = sum(is_found(label, found[name]) for name in nothing)
        if count > 1 and 100 * count >= _ALARMS * len(nothing):
            yield (
                f"'{label}' is found in {count} of {len(nothing)} clips of background: add "
                "background that looks like it, and take only segments of higher scores "
                "(wsgn-run --min-score)."
            )


def is_found(label: str, segments: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a class is found among a video's segments."""
    return any(one["label"] == label and one["score"] >= SHOWN_SCORE for one in segments)
