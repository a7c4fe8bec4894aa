"""How each kind of live source is opened by libav."""

from __future__ import annotations

import os
import re
import select
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import av
from av.container import InputContainer
from av.error import FFmpegError

from wsgn.errors import UsageError
from wsgn.support.credentials import without_credentials
from wsgn.video.addresses import STANDARD_INPUT, standard_input
from wsgn.video.errors import VideoError
from wsgn.video.live.faults import opening_fault
from wsgn.video.live.options import LiveOptions
from wsgn.video.live.source import LiveSource, camera_number, host_of, scheme_of
from wsgn.video.stream_input import StreamInput

# What a pipe waits before it looks whether it should stop.
_POLL_SECONDS = 0.1
_CAMERA_FORMATS = {"linux": "v4l2", "darwin": "avfoundation"}
# What libav learns of a stream before it hands it over: a second of pictures, which then come as a
# burst. A stream that was opened before needs none of it.
_QUICK = {"probesize": "32", "analyzeduration": "0"}
# Formats of lists of files, to which new ones are added.
PLAYLISTS = ("hls", "dash")
# Enough to tell one format from another.
_QUICK_ANALYSIS = {"analyzeduration": "0"}


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What goes to libav."""

    # Never shown: it may hold a credential.
    file: str
    format: str | None
    options: Mapping[str, str]
    open_seconds: float
    # None where libav cannot be told.
    read_seconds: float | None
    # The bytes come through Python.
    is_pipe: bool
    # It ends for good where it ends.
    is_finite: bool
    # It is a file whose pictures come no earlier than their times say.
    is_paced: bool


def opening_of(source: LiveSource, options: LiveOptions, *, quick: bool) -> Opening:
    """The opening of a source; `quick` for one that was opened before."""
    timeout = source.timeout_seconds or options.timeout_seconds
    scheme = scheme_of(source.address)
    file, form, own = escaped(source.address), None, dict[str, str]()
    read_seconds: float | None = timeout
    is_pipe = False
    if (number := camera_number(source.address)) is not None:
        file, form = _camera(number)
    elif scheme in ("rtsp", "rtsps"):
        transport = source.rtsp_transport or options.rtsp_transport
        own["rtsp_transport"] = transport
        # libav asks twice before it gives up, over UDP as well.
        read_seconds = timeout / 2
        if quick:
            own |= _QUICK
    elif scheme == "rtp":
        read_seconds = timeout / 2
    elif scheme == "udp":
        # Packets that come faster than they are taken are lost; that is no error.
        own["overrun_nonfatal"] = "1"
    elif not scheme or scheme == "file":
        is_pipe = not source.realtime
        read_seconds = None
        if source.realtime:
            # The prefix keeps a colon in the name from being taken for a protocol.
            file = source.address if scheme else f"file:{source.address}"
    return Opening(
        file=file,
        format=form,
        options={**own, **options.source_options},
        open_seconds=options.open_timeout_seconds,
        read_seconds=read_seconds,
        is_pipe=is_pipe,
        is_finite=is_pipe or source.realtime,
        is_paced=source.realtime,
    )


def escaped(address: str) -> str:
    """The address with /, ? and # in its password escaped, as libav wants them.

    Only where what stands before them is no host: a password of digits up to there looks like a
    port, and is left as it is.
    """
    scheme = scheme_of(address)
    rest = address[len(scheme) + len("://") :]
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    port = authority.rpartition(":")[2]
    if not scheme or "@" in authority or ":" not in authority or port.isdigit() or "@" not in rest:
        return address
    account, _, place = rest.rpartition("@")
    user, _, password = account.partition(":")
    # What is escaped already stays.
    return f"{address[: -len(rest)]}{quote(user, '%')}:{quote(password, '%')}@{place}"


def open_live(opening: Opening, should_stop: Callable[[], bool]) -> InputContainer:
    """Open it. Raises what PyAV raises, whose texts may hold a credential."""
    timeout = None
    if opening.read_seconds is not None:
        timeout = (opening.open_seconds, opening.read_seconds)
    file: Any = opening.file
    if opening.is_pipe:
        file = PipeInput(_pipe(opening.file), should_stop)
    container: InputContainer = av.open(
        file,
        "r",
        format=opening.format,
        metadata_errors="ignore",
        container_options=dict(opening.options),
        timeout=timeout,
    )
    return container


def is_file(container: InputContainer) -> bool:
    """Whether what was opened has an end that is known, as files on web servers have."""
    is_playlist = container.format.name in PLAYLISTS
    return container.duration is not None and (is_playlist or container.size > 0)


def ask_live(address: str, timeout_seconds: float) -> bool:
    """Whether an http(s) address is a stream that is made now: it declares no end and no size.

    Raises `VideoError` where it cannot be opened.
    """
    begun = time.monotonic()
    failure: Exception | None = None
    try:
        with av.open(
            address,
            "r",
            metadata_errors="ignore",
            container_options=dict(_QUICK_ANALYSIS),
            timeout=(timeout_seconds, timeout_seconds),
        ) as container:
            # The size of a playlist is that of its text.
            is_endless = container.format.name in PLAYLISTS or container.size <= 0
            return container.duration is None and is_endless
    except (FFmpegError, ValueError) as error:
        failure = error
    # Outside of the handler: what libav raises holds the address, with its password.
    elapsed = time.monotonic() - begun
    fault = opening_fault(failure, elapsed, timeout_seconds, host_of(address))
    raise VideoError(
        "not_opened", f"{without_credentials(address)} cannot be opened: {fault.words()}."
    )


class PipeInput(StreamInput):
    """Bytes of a pipe as they come; it ends where reading is to stop."""

    def __init__(self, file: BinaryIO, should_stop: Callable[[], bool]) -> None:
        super().__init__(file)
        self._descriptor = file.fileno()
        self._should_stop = should_stop

    def read(self, size: int) -> bytes:
        """What there is, up to `size` bytes, as soon as there is any."""
        while not select.select([self._descriptor], [], [], _POLL_SECONDS)[0]:
            if self._should_stop():
                return b""
        return super().read(size)


def _pipe(address: str) -> BinaryIO:
    if address == STANDARD_INPUT:
        return standard_input()
    # Unbuffered, so that what waits can be asked for; it is closed with the container.
    return Path(address).open("rb", buffering=0)


def _camera(number: int) -> tuple[str, str]:
    """File and format of a camera of this machine."""
    form = _CAMERA_FORMATS.get(sys.platform)
    if form is None:
        raise UsageError(
            f"camera {number}: cameras of this machine are read on Linux and macOS only; "
            f"send it over the network (ffmpeg, MediaMTX) and give its address."
        )
    return (f"/dev/video{number}" if os.name == "posix" and form == "v4l2" else str(number)), form
