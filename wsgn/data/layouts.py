"""Annotations as people have them: JSON, a table, a folder for each class, or files of tools."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from wsgn.data.annotations import Annotations, activitynet_annotations, dataset_name
from wsgn.data.table import is_table, read_table
from wsgn.support.json_input import as_list, as_object, read_json, whole_object

# Of what only one layout has, the module is loaded when that is read: what is a video is known
# beside the decoder, which a JSON or a table needs not.


def read_annotations(
    path: str | os.PathLike[str],
    *,
    labels_from_segments: bool = False,
    frame_rate: float | None = None,
) -> Annotations:
    """Read a dataset's classes and videos.

    Args:
        path: ActivityNet-style JSON, a CSV with the columns video and label, a folder that holds
            a folder of videos for each class (docs/datasets.md), or what people have corrected: a
            file or folder of ELAN, an export of Label Studio, a project of VIA (docs/tools.md).
            Times are seconds.
        labels_from_segments: take video-level labels from the segments always; by default only
            where a video has no labels.
        frame_rate: frames per second where an annotation counts frames and does not say.

    Raises:
        InputError: it cannot be read, or a field is wrong; it says which.
    """
    path = Path(path)
    if (found := _folder_or_table(path, labels_from_segments=labels_from_segments)) is None:
        document = read_json(path)
        found = tool_annotations(
            document, path, labels_from_segments=labels_from_segments, frame_rate=frame_rate
        )
        if found is None:
            database = whole_object(document, f"'{path}'")
            return activitynet_annotations(
                database, path, labels_from_segments=labels_from_segments
            )
    return replace(found, dataset=dataset_name(path))


def is_single_json(path: Path) -> bool:
    """Whether annotations at a path are one JSON document."""
    return not (path.is_dir() or is_table(path) or path.suffix.lower() == ".eaf")


def tool_annotations(
    document: object,
    path: Path,
    *,
    labels_from_segments: bool = False,
    frame_rate: float | None = None,
) -> Annotations | None:
    """Annotations in the JSON of a tool, which was read from the path; None in any other JSON."""
    if isinstance(document, dict) and "database" in document:
        return None
    where = f"'{path}'"
    from wsgn.interchange.label_studio_annotations import is_label_studio, label_studio_annotations
    from wsgn.interchange.via_annotations import is_via, via_annotations

    if is_label_studio(document):
        tasks = as_list(document, where)
        return label_studio_annotations(
            tasks, where, frame_rate=frame_rate, labels_from_segments=labels_from_segments
        )
    if is_via(document):
        project = as_object(document, where)
        return via_annotations(project, where, labels_from_segments=labels_from_segments)
    return None


def _folder_or_table(path: Path, *, labels_from_segments: bool) -> Annotations | None:
    """Of what is no JSON."""
    if is_table(path):
        return read_table(path, labels_from_segments=labels_from_segments)
    if is_single_json(path):
        return None
    from wsgn.interchange.elan_annotations import is_elan, read_elan

    if is_elan(path):
        return read_elan(path, labels_from_segments=labels_from_segments)
    from wsgn.data.class_folders import read_class_folders

    return read_class_folders(path)
