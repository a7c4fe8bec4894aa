"""The faults of live sources as rows: a camera, what goes wrong with it, and when it is repaired.

Tests read them all at a time, benchmarks.live_faults measures them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from cameras import Camera, Fault
from clips import Clip
from reading import TIMEOUT_SECONDS, Reading
from rtsp_server import RtspServer
from servers import free_port
from stream_servers import HttpServer, TcpCamera, UdpCamera

from wsgn.video.live.items import LiveFrame, Status

# Frames that a source gives before its fault.
NUM_BEFORE = 5
# And when it is back, before it is read no more.
NUM_AFTER = 15
# Noticed by how long nothing came.
_SILENCES = {"timeout", "no_answer", "undecodable"}


class Row:
    """A source that has a fault, and is repaired when enough was said of it."""

    def __init__(
        self,
        camera: Camera,
        *,
        hurt: Callable[[], Any] | None,
        heal: Callable[[], Any] = lambda: None,
        heals_after: int = 1,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.camera = camera
        # None: it is hurt from the beginning.
        self._hurt = hurt
        self._heal = heal
        # Statuses, before it is repaired.
        self._heals_after = heals_after
        self._options = dict(options or {})
        # Monotonic.
        self.hurt_at: float | None = None
        self.healed_at: float | None = None
        self._num_frames = 0
        self._num_statuses = 0
        self._is_back = False
        self._num_since = 0

    def read(self, **options: Any) -> Reading:
        """Begin."""
        if self._hurt is None:
            self.hurt_at = time.monotonic()
        self.reading = Reading(self.camera.url, each=self._each, **(self._options | options))
        return self.reading

    def _each(self, item: Any) -> None:
        self._num_frames += isinstance(item, LiveFrame)
        self._num_statuses += isinstance(item, Status) and self.hurt_at is not None
        if self.healed_at is not None:
            self._is_back |= getattr(item, "state", "") == "restored"
            self._num_since += self._is_back and isinstance(item, LiveFrame)
        if self._num_since == NUM_AFTER:
            self.reading.stop()
        if self._num_frames == NUM_BEFORE and self.hurt_at is None:
            assert self._hurt is not None
            self.hurt_at = time.monotonic()
            self._hurt()
        elif self._num_statuses == self._heals_after and self.healed_at is None:
            self.healed_at = time.monotonic()
            self._heal()

    def noticed_seconds(self) -> float:
        """From the fault to the first status."""
        assert self.hurt_at is not None
        times = map(self.reading.time_of, self.reading.of(Status))
        return next(moment for moment in times if moment >= self.hurt_at) - self.hurt_at

    def recovered_seconds(self) -> float:
        """From the repair, or from the first status where it is back by itself, to a picture."""
        assert self.healed_at is not None
        is_back = False
        for item, moment in zip(self.reading.items, self.reading.times, strict=True):
            is_back |= moment > self.healed_at and getattr(item, "state", "") == "restored"
            if is_back and isinstance(item, LiveFrame):
                return moment - self.healed_at
        raise AssertionError(self.reading.told())


Maker = Callable[[Clip], AbstractContextManager[Row]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A row, and what is said of it."""

    # Of the statuses, in their order.
    causes: tuple[str, ...]
    make: Maker

    @property
    def options(self) -> dict[str, float]:
        """Timeouts that it takes to be noticed."""
        if _SILENCES.isdisjoint(self.causes):
            return {}
        return dict.fromkeys(("timeout_seconds", "open_timeout_seconds"), TIMEOUT_SECONDS)


def status(line: str, request: str = "DESCRIBE") -> Fault:
    """A request that is answered so."""
    return Fault(statuses={request: line})


def _never_seen(fault: Fault) -> Maker:
    @contextmanager
    def make(clip: Clip) -> Iterator[Row]:
        with RtspServer() as server:
            camera = server.add("door", clip)
            camera.fault = fault
            yield Row(camera, hurt=None, heal=camera.repair)

    return make


@contextmanager
def _nobody_listens(clip: Clip) -> Iterator[Row]:
    with RtspServer() as server:
        camera = server.add("door", clip)
        server.stop()
        yield Row(camera, hurt=None, heal=server.start)


# Sources that were never seen: `waiting`.
NEVER_SEEN = {
    "connection refused": Case(causes=("refused",), make=_nobody_listens),
    "OPTIONS is not answered": Case(causes=("no_answer",), make=_never_seen(Fault(mute="OPTIONS"))),
    "DESCRIBE is not answered": Case(
        causes=("no_answer",), make=_never_seen(Fault(mute="DESCRIBE"))
    ),
    "SETUP is not answered": Case(causes=("no_answer",), make=_never_seen(Fault(mute="SETUP"))),
    "PLAY is not answered": Case(causes=("no_answer",), make=_never_seen(Fault(mute="PLAY"))),
    "PLAY is answered, no picture comes": Case(
        causes=("timeout",), make=_never_seen(Fault(silent=True))
    ),
    "401": Case(causes=("unauthorized",), make=_never_seen(status("401 Unauthorized"))),
    "403": Case(causes=("unauthorized",), make=_never_seen(status("403 Forbidden"))),
    "404": Case(causes=("not_found",), make=_never_seen(status("404 Not Found"))),
    "453": Case(
        causes=("rejected",), make=_never_seen(status("453 Not Enough Bandwidth", "SETUP"))
    ),
    "503": Case(causes=("rejected",), make=_never_seen(status("503 Service Unavailable"))),
}

