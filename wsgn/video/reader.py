"""Reads a video along a time grid: the one way in which training and the runtime see frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Self

from wsgn.errors import UsageError
from wsgn.support.arrays import UInt8Array
from wsgn.video.decoder import DecodedFrame, DecodeFailure
from wsgn.video.frames_in_memory import FramesInMemory, OpenedFrames
from wsgn.video.grid import (
    TIME_TOLERANCE_SECONDS,
    FrameGrid,
    Gap,
    GridCursor,
    Notice,
    ReadSummary,
    SampledFrame,
)
from wsgn.video.info import VideoInfo
from wsgn.video.opened_video import OpenedVideo, with_following
from wsgn.video.resize import Scaler
from wsgn.video.source import Source

# A source of one frame that is shown so long is a picture, such as a thumbnail; one of a short
# frame is a clip too short.
_PICTURE_SECONDS = 0.5


class _HeldFrame:
    """The frame that is on show; it is scaled when a grid point first falls on it."""

    def __init__(self, frame: DecodedFrame, epoch: int, scaler: Scaler) -> None:
        self._frame = frame
        self._scaler = scaler
        self._image: UInt8Array | None = None
        self.epoch = epoch

    def image(self) -> UInt8Array:
        """(H, W, 3) uint8 RGB."""
        if self._image is None:
            self._image = self._scaler.image(self._frame.video_frame)
        return self._image


class VideoReader:
    """Iterates the sampled frames of a video, with gaps and notices where they happen, once.

    `source` is a path, a URL or a binary file object (not necessarily seekable), or frames in
    memory. `stream` counts the video streams from 0, without cover art. Only grid points from
    `start_seconds` on and before `end_seconds` are given; their times remain those of the whole
    video. With `input_rate` frames come so often in a second, whatever the file says. Raises
    `InputError` (a `VideoError`, with a `code`) when there is nothing to read.
    """

    def __init__(
        self,
        source: Source | FramesInMemory,
        grid: FrameGrid,
        *,
        stream: int | None = None,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
        input_rate: float | None = None,
    ) -> None:
        self._start_seconds = 0.0 if start_seconds is None else start_seconds
        self._end_seconds = math.inf if end_seconds is None else end_seconds
        if not 0 <= self._start_seconds < self._end_seconds:
            raise UsageError(
                "start_seconds must not be negative and must lie before end_seconds, "
                f"got {start_seconds} and {end_seconds}."
            )
        self._video = (
            OpenedFrames(source, 1 / grid.frame_rate)
            if isinstance(source, FramesInMemory)
            else OpenedVideo(source, stream, input_rate=input_rate)
        )
        self._grid = grid
        self._scaler = Scaler(grid, self._video.pixel_aspect)
        self._cursor = GridCursor(grid.frame_rate, self._start_seconds, end_seconds)
        self._held: _HeldFrame | None = None
        self._complete = False
        self._num_sampled = 0
        self._num_decoded = 0
        self._num_damaged = 0
        self._num_failures = 0
        self._noticed: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a file object that was handed in stays open."""
        self._held = None
        self._video.close()

    @property
    def info(self) -> VideoInfo:
        """What the video says about itself."""
        return self._video.info

    @property
    def summary(self) -> ReadSummary:
        """What became of the reading so far; `complete` only once the end was reached."""
        return ReadSummary(
            complete=self._complete,
            seconds=self._video.timeline.end_seconds,
            num_frames_decoded=self._num_decoded,
            num_frames_sampled=self._num_sampled,
            decode_failures=self._num_failures,
            num_frames_damaged=self._num_damaged,
        )

    def __iter__(self) -> Iterator[SampledFrame | Gap | Notice]:
        yield from self._video.notices
        for item, following in self._items():
            if isinstance(item, DecodeFailure):
                yield from self._count_failure(item)
                continue
            yield from self._advance(item, following)
            if self._video.timeline.last_seconds >= self._end_seconds - TIME_TOLERANCE_SECONDS:
                self._complete = True
                return
        yield from self._finish()

    def _items(self) -> Iterator[tuple[DecodedFrame | DecodeFailure, int | None]]:
        """What the video gives; with a frame that jumps in time, the timestamp of the next one."""
        return with_following(self._video.frames(self._start_seconds), self._video.timeline)

    def _count_failure(self, failure: DecodeFailure) -> Iterator[Notice]:
        self._num_failures += 1
        yield from self._notice("decode_failure", f"damaged data is left out ({failure.reason})")

    def _advance(
        self, frame: DecodedFrame, following: int | None
    ) -> Iterator[SampledFrame | Gap | Notice]:
        """Show the held frame until the new one begins, then hold that."""
        self._num_decoded += 1
        placement = self._video.timeline.place(
            frame.pts,
            frame.duration_seconds,
            following=following,
            lead_gap=self._start_seconds == 0,
        )
        if placement.notice is not None:
            yield placement.notice
        if frame.video_frame.is_corrupt:
            self._num_damaged += 1
            yield from self._notice("damaged_picture", "a frame is damaged")
        for code, message in self._scaler.doubts(frame.video_frame):
            yield from self._notice(code, message)
        gap = placement.gap
        yield from self._show(placement.seconds if gap is None else gap.from_seconds)
        if gap is not None and gap.to_seconds > self._start_seconds:
            yield gap
        self._cursor.skip_to(placement.seconds, self._video.timeline.tolerance_seconds)
        self._held = _HeldFrame(frame, placement.epoch, self._scaler)

    def _show(self, until_seconds: float) -> Iterator[SampledFrame]:
        if self._held is None:
            return
        tolerance = self._video.timeline.tolerance_seconds
        for index in self._cursor.take_until(until_seconds, tolerance):
            self._num_sampled += 1
            seconds = self._cursor.seconds(index)
            yield SampledFrame(index, seconds, self._held.epoch, self._held.image())

    def _finish(self) -> Iterator[SampledFrame | Notice]:
        end_seconds = self._video.timeline.end_seconds
        yield from self._show(end_seconds)
        missing_end, late_end = self._video.missing_end(), self._video.late_end()
        if self._num_decoded == 1 and end_seconds >= _PICTURE_SECONDS and self._start_seconds == 0:
            message = f"one frame only, shown for {end_seconds:.2f} s: a picture, not a film"
            yield Notice("single_frame", message, 0.0)
        if late_end is not None:
            yield Notice("late_end", late_end, end_seconds)
        if self._video.read_error is not None:
            yield from self._notice("read_error", f"reading failed ({self._video.read_error})")
        elif self._video.gave_up:
            yield from self._notice("undecodable", "what follows cannot be decoded")
        if missing_end is not None and end_seconds < self._end_seconds:
            yield Notice("truncated", missing_end, end_seconds)
        else:
            self._complete = self._video.read_error is None and not self._video.gave_up

    def _notice(self, code: str, message: str) -> Iterator[Notice]:
        if code not in self._noticed:
            self._noticed.add(code)
            seconds = self._video.timeline.end_seconds
            yield Notice(code, f"{message} (first at {seconds:.2f} s)", seconds)


def probe(source: Source, *, stream: int | None = None) -> VideoInfo:
    """What a video says about itself; its first frame is decoded for it."""
    with OpenedVideo(source, stream) as video:
        return video.info
