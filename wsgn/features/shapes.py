"""Do the shapes of many videos belong together? Arrays that lie the wrong way show there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from wsgn.errors import InputError
from wsgn.features.file import FeatureInfo
from wsgn.features.time_base import TimedVideo

# Channels of the networks, or pairs of them, whose features are passed on.
_USUAL_WIDTHS = frozenset((512, 768, 1024, 1280, 1408, 1536, 2048, 2304, 3072, 4096))


def check_orientation(
    infos: Mapping[str, FeatureInfo], durations: Mapping[str, float | None]
) -> None:
    """Refuse features that look like (D, T) where (T, D) is needed, as segmentation code has them.

    Then all videos have the same number of rows, as many as networks have channels, and the
    columns differ, or are none that a network has. Durations in seconds, where they are known,
    decide it.
    """
    rows = {info.num_snippets for info in infos.values()}
    if len(rows) != 1:
        return
    timed = [
        TimedVideo(name=name, info=info, duration_seconds=duration)
        for name, info in infos.items()
        if (duration := durations.get(name)) is not None
    ]
    fitting = sum(not video.is_contradicted for video in timed)
    turned = sum(not _turned(video).is_contradicted for video in timed)
    # Of a few seconds both may be true.
    if timed and fitting >= turned:
        return
    if 2 * turned > len(timed) or _looks_turned(infos, *rows):
        some = sorted({info.feature_size for info in infos.values()})
        columns = f"{some[0]} to {some[-1]}" if len(some) > 1 else f"{some[0]}"
        raise InputError(
            f"the features look like (D, T): each of the {len(infos)} videos has {rows.pop()} rows "
            f"and {columns} columns, and rows must be snippets: save the arrays transposed. Where "
            "they are right, annotations with durations show it."
        )


def odd_widths(infos: Mapping[str, FeatureInfo]) -> dict[str, str]:
    """A sentence for each video whose features are not as wide as those of most.

    Raises `InputError` where no width is that of most.
    """
    counts = Counter(info.feature_size for info in infos.values())
    if len(counts) < 2:
        return {}
    (usual, most), *_ = counts.most_common()
    if 2 * most <= len(infos):
        first: dict[int, str] = {}
        for name, info in infos.items():
            first.setdefault(info.feature_size, name)
        words = ", ".join(f"{width} as '{first[width]}'" for width in sorted(counts)[:5])
        raise InputError(
            f"the features have {len(counts)} widths, and none is that of most videos ({words}): "
            "convert those that belong together."
        )
    return {
        name: f"its features are {info.feature_size} wide, those of most videos {usual}: extract "
        "it again, or convert it elsewhere."
        for name, info in infos.items()
        if info.feature_size != usual
    }


def _turned(video: TimedVideo) -> TimedVideo:
    return replace(video, info=replace(video.info, num_snippets=video.info.feature_size))


def _looks_turned(infos: Mapping[str, FeatureInfo], rows: int) -> bool:
    widths = Counter(info.feature_size for info in infos.values())
    # One file of another width is damaged; of lengths hardly any two are the same.
    (_, most), *_ = widths.most_common(1)
    differ = len(widths) > 1 and 2 * most <= len(infos)
    return differ or (rows in _USUAL_WIDTHS and not widths.keys() & _USUAL_WIDTHS)
