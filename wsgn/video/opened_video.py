"""One opened video stream: its frames from the start or from a time, and its declared end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Self

from av.error import FFmpegError

from wsgn.video.decoder import DecodedFrame, DecodeFailure, FrameDecoder, decoder_threads
from wsgn.video.errors import VideoError
from wsgn.video.grid import TIME_TOLERANCE_SECONDS
from wsgn.video.info import choose_stream, declared_duration, frame_seconds, video_info
from wsgn.video.source import DECODER_OPTIONS, Source, index_behind_frames, open_source
from wsgn.video.timeline import Timeline

# Decoding so much from the start is as quick as seeking.
_WORTH_SEEKING_SECONDS = 2.0
# Where a seek lands behind its aim (keyframes are indexed by decoding time), aim so much earlier.
_SEEK_STEPS_BACK_SECONDS = (0.0, 2.0, 20.0)
# First frames so few frame lengths after the stream's declared start are its start.
_START_SLACK_FRAMES = 3
# So many frame lengths may miss at the end before the file counts as truncated.
_END_SLACK_FRAMES = 2.5
_END_SLACK_SECONDS = 0.1


class OpenedVideo:
    """A video opened for reading; its first frame is decoded already."""

    def __init__(self, source: Source, number: int | None) -> None:
        self._source = open_source(source)
        try:
            self._open_stream(number)
        except BaseException:
            self.close()
            raise

    def _open_stream(self, number: int | None) -> None:
        name, container = self._source.name, self._source.container
        self._stream = choose_stream(name, container, number)
        self._stream.thread_type = "AUTO"
        self._stream.thread_count = decoder_threads(self._stream.width, self._stream.height)
        self._stream.codec_context.options = dict(DECODER_OPTIONS)
        self._time_base = self._stream.time_base or Fraction(1, 1000)
        self._frame_seconds = frame_seconds(self._stream)
        self._declared = declared_duration(container, self._stream)
        ambiguous = self._declared is not None and self._declared.of_container
        self._decoder = FrameDecoder(container, self._stream, watch_others=ambiguous)
        self.timeline = Timeline(
            time_base=self._time_base,
            frame_seconds=self._frame_seconds,
            declared_seconds=None if self._declared is None else self._declared.seconds,
            packet_seconds=self._decoder.packet_seconds,
        )
        self._read_first(name)
        self.info = video_info(name, container, self._stream, self._first.video_frame)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the container; may be called again."""
        self._source.container.close()

    @property
    def pixel_aspect(self) -> Fraction | None:
        """Width of a stored pixel over its height."""
        return self._stream.sample_aspect_ratio

    @property
    def gave_up(self) -> bool:
        """Whether decoding stopped because of too many failures in a row."""
        return self._decoder.gave_up

    @property
    def read_error(self) -> Exception | None:
        """What the file object raised, if it did."""
        return None if self._source.stream is None else self._source.stream.error

    def _read_first(self, name: str) -> None:
        """Decode the first frame, and fix time 0 by it."""
        self._items = self._decoder.frames()
        self._first_failures: list[DecodeFailure] = []
        for item in self._items:
            if isinstance(item, DecodedFrame):
                self._first = item
                self.timeline.set_origin(self._origin(item.pts))
                return
            self._first_failures.append(item)
        stream = self._source.stream
        if stream is not None and stream.starts_like_mp4 and not stream.seekable():
            raise index_behind_frames(name)
        reason = f": {self._first_failures[-1].reason}" if self._first_failures else ""
        message = f"{name}: no frame of the video stream can be decoded{reason}."
        raise VideoError("undecodable", message)

    def _origin(self, pts: int | None) -> int | None:
        """Time 0: the first frame, unless frames before it are known to be lost."""
        start = self._stream.start_time
        if pts is None or start is None or start >= pts:
            return pts
        late_seconds = float((pts - start) * self._time_base)
        slack = _START_SLACK_FRAMES * self._frame_seconds
        return start if self._first_failures or late_seconds > slack else pts

    def frames(self, start_seconds: float = 0.0) -> Iterator[DecodedFrame | DecodeFailure]:
        """All frames that can be seen from `start_seconds` on, perhaps some before them."""
        first = self._first.pts
        if self._source.seekable and first is not None:
            begin = self.timeline.seconds_of(first)
            if start_seconds > begin + _WORTH_SEEKING_SECONDS:
                items = self._seek(start_seconds)
                if items is not None:
                    return items
        return itertools.chain(self._first_failures, (self._first,), self._items)

    def _seek(self, start_seconds: float) -> Iterator[DecodedFrame | DecodeFailure] | None:
        """Frames from a keyframe before `start_seconds` on; None when the file cannot seek."""
        found: Iterator[DecodedFrame | DecodeFailure] | None = None
        for back_seconds in (*_SEEK_STEPS_BACK_SECONDS, start_seconds):
            aim = self.timeline.pts_of(max(0.0, start_seconds - back_seconds))
            try:
                self._source.container.seek(aim, stream=self._stream)
            except FFmpegError:
                break
            items = self._decoder.frames()
            head, frame = _until_frame(items)
            found = itertools.chain(head, items)
            if frame is not None and self._lies_before(frame, start_seconds):
                break
        return found

    def _lies_before(self, frame: DecodedFrame, seconds: float) -> bool:
        if frame.pts is None:
            return False
        return self.timeline.seconds_of(frame.pts) <= seconds + TIME_TOLERANCE_SECONDS

    def missing_end(self) -> str | None:
        """Words for how much of the declared duration is missing, after all frames were read."""
        if self._declared is None:
            return None
        end_seconds, declared = self.timeline.end_seconds, self._declared.seconds
        slack = max(_END_SLACK_SECONDS, _END_SLACK_FRAMES * self._frame_seconds)
        # Some containers count from the file's own time 0, and may mean another stream.
        reached = max(end_seconds, self._own_start_seconds() + end_seconds)
        if self._declared.of_container:
            reached = max(reached, self._decoder.others_end_seconds)
        if reached >= declared - slack:
            return None
        return f"ends at {end_seconds:.2f} s of {declared:.2f} s"

    def _own_start_seconds(self) -> float:
        start = self._stream.start_time
        return 0.0 if start is None else float(start * self._time_base)


def _until_frame(
    items: Iterator[DecodedFrame | DecodeFailure],
) -> tuple[list[DecodedFrame | DecodeFailure], DecodedFrame | None]:
    head: list[DecodedFrame | DecodeFailure] = []
    for item in items:
        head.append(item)
        if isinstance(item, DecodedFrame):
            return head, item
    return head, None
