"""Reads a video along a time grid: the one way in which training and the runtime see pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Self

from wsgn.errors import UsageError
from wsgn.support.arrays import UInt8Array
from wsgn.video.film import Film
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
from wsgn.video.pictures import DecodeFailure, Picture
from wsgn.video.resize import Scaler
from wsgn.video.source import Source


class _HeldPicture:
    """The picture that is on show; it is scaled when a grid point first falls on it."""

    def __init__(self, picture: Picture, epoch: int, scaler: Scaler) -> None:
        self._picture = picture
        self._scaler = scaler
        self._image: UInt8Array | None = None
        self.epoch = epoch

    def image(self) -> UInt8Array:
        """(H, W, 3) uint8 RGB."""
        if self._image is None:
            self._image = self._scaler.image(self._picture.frame)
        return self._image


class VideoReader:
    """Iterates the sampled frames of a video, with gaps and notices where they happen, once.

    `source` is a path, a URL or a binary file object (not necessarily seekable). `stream` counts
    the video streams from 0, without cover art. Only grid points from `start_seconds` on and
    before `end_seconds` are given; their times remain those of the whole video. Raises
    `InputError` (a `VideoError`, with a `code`) when there is nothing to read.
    """

    def __init__(
        self,
        source: Source,
        grid: FrameGrid,
        *,
        stream: int | None = None,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
    ) -> None:
        self._start_seconds = 0.0 if start_seconds is None else start_seconds
        self._end_seconds = math.inf if end_seconds is None else end_seconds
        if not 0 <= self._start_seconds < self._end_seconds:
            raise UsageError(
                "start_seconds must not be negative and must lie before end_seconds, "
                f"got {start_seconds} and {end_seconds}."
            )
        self._film = Film(source, stream)
        self._grid = grid
        self._scaler = Scaler(grid, self._film.pixel_aspect)
        self._cursor = GridCursor(grid.frame_rate, self._start_seconds, end_seconds)
        self._held: _HeldPicture | None = None
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
        self._film.close()

    @property
    def info(self) -> VideoInfo:
        """What the video says about itself."""
        return self._film.info

    @property
    def summary(self) -> ReadSummary:
        """What became of the reading so far; `complete` only once the end was reached."""
        return ReadSummary(
            complete=self._complete,
            seconds=self._film.timeline.end_seconds,
            num_frames_decoded=self._num_decoded,
            num_frames_sampled=self._num_sampled,
            decode_failures=self._num_failures,
            num_frames_damaged=self._num_damaged,
        )

    def __iter__(self) -> Iterator[SampledFrame | Gap | Notice]:
        for item in self._film.pictures(self._start_seconds):
            if isinstance(item, DecodeFailure):
                yield from self._count_failure(item)
                continue
            yield from self._advance(item)
            if self._film.timeline.last_seconds >= self._end_seconds - TIME_TOLERANCE_SECONDS:
                self._complete = True
                return
        yield from self._finish()

    def _count_failure(self, failure: DecodeFailure) -> Iterator[Notice]:
        self._num_failures += 1
        yield from self._notice("decode_failure", f"damaged data is left out ({failure.reason})")

    def _advance(self, picture: Picture) -> Iterator[SampledFrame | Gap | Notice]:
        """Show the held picture until the new one begins, then hold that."""
        self._num_decoded += 1
        place = self._film.timeline.place(
            picture.pts, picture.duration_seconds, lead_gap=self._start_seconds == 0
        )
        if place.notice is not None:
            yield place.notice
        if picture.frame.is_corrupt:
            self._num_damaged += 1
            yield from self._notice("damaged_picture", "a picture is damaged")
        yield from self._show(place.seconds if place.gap is None else place.gap.from_seconds)
        if place.gap is not None and place.gap.to_seconds > self._start_seconds:
            yield place.gap
        self._cursor.skip_to(place.seconds)
        self._held = _HeldPicture(picture, place.epoch, self._scaler)

    def _show(self, until_seconds: float) -> Iterator[SampledFrame]:
        if self._held is None:
            return
        for index in self._cursor.take_until(until_seconds):
            self._num_sampled += 1
            seconds = self._cursor.seconds(index)
            yield SampledFrame(index, seconds, self._held.epoch, self._held.image())

    def _finish(self) -> Iterator[SampledFrame | Notice]:
        end_seconds = self._film.timeline.end_seconds
        yield from self._show(end_seconds)
        missing_end = self._film.missing_end()
        if self._film.read_error is not None:
            yield from self._notice("read_error", f"reading failed ({self._film.read_error})")
        elif self._film.gave_up:
            yield from self._notice("undecodable", "what follows cannot be decoded")
        if missing_end is not None and end_seconds < self._end_seconds:
            yield Notice("truncated", missing_end, end_seconds)
        else:
            self._complete = self._film.read_error is None and not self._film.gave_up

    def _notice(self, code: str, message: str) -> Iterator[Notice]:
        if code not in self._noticed:
            self._noticed.add(code)
            seconds = self._film.timeline.end_seconds
            yield Notice(code, f"{message} (first at {seconds:.2f} s)", seconds)


def probe(source: Source, *, stream: int | None = None) -> VideoInfo:
    """What a video says about itself; its first picture is decoded for it."""
    with Film(source, stream) as film:
        return film.info