_Shown = Callable[[Clip, ExitStack], Camera]


def _rtsp(clip: Clip, stack: ExitStack) -> Camera:
    return stack.enter_context(RtspServer()).add("door", clip)


def _with_sound(clip: Clip, stack: ExitStack) -> Camera:
    camera = _rtsp(clip, stack)
    camera.has_sound = True
    return camera


def _transport_stream(clip: Clip, stack: ExitStack) -> Camera:
    return stack.enter_context(HttpServer()).add("door.ts", clip)


def _jpegs(clip: Clip, stack: ExitStack) -> Camera:
    return stack.enter_context(HttpServer()).add("door.mjpeg", clip)


def _tcp(clip: Clip, stack: ExitStack) -> Camera:
    return stack.enter_context(TcpCamera(clip)).camera


def _becomes(shown: _Shown, fault: Fault, **options: Any) -> Maker:
    """A fault that is there until it was noticed."""

    @contextmanager
    def make(clip: Clip) -> Iterator[Row]:
        with ExitStack() as stack:
            camera = shown(clip, stack)
            hurt = partial(setattr, camera, "fault", fault)
            yield Row(camera, hurt=hurt, heal=camera.repair, options=options)

    return make


def _cut(shown: _Shown, *, reset: bool = False) -> Maker:
    """Cut once; the next connection is a good one."""

    @contextmanager
    def make(clip: Clip) -> Iterator[Row]:
        with ExitStack() as stack:
            camera = shown(clip, stack)
            yield Row(camera, hurt=lambda: camera.cut(reset=reset))

    return make


def _cut_and(fault: Fault) -> Maker:
    """Cut, and from then on something is wrong with each connection."""

    @contextmanager
    def make(clip: Clip) -> Iterator[Row]:
        with RtspServer() as server:
            camera = server.add("door", clip)

            def hurt() -> None:
                camera.fault = fault
                camera.cut()

            yield Row(camera, hurt=hurt, heal=camera.repair, heals_after=2)

    return make


@contextmanager
def _server_goes(clip: Clip) -> Iterator[Row]:
    with RtspServer() as server:
        camera = server.add("door", clip)
        yield Row(camera, hurt=server.stop, heal=server.start, heals_after=2)


@contextmanager
def _sender_dies(clip: Clip) -> Iterator[Row]:
    with ExitStack() as stack:
        port = free_port()
        first = stack.enter_context(UdpCamera(clip, port))

        def heal() -> None:
            stack.enter_context(UdpCamera(clip, port, began=first.camera.began))

        yield Row(first.camera, hurt=first.stop, heal=heal)


STALLED = Fault(stalled=True)
# Sources that gave pictures: `lost`, first by the first cause.
LOST = {
    "the connection ends (FIN)": Case(causes=("ended",), make=_cut(_rtsp)),
    "the connection is reset (RST)": Case(causes=("ended",), make=_cut(_rtsp, reset=True)),
    "the server goes and comes back": Case(causes=("ended", "refused"), make=_server_goes),
    "it stalls": Case(causes=("timeout",), make=_becomes(_rtsp, STALLED)),
    "bytes trickle": Case(causes=("timeout",), make=_becomes(_rtsp, Fault(trickle=True))),
    "pictures stop, sound goes on": Case(
        causes=("timeout",), make=_becomes(_with_sound, Fault(blind=True))
    ),
    "it stalls, RTSP over UDP": Case(
        causes=("timeout",), make=_becomes(_rtsp, STALLED, rtsp_transport="udp")
    ),
    "no picture can be decoded": Case(
        causes=("undecodable",), make=_becomes(_rtsp, Fault(damaged=1))
    ),
    "the camera is taken away": Case(
        causes=("ended", "not_found"), make=_cut_and(status("404 Not Found"))
    ),
    "the password is changed": Case(
        causes=("ended", "unauthorized"), make=_cut_and(status("401 Unauthorized"))
    ),
    "PLAY is not answered any more": Case(
        causes=("ended", "no_answer"), make=_cut_and(Fault(mute="PLAY"))
    ),
    "MPEG-TS over HTTP ends": Case(causes=("ended",), make=_cut(_transport_stream)),
    "MPEG-TS over HTTP is reset": Case(causes=("ended",), make=_cut(_transport_stream, reset=True)),
    "MPEG-TS over HTTP stalls": Case(
        causes=("timeout",), make=_becomes(_transport_stream, STALLED)
    ),
    "MJPEG ends": Case(causes=("ended",), make=_cut(_jpegs)),
    "MJPEG stalls": Case(causes=("timeout",), make=_becomes(_jpegs, STALLED)),
    "MPEG-TS over TCP ends": Case(causes=("ended",), make=_cut(_tcp)),
    "MPEG-TS over TCP stalls": Case(causes=("timeout",), make=_becomes(_tcp, STALLED)),
    "the sender of MPEG-TS over UDP dies": Case(causes=("timeout",), make=_sender_dies),
}


@contextmanager
def read_all(cases: Mapping[str, Case], clip: Clip, **options: Any) -> Iterator[dict[str, Row]]:
    """All rows, read at the same time."""
    with ExitStack() as stack:
        rows = {name: stack.enter_context(case.make(clip)) for name, case in cases.items()}
        for name, row in rows.items():
            row.read(**(cases[name].options | options))
            stack.callback(row.reading.stop)
        yield rows
