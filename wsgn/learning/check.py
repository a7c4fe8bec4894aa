"""What is wrong with somebody's clips, said before anything is trained on them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from wsgn.data.annotations import Annotations, VideoAnnotation
from wsgn.data.video_folder import VideoFolder
from wsgn.errors import InputError
from wsgn.support.files import file_sha256
from wsgn.support.terminal import quoted
from wsgn.video.info import VideoInfo
from wsgn.video.opened_video import OpenedVideo

# Fewer of a class cannot be learned from and tried on others.
LEAST_CLIPS = 3
# With fewer, what is found is mostly chance.
FEW_CLIPS = 10


@dataclass(frozen=True, kw_only=True)
class Clip:
    """An annotated video and its file."""

    video: VideoAnnotation
    path: Path
    sha256: str
    info: VideoInfo


@dataclass(kw_only=True)
class CheckedClips:
    """Annotations of what can be used, and what a user should know of the rest."""

    annotations: Annotations
    # Of the content of each clip, by its name.
    digests: dict[str, str] = field(default_factory=dict)
    # Sentences about what was left out, and about what will make the engine worse.
    notices: list[str] = field(default_factory=list)


def check_clips(
    annotations: Annotations,
    folder: Path,
    *,
    least_seconds: float,
    on_clip: Callable[[], None] = lambda: None,
) -> CheckedClips:
    """Open every clip once, and leave out what cannot be used.

    Args:
        annotations: of `read_annotations`.
        folder: that holds the files.
        least_seconds: shorter clips hold no snippet.
        on_clip: hears of every clip that was looked at.

    Raises:
        InputError: what is left cannot be learned from, or one clip is said to show two things.
    """
    checked = CheckedClips(annotations=annotations)
    clips = _readable(annotations.videos, folder, least_seconds, checked, on_clip)
    clips = _without_copies(clips, checked)
    left = tuple(clip.video for clip in clips)
    checked.annotations = replace(annotations, videos=left)
    checked.digests = {clip.video.name: clip.sha256 for clip in clips}
    _tell_of_like_names(checked)
    _require_contrast(checked)
    _tell_of_few(checked)
    _tell_of_formats(clips, annotations.classes, checked)
    return checked


def _readable(
    videos: Sequence[VideoAnnotation],
    folder: Path,
    least_seconds: float,
    checked: CheckedClips,
    on_clip: Callable[[], None],
) -> list[Clip]:
    files = VideoFolder(folder)
    clips = []
    reasons: list[str] = []
    short: list[str] = []
    for video in videos:
        try:
            clip = _clip(video, files.find(video.name))
        except InputError as error:
            reasons.append(str(error).rstrip("."))
        else:
            if (clip.info.duration_seconds or least_seconds) < least_seconds:
                short.append(video.name)
            else:
                clips.append(clip)
        on_clip()
    if reasons:
        more = f", and {len(reasons) - 1} more cannot be read either" if len(reasons) > 1 else ""
        checked.notices.append(f"left out: {reasons[0]}{more}.")
    if short:
        checked.notices.append(
            f"left out: {quoted(short)}, shorter than {least_seconds:g} s, which is a snippet."
        )
    return clips


def _clip(video: VideoAnnotation, path: Path) -> Clip:
    sha256 = file_sha256(path)
    # It decodes the first frame, which shows whether the codec is known.
    with OpenedVideo(path, None) as opened:
        return Clip(video=video, path=path, sha256=sha256, info=opened.info)


def _without_copies(clips: Sequence[Clip], checked: CheckedClips) -> list[Clip]:
    """One clip of each content: a copy that is tried on was seen in training."""
    found: dict[str, Clip] = {}
    copies: list[str] = []
    for clip in clips:
        first = found.setdefault(clip.sha256, clip)
        if first is clip:
            continue
        if first.video.labels != clip.video.labels:
            names = [", ".join(one.video.labels) or "background" for one in (first, clip)]
            raise InputError(
                f"'{first.video.name}' ({names[0]}) and '{clip.video.name}' ({names[1]}) are the "
                "same file: give it all its labels in a table, or take one of the two away."
            )
        copies.append(clip.video.name)
    if copies:
        checked.notices.append(f"left out: {quoted(copies)}, copies of other clips.")
    return list(found.values())


def _tell_of_like_names(checked: CheckedClips) -> None:
    """Say where two classes seem to be one that was written in two ways."""
    alike: dict[str, list[str]] = defaultdict(list)
    for label in checked.annotations.classes:
        alike[re.sub(r"[\W_]+", "", label).casefold()].append(label)
    checked.notices.extend(
        f"{quoted(labels)} are different classes: name them alike if they are one."
        for labels in alike.values()
        if len(labels) > 1
    )


def _require_contrast(checked: CheckedClips) -> None:
    annotations = checked.annotations
    # Why clips are none that can be used.
    reasons = "".join(f" {notice[0].upper()}{notice[1:]}" for notice in checked.notices)
    if not annotations.videos:
        raise InputError(f"none of the clips can be used.{reasons}")
    counts = _counts(annotations)
    few = [label for label in annotations.classes if counts[label] < LEAST_CLIPS]
    if few:
        raise InputError(
            f"{quoted(few)} {_have([counts[label] for label in few])} that can be used: give each "
            f"class at least {LEAST_CLIPS}, better {FEW_CLIPS} or more.{reasons}"
        )
    if len(annotations.classes) == 1 and not counts[""]:
        raise InputError(
            f"all clips show '{annotations.classes[0]}': to find it in a video there must be clips "
            "of other things, in a folder 'background' or of another class."
        )


def _have(counts: Sequence[int]) -> str:
    """ "has 1 clip", and "have no to 2 clips each" of several classes."""
    words = [str(count) if count else "no" for count in sorted({*counts})]
    clips = "clips" if max(counts) > 1 else "clip"
    if len(counts) == 1:
        return f"has {words[0]} {clips}"
    return f"have {' to '.join(dict.fromkeys((words[0], words[-1])))} {clips} each"


def _tell_of_few(checked: CheckedClips) -> None:
    counts = _counts(checked.annotations)
    few = [label for label in checked.annotations.classes if counts[label] < FEW_CLIPS]
    if few:
        checked.notices.append(
            f"few clips of {quoted(few)}: with fewer than {FEW_CLIPS} of a class what is found is "
            "uncertain."
        )
    # Untrimmed videos, whose times are known, have pauses.
    if not counts[""] and not any(video.segments for video in checked.annotations.videos):
        checked.notices.append(
            "no clips of background: in a video where none of the classes happens one of them will "
            "be found; put clips of nothing in particular into a folder 'background'."
        )


def _tell_of_formats(clips: Sequence[Clip], classes: Sequence[str], checked: CheckedClips) -> None:
    """Say where a class can be told by its camera: that is what a network would learn."""
    formats: dict[str, Counter[object]] = defaultdict(Counter)
    for clip in clips:
        info = clip.info
        for label in clip.video.labels or ("",):
            key = (info.codec, info.width, info.height, round(info.frame_rate or 0))
            formats[label][key] += 1
    if len(classes) < 2 and "" not in formats:
        return
    alone = [
        label or "background"
        for label, own in formats.items()
        # Where every clip is cut to a size of its own, sizes tell nothing.
        if 2 * max(own.values()) > own.total()
        and not any(own.keys() & others for name, others in formats.items() if name != label)
    ]
    if alone:
        checked.notices.append(
            f"the clips of {quoted(alone)} differ from all others in size, frame rate or codec: "
            "the camera may be learned in place of the action; mix recordings, or convert them "
            "alike."
        )


def _counts(annotations: Annotations) -> Mapping[str, int]:
    """Videos of each class; '' has those without any."""
    return Counter(_labels(annotations.videos))


def _labels(videos: Iterable[VideoAnnotation]) -> Iterable[str]:
    for video in videos:
        yield from video.labels or ("",)
