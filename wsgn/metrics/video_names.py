"""Videos that results and ground truth name in two ways: `test/a.mp4` and `a`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from wsgn.metrics.annotations import Truth
from wsgn.metrics.detections import Detections
from wsgn.support.terminal import printable, quoted

# What ActivityNet puts before the names of files, and not before those of its database.
_ACTIVITYNET = "v_"


def other_names(detections: Detections, truth: Truth) -> dict[str, str]:
    """The truth's names for videos that the detections call otherwise.

    Folders and a video's ending are left aside on both sides. A name is matched where one video of
    the truth, in any subset, and one of the detections can be meant.
    """
    known = {*truth.videos, *truth.other_videos}
    used = dict.fromkeys(detections.video_ids)
    if all(name in known for name in used):
        return {}
    from wsgn.video.files import without_video_suffix

    def plain(name: str) -> str:
        return without_video_suffix(name.replace("\\", "/").rpartition("/")[2])

    by_plain: dict[str, list[str]] = {}
    for name in known:
        by_plain.setdefault(plain(name), []).append(name)
    claims = Counter(plain(name) for name in used)
    return {
        name: by_plain[plain(name)][0]
        for name in used
        if name not in known
        and len(by_plain.get(plain(name), ())) == 1
        and claims[plain(name)] == 1
    }


def renamed(detections: Detections, names: Mapping[str, str]) -> Detections:
    """The detections with the truth's names."""
    return replace(detections, video_ids=[names.get(name, name) for name in detections.video_ids])


def renaming_sentence(names: Mapping[str, str]) -> str:
    """What to tell of `other_names`."""
    first, second = next(iter(names.items()))
    count = f"{len(names)} videos are" if len(names) > 1 else "1 video is"
    return (
        f"{count} named otherwise in the ground truth: '{printable(first)}' is taken for "
        f"'{printable(second)}'{', and so on' if len(names) > 1 else ''}."
    )


def unknown_video(name: str, known: Iterable[str]) -> str:
    """A sentence for a video that the truth does not have, with a name that is near."""
    known = set(known)
    sentence = f"The detections have the video {name!r}, which the ground truth does not have"
    bare = name.removeprefix(_ACTIVITYNET)
    if bare != name and bare in known:
        return f"{sentence}; it has {bare!r}: take the {_ACTIVITYNET!r} off the names."
    if _ACTIVITYNET + name in known:
        wanted = _ACTIVITYNET + name
        return f"{sentence}; it has {wanted!r}: put {_ACTIVITYNET!r} before the names."
    last = name.rpartition("/")[2].partition(".")[0]
    near = sorted(other for other in known if other.rpartition("/")[2].partition(".")[0] == last)
    if last and near:
        return f"{sentence}; it has {quoted(near[:5])}: name it so."
    return f"{sentence}."
