"""One opened video stream: its frames from the start or from a time, and its declared end."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import Self

from av.error import FFmpegError

from wsgn.errors import UsageError
from wsgn.video.decoder import DecodedFrame, DecodeFailure, FrameDecoder, decoder_threads
from wsgn.video.errors import VideoError
from wsgn.video.grid import MAXIMUM_FRAME_RATE, MINIMUM_FRAME_RATE, Notice
from wsgn.video.info import declared_duration, frame_rate, frame_seconds, video_info
from wsgn.video.presentation import CountedTimes, PresentationTimes
from wsgn.video.source import DECODER_OPTIONS, Source, index_behind_frames, open_source
from wsgn.video.streams import choose_stream
from wsgn.video.timeline import JUMP_SECONDS, Timeline

# Decoding so much from the start is as quick as seeking.
_WORTH_SEEKING_SECONDS = 2.0
# Where a seek lands behind its aim (keyframes are indexed by decoding time), aim so much earlier.
_SEEK_STEPS_BACK_SECONDS = (0.0, 2.0, 20.0)
# First frames so few frame lengths after the stream's declared start are its start.
_START_SLACK_FRAMES = 3
# So many frame lengths may miss at the end before the file counts as truncated.
_END_SLACK_FRAMES = 2.5
_END_SLACK_SECONDS = 0.1
# An end that lies so much later than declared is worth a word: one of the two is wrong.
_LATE_END_SECONDS = 1.0
_LATE_END_PART = 0.02
# Exact for every rate in use, 24000/1001 among them.
_RATE_DENOMINATOR = 1_000_000


class OpenedVideo:
    """A video opened for reading; its first frame is decoded already.

    With `input_rate` frames come so often in a second, whatever their timestamps say.
    """

    def __init__(
        self, source: Source, number: int | None, *, input_rate: float | None = None
    ) -> None:
        if input_rate is not None and not MINIMUM_FRAME_RATE <= input_rate <= MAXIMUM_FRAME_RATE:
            raise UsageError(
                f"the input rate must be {MINIMUM_FRAME_RATE:g} to {MAXIMUM_FRAME_RATE:g} frames "
                f"per second, got {input_rate}."
            )
        self._input_rate = input_rate
        # What is to be said before the first frame.
        self.notices: list[Notice] = []
        self._source = open_source(source)
        try:
            self._open_stream(number)
        except BaseException:
            self.close()
            raise

    def _open_stream(self, number: int | None) -> None:
        name, container = self._source.name, self._source.container
        clock = self._source.clock
        chosen = choose_stream(name, container, number)
        if chosen.remark is not None:
            self.notices.append(Notice("several_streams", chosen.remark, 0.0))
        self._stream = chosen.stream
        self._stream.thread_type = "AUTO"
        self._stream.thread_count = decoder_threads(self._stream.width, self._stream.height)
        self._stream.codec_context.options = dict(DECODER_OPTIONS)
        self._declared = declared_duration(container, self._stream)
        self._times = PresentationTimes(
            has_pts=clock.has_pts, sparse=clock.sparse, wrap_ticks=clock.wrap_ticks
        )
        self._time_base = self._stream.time_base or Fraction(1, 1000)
        self._frame_seconds = frame_seconds(self._stream)
        if self._input_rate is not None:
            self._declared = None
            self._times = CountedTimes()
            self._time_base = 1 / Fraction(self._input_rate).limit_denominator(_RATE_DENOMINATOR)
            self._frame_seconds = float(self._time_base)
        ambiguous = self._declared is not None and self._declared.of_container
        self._decoder = FrameDecoder(
            container,
            self._stream,
            times=self._times,
            packets=chosen.packets,
            watch_others=ambiguous,
        )
        is_header = self._declared is not None and clock.declares_end
        self._header_seconds = self._declared.seconds if self._declared and is_header else None
        self.timeline = Timeline(
            time_base=self._time_base,
            frame_seconds=self._frame_seconds,
            declared_seconds=self._header_seconds,
            packet_seconds=self._decoder.packet_seconds,
            wrap_ticks=None if self._input_rate is not None else clock.wrap_ticks,
        )
        self._read_first(name)
        self.info = video_info(
            name,
            container,
            self._stream,
            self._first.video_frame,
            rate=self._rate(),
            origin_seconds=self.origin_seconds(),
        )

    def _rate(self) -> float | None:
        """Frames per second, as said by the user, the file or the codec."""
        if self._input_rate is not None:
            return self._input_rate
        if self._source.clock.has_times:
            return frame_rate(self._stream)
        # Only the codec can know; without it this is what libavformat takes.
        seconds = self._first.duration_seconds or self._frame_seconds
        message = (
            "the file has no timestamps: its frames are taken to come at "
            f"{1 / seconds:.6g} per second (wsgn-run --input-rate says another)"
        )
        self.notices.append(Notice("missing_timestamps", message, 0.0))
        self.timeline.has_noticed("missing_timestamps")
        return 1 / seconds

    def origin_seconds(self) -> float | None:
        """Time 0 on the clock of the stream."""
        if self._input_rate is not None:
            start = self._stream.start_time
            return None if start is None else float(start * (self._stream.time_base or 0))
        if self._first.pts is None or not self._source.clock.has_times:
            return None
        return float((self.timeline.pts_of(0.0)) * self._time_base)

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
    def frame_seconds(self) -> float:
        """How long a frame lasts on average."""
        return self._frame_seconds

    @property
    def stream_index(self) -> int:
        """Number of its stream among all streams of the file."""
        return int(self._stream.index)

    @property
    def stores_times(self) -> bool:
        """Whether each frame has a time of its own in the file: none is a guess or counted."""
        clock = self._source.clock
        return (
            clock.has_times and clock.has_pts and not clock.sparse and not self._times.by_decoding
        )

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
        if not self._first_failures:
            # A start before all packets is a guess, of a file whose other streams begin earlier.
            begin = self._decoder.begin_pts
            start = max(start, pts if begin is None else min(begin, pts))
        late_seconds = float((pts - start) * self._time_base)
        slack = _START_SLACK_FRAMES * self._frame_seconds
        return start if self._first_failures or late_seconds > slack else pts

    def frames(self, start_seconds: float = 0.0) -> Iterator[DecodedFrame | DecodeFailure]:
        """All frames that can be seen from `start_seconds` on, perhaps some before them."""
        first = self._first.pts
        if first is not None and self._input_rate is None:
            begin = self.timeline.seconds_of(first)
            if start_seconds > begin + _WORTH_SEEKING_SECONDS:
                items = self._skip(start_seconds)
                if items is not None:
                    return items
        return itertools.chain(self._first_failures, (self._first,), self._items)

    def _skip(self, start_seconds: float) -> Iterator[DecodedFrame | DecodeFailure] | None:
        """Frames from a keyframe before `start_seconds` on; None to read from the beginning."""
        clock = self._source.clock
        if clock.sparse:
            # What the demuxer guesses depends on all that it has read.
            return None
        if not clock.seeks:
            # A seek goes by timestamps, which may stand in the file more than once.
            if self._decoder.skip_to(self.timeline.pts_of(start_seconds)):
                return self._decoder.frames()
            return None
        return self._seek(start_seconds) if self._source.seekable else None

    def _seek(self, start_seconds: float) -> Iterator[DecodedFrame | DecodeFailure] | None:
        """Frames from a keyframe before `start_seconds` on; None when the file cannot seek."""
        found: Iterator[DecodedFrame | DecodeFailure] | None = None
        for back_seconds in (*_SEEK_STEPS_BACK_SECONDS, start_seconds):
            aim = self.timeline.pts_of(max(0.0, start_seconds - back_seconds))
            try:
                self._source.container.seek(aim, stream=self._stream)
            except FFmpegError:
                break
            self._decoder.restart()
            items = self._decoder.frames()
            head, frame = _until_frame(items)
            found = itertools.chain(head, items)
            if frame is not None and self._lies_before(frame, start_seconds):
                break
        return found

    def _lies_before(self, frame: DecodedFrame, seconds: float) -> bool:
        if frame.pts is None:
            return False
        tolerance = self.timeline.tolerance_seconds
        return -JUMP_SECONDS <= self.timeline.seconds_of(frame.pts) <= seconds + tolerance

    def missing_end(self) -> str | None:
        """Words for how much of the declared duration is missing, after all frames were read."""
        if self._declared is None or self.timeline.restarted:
            return None
        end_seconds, declared = self.timeline.end_seconds, self._declared.seconds
        slack = max(_END_SLACK_SECONDS, _END_SLACK_FRAMES * self._frame_seconds)
        # Some containers count from the file's own time 0, and may mean another stream.
        reached = max(end_seconds, (self.origin_seconds() or 0.0) + end_seconds)
        reached = max(reached, self._decoder.numbered_seconds)
        if self._declared.of_container:
            reached = max(reached, self._decoder.others_end_seconds)
        if reached >= declared - slack:
            return None
        return f"ends at {end_seconds:.2f} s of {declared:.2f} s"

    def late_end(self) -> str | None:
        """Words for an end far behind the declared one, after all frames were read."""
        declared, end_seconds = self._header_seconds, self.timeline.end_seconds
        if declared is None or self.timeline.restarted:
            return None
        if end_seconds <= declared + max(_LATE_END_SECONDS, _LATE_END_PART * declared):
            return None
        return f"ends at {end_seconds:.2f} s, though the file says {declared:.2f} s"


def _until_frame(
    items: Iterator[DecodedFrame | DecodeFailure],
) -> tuple[list[DecodedFrame | DecodeFailure], DecodedFrame | None]:
    head: list[DecodedFrame | DecodeFailure] = []
    for item in items:
        head.append(item)
        if isinstance(item, DecodedFrame):
            return head, item
    return head, None


def with_following(
    items: Iterator[DecodedFrame | DecodeFailure], timeline: Timeline
) -> Iterator[tuple[DecodedFrame | DecodeFailure, int | None]]:
    """The same; with a frame that jumps on its timeline, the timestamp of the next one."""
    ahead: deque[DecodedFrame | DecodeFailure] = deque()
    while (item := ahead.popleft() if ahead else next(items, None)) is not None:
        following = None
        if isinstance(item, DecodedFrame) and timeline.is_jump(item.pts):
            following = _next_pts(ahead, items)
        yield item, following


def _next_pts(
    ahead: deque[DecodedFrame | DecodeFailure], items: Iterator[DecodedFrame | DecodeFailure]
) -> int | None:
    """Timestamp of the next frame, up to which everything is put into `ahead`."""
    for item in ahead:
        if isinstance(item, DecodedFrame):
            return item.pts
    for item in items:
        ahead.append(item)
        if isinstance(item, DecodedFrame):
            return item.pts
    return None
