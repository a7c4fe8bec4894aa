"""Every decoded frame of a part of a video, at its own time, for as long as a viewer sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from av.video.frame import VideoFrame

from wsgn.video.decoder import DecodeFailure
from wsgn.video.opened_video import OpenedVideo, with_following


@dataclass(frozen=True, eq=False, kw_only=True)
class PlacedFrame:
    """A frame and when it is on show, in seconds from the first frame of the video."""

    frame: VideoFrame
    seconds: float
    end_seconds: float


class PlacedFrames:
    """Iterates the frames that begin from `start_seconds` on and before `end_seconds`, once.

    Where one that began before stands for longer than a usual frame, or all the time, it leads,
    from `start_seconds` on. What the clock has rounded away counts for neither end; two parts that
    touch share no frame. The last one is as long as it is in the video, but where it stands for
    longer than a usual frame it ends at `end_seconds`.
    """

    def __init__(self, video: OpenedVideo, start_seconds: float, end_seconds: float) -> None:
        self._video = video
        self._start = start_seconds
        self._end = end_seconds
        # Packets, some of them before the start, that could not be decoded.
        self.num_failures = 0

    def __iter__(self) -> Iterator[PlacedFrame]:
        slack = self._video.timeline.tolerance_seconds
        longest_unseen = self._video.frame_seconds + slack
        held: PlacedFrame | None = None
        begins_behind: float | None = None
        for found in self._all_frames():
            if found.seconds >= self._end - slack:
                begins_behind = found.seconds
                break
            if held is not None:
                is_seen = found.seconds - max(self._start, held.seconds) > longest_unseen
                if held.seconds >= self._start - slack or is_seen:
                    yield from self._until(held, found.seconds)
            held = found
        if held is not None:
            last = self._video.timeline.end_seconds if begins_behind is None else begins_behind
            seconds = max(held.seconds, self._start)
            if last - seconds > longest_unseen:
                last = min(last, max(self._end, seconds + self._video.frame_seconds))
            yield from self._until(held, last)

    def _until(self, held: PlacedFrame, end_seconds: float) -> Iterator[PlacedFrame]:
        """A frame without what lies before the start; none where nothing is left of it."""
        seconds = max(held.seconds, self._start)
        if end_seconds > seconds:
            yield replace(held, seconds=seconds, end_seconds=end_seconds)

    def _all_frames(self) -> Iterator[PlacedFrame]:
        """Frames in the order of their times, from some before the start on."""
        timeline = self._video.timeline
        for item, following in with_following(self._video.frames(self._start), timeline):
            if isinstance(item, DecodeFailure):
                self.num_failures += 1
                continue
            placement = timeline.place(
                item.pts,
                item.duration_seconds,
                following=following,
                lead_gap=self._start == 0,
            )
            yield PlacedFrame(
                frame=item.video_frame,
                seconds=placement.seconds,
                end_seconds=timeline.end_seconds,
            )
