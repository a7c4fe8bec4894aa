"""Every decoded frame of a part of a video, at its own time, for as long as a viewer sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from av.video.frame import VideoFrame

from wsgn.video.decoder import DecodedFrame
from wsgn.video.opened_video import OpenedVideo, with_following


@dataclass(frozen=True, eq=False, kw_only=True)
class PlacedFrame:
    """A frame and when it is on show, in seconds from the first frame of the video."""

    frame: VideoFrame
    seconds: float
    end_seconds: float


def placed_frames(
    video: OpenedVideo, start_seconds: float, end_seconds: float
) -> Iterator[PlacedFrame]:
    """The frames that begin from `start_seconds` on and before `end_seconds`, as many as there are.

    Where one that began before stands for longer than a usual frame, or all the time, it leads,
    from `start_seconds` on. What the clock has rounded away counts for neither end; two parts that
    touch share no frame. The last one is as long as it is in the video, but where it stands for
    longer than a usual frame it ends at `end_seconds`.
    """
    slack = video.timeline.tolerance_seconds
    longest_unseen = video.frame_seconds + slack
    held: PlacedFrame | None = None
    begins_behind: float | None = None
    for found in _all_frames(video, start_seconds):
        if found.seconds >= end_seconds - slack:
            begins_behind = found.seconds
            break
        if held is not None:
            is_seen = found.seconds - max(start_seconds, held.seconds) > longest_unseen
            if held.seconds >= start_seconds - slack or is_seen:
                yield from _until(held, start_seconds, found.seconds)
        held = found
    if held is not None:
        last = video.timeline.end_seconds if begins_behind is None else begins_behind
        seconds = max(held.seconds, start_seconds)
        if last - seconds > longest_unseen:
            last = min(last, max(end_seconds, seconds + video.frame_seconds))
        yield from _until(held, start_seconds, last)


def _until(held: PlacedFrame, start_seconds: float, end_seconds: float) -> Iterator[PlacedFrame]:
    """A frame without what lies before the start; none where nothing is left of it."""
    seconds = max(held.seconds, start_seconds)
    if end_seconds > seconds:
        yield replace(held, seconds=seconds, end_seconds=end_seconds)


def _all_frames(video: OpenedVideo, start_seconds: float) -> Iterator[PlacedFrame]:
    """Frames in the order of their times, from some before `start_seconds` on."""
    for item, following in with_following(video.frames(start_seconds), video.timeline):
        if isinstance(item, DecodedFrame):
            placement = video.timeline.place(
                item.pts,
                item.duration_seconds,
                following=following,
                lead_gap=start_seconds == 0,
            )
            yield PlacedFrame(
                frame=item.video_frame,
                seconds=placement.seconds,
                end_seconds=video.timeline.end_seconds,
            )
