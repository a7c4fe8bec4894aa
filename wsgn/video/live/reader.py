"""Reads a live source along a time grid, over all that happens to it."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Generator, Iterator

from av.container import InputContainer
from av.error import FFmpegError, ProtocolNotFoundError

from wsgn.errors import UsageError
from wsgn.video.addresses import is_network
from wsgn.video.decoder import DecodeFailure
from wsgn.video.errors import VideoError
from wsgn.video.grid import TIME_TOLERANCE_SECONDS, FrameGrid, Gap, Notice
from wsgn.video.info import VideoInfo, frame_rate, video_info
from wsgn.video.live.backoff import STEADY_SECONDS, Backoff, opening_slot
from wsgn.video.live.clock import MediaClock
from wsgn.video.live.connection import Connection, Picture, SkippedPackets
from wsgn.video.live.faults import Fault, LiveFaultError, opening_fault, reading_fault
from wsgn.video.live.items import LastPicture, LiveFrame, LivePosition, Skipped, Status
from wsgn.video.live.moments import Moments
from wsgn.video.live.opening import Opening, is_file, open_live, opening_of
from wsgn.video.live.options import LiveOptions
from wsgn.video.live.outage import Outage
from wsgn.video.live.ring import PacketRing
from wsgn.video.live.sampler import Sampler
from wsgn.video.live.source import LiveSource, host_of
from wsgn.video.live.storm import StormWatch
from wsgn.video.live.timeline import LiveTimeline
from wsgn.video.resize import Scaler
from wsgn.video.timeline import rounding_tolerance

LiveItem = VideoInfo | LiveFrame | Gap | Notice | Status | Skipped
Opener = Callable[[Opening, Callable[[], bool]], InputContainer]

# A playlist brings nothing for as long as its segments are: it counts as lost after this, and as
# late only behind it.
_PLAYLIST_SECONDS = 30.0
# A source that left nothing out for so long is not late any more.
_IN_TIME_SECONDS = 60.0
# Where an end was asked for, a first picture is waited for so long, or up to that end.
_FIRST_PICTURE_SECONDS = 60.0
# The wall clock was set, and did not only run a little faster or slower.
_CLOCK_STEP_SECONDS = 1.0


class LiveReader:
    """Iterates what a live source gives, once; goes on over faults until it is told to stop.

    Yields `VideoInfo` of each connection before its frames, `LiveFrame`, `Gap`, `Notice`, `Status`
    and `Skipped`. Media time is 0 at the first picture, or goes on from `resume`, and follows the
    wall clock over connections. Ends where `should_stop` says so (which libav hears after its
    timeout at the latest), at `end_seconds`, and where a file or a pipe ends. Raises `VideoError`
    where the source will never be read, or gives no first picture before such an end. `ring` holds
    what came last, undecoded.
    """

    def __init__(
        self,
        source: LiveSource,
        grid: FrameGrid,
        options: LiveOptions,
        *,
        resume: LivePosition | None = None,
        opener: Opener = open_live,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        backoff: Backoff | None = None,
        ring: PacketRing | None = None,
        should_stop: Callable[[], bool],
    ) -> None:
        self._source = source
        self._grid = grid
        self._options = options
        self._timeout = source.timeout_seconds or options.timeout_seconds
        self._opener, self._ring = opener, ring
        self._wall = wall
        self._moments = Moments(monotonic, sleep, should_stop)
        now = self._moments.now()
        # Wall clock less monotonic clock.
        self._wall_shift = wall() - now
        self._timeline = _timeline(grid.frame_rate, resume, now, wall)
        self._clock = self._timeline.clock
        self._sampler = Sampler(grid, self._unix, options.end_seconds)
        self._outage = Outage(options.reconnect, backoff or Backoff())
        self._noticed: set[str] = set()
        self._frame_rate: float | None = None
        self._is_playlist = self._is_late = False
        # Whether the last connection gave pictures, and any did.
        self._is_known = self._has_pictures = False
        self._last_skip = 0.0
        # Of the connection that is read: when its first new picture came, the packets that were
        # left out before the next one, and its rate.
        self._begun: float | None = None
        self._num_skipped = 0
        self._storm: StormWatch | None = None
        # How far was read: what a later run goes on from.
        self.position = resume or LivePosition(
            media_seconds=0.0, unix_seconds=now + self._wall_shift, epoch=-1
        )
        # Connections after the first one that gave pictures.
        self.restarts = 0
        self.decode_failures = 0
        # Monotonic, of the last picture; before it, when reading began.
        self.last_picture = now
        self.last_frame: LastPicture | None = None

    def __iter__(self) -> Iterator[LiveItem]:
        while not self._moments.should_stop():
            fault = yield from self._connect()
            if fault is None or self._moments.should_stop():
                return
            yield from self._wait(fault)
            if self._seconds_left() <= 0:
                if self._clock.is_set:
                    return
                raise VideoError(
                    "not_opened",
                    f"{self._source.shown}: {self._words(fault)}; not waited for any longer, "
                    "because an end was asked for.",
                )

    def _connect(self) -> Generator[LiveItem, None, Fault | None]:
        """Open and read; returns why that has ended, None where it ends for good."""
        opening = opening_of(self._source, self._options, quick=self._is_known)
        self._is_known = False
        opened = self._open(opening)
        if isinstance(opened, Fault):
            return opened
        waited = 0.0
        try:
            connection = self._connection(opened, opening)
            try:
                yield from self._read(connection)
            finally:
                waited = connection.waited_seconds
            fault = None if opening.is_finite or self._sampler.is_over else Fault(cause="ended")
        except LiveFaultError as error:
            fault = error.fault
        except FFmpegError as error:
            fault = reading_fault(error, waited, opening.read_seconds, self._timeout)
        except VideoError as error:
            if not self._has_pictures and error.code != "not_a_video":
                raise
            is_cause = error.code in ("no_video_stream", "undecodable")
            fault = Fault(cause=error.code if is_cause else "broken")
        finally:
            opened.close()
            # Asking the first picture for its orientation has made a cycle of references, and what
            # flaps may bring many before a collection is due.
            gc.collect(1)
        yield from self._end_connection()
        if opening.is_finite and not self._has_pictures and not self._moments.should_stop():
            raise VideoError("empty", f"{self._source.shown} has ended without a picture.")
        if fault is not None and opening.is_finite:
            # To open it again would be to begin anew.
            yield from self._notice("read_error", f"reading failed: {fault.words()}")
            return None
        return fault

    def _open(self, opening: Opening) -> InputContainer | Fault:
        with opening_slot(opening.open_seconds, self._moments):
            begun = self._moments.now()
            try:
                return self._opener(opening, self._moments.should_stop)
            except ProtocolNotFoundError:
                raise UsageError(
                    f"{self._source.shown}: this PyAV does not know the protocol."
                ) from None
            except (FFmpegError, ValueError) as error:
                elapsed = self._moments.now() - begun
                host = host_of(self._source.address)
                fault = opening_fault(error, elapsed, opening.open_seconds, host)
        # Outside of the handler: what libav raises holds the address, with its password.
        if opening.is_finite:
            raise VideoError(
                "not_opened", f"{self._source.shown} cannot be opened: {self._words(fault)}."
            )
        return fault

    def _connection(self, container: InputContainer, opening: Opening) -> Connection:
        if not (self._has_pictures or opening.is_finite) and is_network(self._source.address):
            self._refuse_file(container)
        connection = Connection(
            self._source.shown,
            container,
            opening,
            self._options,
            timeout_seconds=self._timeout,
            moments=self._moments,
            lag=self._timeline.lag,
            ring=self._ring,
        )
        self._is_playlist = connection.is_playlist
        # What a dead playlist still holds comes when it was waited for in vain.
        until = self._moments.now() + max(_PLAYLIST_SECONDS, 3 * self._timeout)
        self._timeline.connect(joins_until=until if self._is_playlist else None)
        tick_seconds = float(connection.stream.time_base or 0)
        self._sampler.tolerance = TIME_TOLERANCE_SECONDS
        if not connection.by_arrival:
            self._sampler.tolerance = rounding_tolerance(tick_seconds, connection.frame_seconds)
        return connection

    def _refuse_file(self, container: InputContainer) -> None:
        """Nobody may have asked its server: as a live source it would begin again and again."""
        if is_file(container):
            raise VideoError(
                "not_live",
                f"{self._source.shown} is a file and no live source: leave out what only live "
                "sources know, or play it by its times (realtime).",
            )

    def _read(self, connection: Connection) -> Iterator[LiveItem]:
        scaler = Scaler(self._grid, connection.stream.sample_aspect_ratio)
        self._begun, self._num_skipped = None, 0
        self._storm = None if connection.is_finite or self._is_playlist else StormWatch()
        for item in connection.items():
            if isinstance(item, Picture):
                yield from self._picture(connection, scaler, item)
                if self._sampler.is_over:
                    return
            elif isinstance(item, SkippedPackets):
                self._num_skipped = item.number
            elif isinstance(item, DecodeFailure):
                self.decode_failures += 1
                message = f"damaged data is left out ({item.reason})"
                yield from self._notice("decode_failure", message)
            else:
                message = "the source gives no times: its pictures lie where they come"
                yield from self._notice("missing_timestamps", message)

    def _picture(
        self, connection: Connection, scaler: Scaler, picture: Picture
    ) -> Iterator[LiveItem]:
        end, arrival = self._timeline.end_seconds, picture.arrival
        placement = self._timeline.place(picture.raw_seconds, picture.duration_seconds, arrival)
        if placement is None:
            return
        if self._ring is not None:
            self._ring.place(picture.raw_seconds, placement.seconds)
        begins = placement.epoch != self._sampler.epoch
        yield from self._sampler.show(end if begins else placement.seconds, arrival)
        if self._begun is None:
            yield from self._begin_connection(connection, picture, placement.seconds)
        if placement.gap is not None:
            yield placement.gap
        if self._num_skipped:
            yield Skipped(
                from_seconds=end, to_seconds=placement.seconds, pictures=self._num_skipped
            )
            self._num_skipped = 0
        if picture.frame.is_corrupt:
            yield from self._notice("damaged_picture", "a picture is damaged")
        for code, message in scaler.doubts(picture.frame):
            yield from self._notice(code, message)
        self._sampler.hold(picture.frame, scaler, placement.seconds, placement.epoch)
        self.last_frame = LastPicture(
            frame=picture.frame,
            pixel_aspect=connection.stream.sample_aspect_ratio,
            lag_seconds=placement.lag_seconds,
        )
        yield from self._keep_position(arrival)
        if connection.may_skip:
            yield from self._judge_lag(connection, placement.lag_seconds, arrival)
        if self._storm is not None and self._storm.is_storm(arrival):
            raise LiveFaultError(Fault(cause="storm"))

    def _begin_connection(
        self, connection: Connection, picture: Picture, seconds: float
    ) -> Iterator[LiveItem]:
        """The first picture that is new: what the stream is, and that it is there again."""
        self._begun = picture.arrival
        # A quick opening guesses it.
        rate = self._options.input_rate or self._frame_rate or frame_rate(connection.stream)
        self._frame_rate = rate
        yield video_info(
            self._source.shown,
            connection.container,
            connection.stream,
            picture.frame,
            rate=rate,
            origin_seconds=None,
        )
        self.restarts += self._has_pictures
        self._is_known = self._has_pictures = True
        if self._outage.is_told:
            lost = picture.arrival - self.last_picture
            yield self._status(
                "restored", None, f"pictures again after {lost:.1f} s.", seconds, lost_seconds=lost
            )
            self._is_late = False
        self._outage.end()

    def _keep_position(self, arrival: float) -> Iterator[Notice]:
        self.last_picture = arrival
        if self._begun is not None and arrival - self._begun > STEADY_SECONDS:
            self._outage.steady()
        before, self._wall_shift = self._wall_shift, self._wall() - self._moments.now()
        end = self._timeline.end_seconds
        # As the next epoch is placed: how far this one runs ahead does not add up over processes.
        reached = self._clock.reached(end, arrival)
        self.position = LivePosition(
            media_seconds=end, unix_seconds=reached + self._wall_shift, epoch=self._timeline.epoch
        )
        if abs(step := self._wall_shift - before) > _CLOCK_STEP_SECONDS:
            yield Notice(
                "clock_moved", f"the clock of this machine was moved by {step:+.1f} s", end
            )

    def _judge_lag(
        self, connection: Connection, lag_seconds: float, arrival: float
    ) -> Iterator[LiveItem]:
        """Begin to leave packets out where the source is late."""
        allowed = self._options.max_lag_seconds
        allowed += _PLAYLIST_SECONDS if self._is_playlist else 0.0
        if lag_seconds > allowed:
            yield from self._sampler.show(self._timeline.end_seconds, arrival)
            self._sampler.drop()
            self._timeline.leave_out()
            connection.skip()
            self._last_skip = arrival
            if not self._is_late:
                self._is_late = True
                message = f"{lag_seconds:.1f} s late: pictures are left out until it is not."
                yield self._status("late", "late", message)
        elif self._is_late and arrival - self._last_skip > _IN_TIME_SECONDS:
            self._is_late = False
            yield self._status("restored", None, "not late any more.", lost_seconds=0.0)

    def _end_connection(self) -> Iterator[LiveFrame]:
        yield from self._sampler.show(self._timeline.end_seconds, self._moments.now())
        self._sampler.drop()

    def _wait(self, fault: Fault) -> Iterator[Status]:
        """Say what has happened, where it is news, and wait."""
        retry = self._outage.fault(fault)
        if retry is None:
            raise VideoError(
                "lost" if self._has_pictures else "not_opened",
                f"{self._source.shown}: {self._words(fault)}; not tried again after "
                f"{self._outage.attempt - 1} times (reconnect).",
            )
        silence = self._moments.now() - self.last_picture
        patience = max(self._timeout, _PLAYLIST_SECONDS) if self._is_playlist else 0.0
        is_quiet = self._has_pictures and silence < patience
        if not is_quiet and self._outage.is_new(fault.cause):
            state = "lost" if self._has_pictures else "waiting"
            message = f"{self._words(fault)}; trying again."
            yield self._status(state, fault.cause, message, retry_seconds=retry)
        self._moments.wait(min(retry, self._seconds_left()))

    def _seconds_left(self) -> float:
        """Until the end that was asked for: media time goes on where no picture comes."""
        end, now = self._options.end_seconds, self._moments.now()
        if end is None:
            return math.inf
        if not self._clock.is_set:
            return max(0.0, max(end, _FIRST_PICTURE_SECONDS) - (now - self.last_picture))
        return max(0.0, end - self._clock.now(now))

    def _status(
        self,
        state: str,
        cause: str | None,
        message: str,
        seconds: float | None = None,
        *,
        retry_seconds: float | None = None,
        lost_seconds: float | None = None,
    ) -> Status:
        return Status(
            state=state,
            cause=cause,
            seconds=self._timeline.end_seconds if seconds is None else seconds,
            unix_seconds=self._moments.now() + self._wall_shift,
            attempt=self._outage.attempt,
            retry_seconds=retry_seconds,
            lost_seconds=lost_seconds,
            epoch=self._timeline.epoch,
            message=message,
        )

    def _notice(self, code: str, message: str) -> Iterator[Notice]:
        if code not in self._noticed:
            self._noticed.add(code)
            seconds = self._timeline.end_seconds
            yield Notice(code, f"{message} (first at {seconds:.2f} s)", seconds)

    def _words(self, fault: Fault) -> str:
        """What happened, and what may be behind it."""
        words = fault.words()
        if fault.cause == "name_unknown" and self._source.address.count("@") > 1:
            words += " (in a password write %2F for / and %40 for @)"
        if fault.cause == "broken" and self._options.source_options and not self._has_pictures:
            words += " (or a value in the source options means nothing)"
        return words

    def _unix(self, seconds: float) -> float:
        """Wall clock at a media time."""
        return self._clock.moment(seconds) + self._wall_shift


def _timeline(
    frame_rate: float, resume: LivePosition | None, now: float, wall: Callable[[], float]
) -> LiveTimeline:
    """Media time from 0 at the first picture, or on from where an earlier run was."""
    if resume is None or resume.epoch < 0:
        # That run saw no picture.
        return LiveTimeline(MediaClock(), frame_rate)
    since = max(0.0, wall() - resume.unix_seconds)
    return LiveTimeline(
        MediaClock(now - resume.media_seconds - since),
        frame_rate,
        end_seconds=resume.media_seconds,
        epoch=resume.epoch,
    )
