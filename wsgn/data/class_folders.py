"""Annotations in a folder: the videos of each class lie in a folder of its name."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from wsgn.data.annotations import Annotations, VideoAnnotation, checked_annotations
from wsgn.data.names import is_background, subset_of_folder
from wsgn.data.table import DEFAULT_SUBSET
from wsgn.errors import InputError
from wsgn.support.files import input_errors
from wsgn.support.terminal import quoted
from wsgn.video.files import is_video_name, video_files, without_video_suffix

_LAYOUT = "walk/1.mp4, walk/2.mp4, jump/1.mp4, background/1.mp4"


def read_class_folders(folder: Path) -> Annotations:
    """The videos of a folder that has a folder for each class: `walk/1.mp4`, `jump/2.mp4`.

    Folders `train`, `val` or `validation`, and `test` above the classes name subsets; without them
    all videos are of `train`. What lies in `background`, `nothing` or `negative` has no label. A
    video is named by its path from the folder on, without its ending.

    Raises:
        InputError: there is no such folder, no class, or a file that belongs to none.
    """
    with input_errors(str(folder)):
        tree = video_files(folder)
    if not tree.videos:
        raise InputError(f"{folder} holds no videos: it needs a folder for each class ({_LAYOUT}).")
    placed = [(path, path.relative_to(folder).parts[:-1]) for path in tree.videos]
    bare = [path for path, parents in placed if not _class_of(parents)]
    if bare:
        shown = quoted([path.name for path in bare])
        raise InputError(
            f"{shown} in {folder} lie in no folder of a class: put each video into one ({_LAYOUT}; "
            "videos in which nothing happens into background)."
        )
    stems = Counter(_name(folder, path) for path in tree.videos)
    videos: list[VideoAnnotation] = []
    classes: set[str] = set()
    for path, parents in placed:
        label = _class_of(parents)
        name = _name(folder, path)
        labels = () if is_background(label) else (label,)
        classes.update(labels)
        videos.append(
            VideoAnnotation(
                # Two files that differ in their ending only.
                name=name if stems[name] == 1 else path.relative_to(folder).as_posix(),
                subset=subset_of_folder(parents[0]) or DEFAULT_SUBSET,
                duration_seconds=None,
                labels=labels,
                segments=(),
            )
        )
    _require_no_empty_class(folder, {parents[0] for _, parents in placed}, classes)
    return checked_annotations(str(folder), tuple(sorted(classes)), videos)


def _name(folder: Path, path: Path) -> str:
    return without_video_suffix(path.relative_to(folder).as_posix())


def _class_of(parents: tuple[str, ...]) -> str:
    """The name of the folder of the class; empty for a file outside of one."""
    if parents and subset_of_folder(parents[0]) is not None:
        parents = parents[1:]
    return parents[0] if parents else ""


def _require_no_empty_class(folder: Path, used: set[str], classes: set[str]) -> None:
    """Refuse a folder that looks like a class's and holds no video."""
    with input_errors(str(folder)):
        roots = [folder / name for name in used if subset_of_folder(name) is not None] or [folder]
        for root in roots:
            for path in sorted(root.iterdir()):
                if path.is_dir() and not path.name.startswith(".") and _is_unused(path, classes):
                    raise InputError(
                        f"the folder '{path}' holds no video that can be read: put videos of the "
                        "class in, or take it away."
                    )


def _is_unused(path: Path, classes: set[str]) -> bool:
    if path.name in classes or is_background(path.name) or subset_of_folder(path.name):
        return False
    return not any(is_video_name(file) for file in path.rglob("*"))
