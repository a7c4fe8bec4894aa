"""What video scores are worth where labels are all that is known: mAP, accuracy, confusion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wsgn.metrics.classification import evaluate_classification
from wsgn.support.arrays import BoolArray, FloatArray, IntArray
from wsgn.support.tables import columns

# What is said where the annotations have no times.
NOT_LOCALISED = (
    "the annotations have labels and no times: localisation was not scored, only whether the "
    "right videos score highest"
)
# Rows of the confusion matrix of videos without a label.
BACKGROUND = "(none)"
# A matrix of more classes is no table that people read.
_MOST_SHOWN = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoLevelResult:
    """How video scores fit the labels of V videos."""

    num_videos: int
    classes: tuple[str, ...]
    # Of video classification: mean over the classes that some video has, and of each (C,), NaN for
    # others.
    map_percent: float
    average_precision_percent: FloatArray
    # Share of the videos with a label whose largest score is of one of their labels; NaN of one
    # class only, which then always is the largest.
    accuracy_percent: float
    # (C + 1, C): videos with exactly one label, and in the last row those without any, by the class
    # of their largest score.
    confusion: IntArray

    def as_object(self) -> dict[str, object]:
        """For JSON; None stands for what no video has."""
        known = ~np.isnan(self.average_precision_percent)
        return {
            "videos": self.num_videos,
            "mAP": self.map_percent,
            "AP": {
                label: float(value) if is_known else None
                for label, value, is_known in zip(
                    self.classes, self.average_precision_percent, known, strict=True
                )
            },
            "accuracy": None if np.isnan(self.accuracy_percent) else self.accuracy_percent,
            "confusion": {"columns": list(self.classes), "rows": self._rows()},
        }

    def _rows(self) -> dict[str, list[int]]:
        names = (*self.classes, BACKGROUND)
        rows = zip(names, self.confusion.tolist(), strict=True)
        return {name: row for name, row in rows if any(row)}

    def as_text(self) -> str:
        """Lines for people: the numbers, and the confusion matrix where it fits."""
        accuracy = (
            "" if np.isnan(self.accuracy_percent) else (f", accuracy {self.accuracy_percent:.1f} %")
        )
        text = (
            f"video classification mAP {self.map_percent:.1f} %{accuracy} of {self.num_videos} "
            "videos"
        )
        rows = self._rows()
        if len(self.classes) == 1 or len(self.classes) > _MOST_SHOWN or not rows:
            return text
        cells = [["labelled / scored as", *self.classes]]
        cells += [[name, *map(str, row)] for name, row in rows.items()]
        return f"{text}\n{columns(cells, least=4)}".removesuffix("\n")


def evaluate_video_level(
    video_scores: FloatArray, labels: BoolArray, classes: tuple[str, ...]
) -> VideoLevelResult:
    """How scores (V, C) fit labels (V, C).

    Raises:
        InputError: no video has a label.
    """
    classified = evaluate_classification(video_scores, labels)
    chosen = video_scores.argmax(axis=1)  # (V,)
    labelled = labels.any(axis=1)
    hits = labels[np.arange(len(labels)), chosen][labelled]
    confusion = np.zeros((len(classes) + 1, len(classes)), dtype=np.int64)
    single = labels.sum(axis=1) == 1
    np.add.at(confusion, (labels.argmax(axis=1)[single], chosen[single]), 1)
    np.add.at(confusion, (len(classes), chosen[~labelled]), 1)
    return VideoLevelResult(
        num_videos=len(labels),
        classes=classes,
        map_percent=classified.map_percent,
        average_precision_percent=classified.average_precision_percent,
        accuracy_percent=100 * float(hits.mean()) if len(classes) > 1 else float("nan"),
        confusion=confusion,
    )
