"""Annotations as people have them: JSON, a table, or a folder for each class."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from wsgn.data.annotations import Annotations, dataset_name, read_activitynet
from wsgn.data.table import is_table, read_table


def read_annotations(
    path: str | os.PathLike[str], *, labels_from_segments: bool = False
) -> Annotations:
    """Read a dataset's classes and videos.

    Args:
        path: ActivityNet-style JSON, a CSV with the columns video and label, or a folder that holds
            a folder of videos for each class (docs/datasets.md). Times are seconds.
        labels_from_segments: take video-level labels from the segments always; by default only
            where a video has no labels.

    Raises:
        InputError: it cannot be read, or a field is wrong; it says which.
    """
    path = Path(path)
    if path.is_dir():
        # Late: what is a video is known beside the decoder, which a JSON or a table needs not.
        from wsgn.data.class_folders import read_class_folders

        found = read_class_folders(path)
    elif is_table(path):
        found = read_table(path, labels_from_segments=labels_from_segments)
    else:
        return read_activitynet(path, labels_from_segments=labels_from_segments)
    return replace(found, dataset=dataset_name(path))
