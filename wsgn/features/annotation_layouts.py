"""Annotations of any layout, told apart by what they are on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wsgn.data.annotations import Annotations
from wsgn.data.charades import is_charades, read_charades_annotations
from wsgn.data.layouts import read_annotations
from wsgn.data.table import is_table
from wsgn.errors import UsageError
from wsgn.features.wtalc import is_wtalc_annotations, read_wtalc_annotations

# In the names of the CSV files as Charades is published.
_CSV_SUBSETS = ("train", "test")


def read_any_annotations(
    items: Sequence[str], *, labels_from_segments: bool = False, frame_rate: float | None = None
) -> Annotations:
    """Read annotations of `read_annotations`, a folder of W-TALC's, or Charades' CSV files.

    One of Charades may be given as `SUBSET=PATH`; without that, 'train' or 'test' in its name
    decides.
    """
    if not items:
        raise UsageError("no annotations are named; give a JSON, a CSV or a folder.")
    paths = [Path(item) for item in items]
    if all(_is_csv(item) for item in items) and not _is_single_table(items):
        return read_charades_annotations(
            _by_subset(items), labels_from_segments=labels_from_segments
        )
    if len(paths) > 1:
        raise UsageError("only the CSV files of Charades may be several; name one path.")
    if is_wtalc_annotations(paths[0]):
        return read_wtalc_annotations(paths[0], labels_from_segments=labels_from_segments)
    return read_annotations(
        paths[0], labels_from_segments=labels_from_segments, frame_rate=frame_rate
    )


def _is_csv(item: str) -> bool:
    return item.lower().endswith(".csv")


def _is_single_table(items: Sequence[str]) -> bool:
    """Whether it is one table that is not of Charades."""
    path = Path(items[0])
    return len(items) == 1 and is_table(path) and path.is_file() and not is_charades(path)


def _by_subset(items: Sequence[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for item in items:
        subset, path = _named_subset(item)
        if subset in found:
            raise UsageError(
                f"{path} and {found[subset]} are both of subset '{subset}': give SUBSET=PATH."
            )
        found[subset] = path
    return found


def _named_subset(item: str) -> tuple[str, Path]:
    path = Path(item)
    before, sign, behind = item.partition("=")
    # A path may hold the sign itself.
    if sign and before and not path.exists():
        return before, Path(behind)
    fitting = [subset for subset in _CSV_SUBSETS if subset in path.name.lower()]
    if len(fitting) != 1:
        raise UsageError(f"the subset of {path} does not show in its name: give SUBSET=PATH.")
    return fitting[0], path
