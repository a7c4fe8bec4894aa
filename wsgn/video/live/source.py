"""What a live source is called, and whether an address is one."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import PurePath
from urllib.parse import SplitResult, urlsplit

from wsgn.errors import UsageError
from wsgn.remote.addresses import is_address
from wsgn.support.credentials import without_credentials
from wsgn.video.addresses import STANDARD_INPUT
from wsgn.video.live.options import RTSP_TRANSPORTS, require_choice, require_seconds

# Protocols of libavformat under which nothing but streams that are made now is known.
_LIVE_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "udp", "rtp", "tcp", "srt", "rist")
# Known after opening: a file in a web server has a length.
_MAYBE_LIVE_SCHEMES = ("http", "https")
# They may listen on any address of this machine.
_WITHOUT_HOST = ("udp", "rtp", "tcp")
# Not in the wheels of PyAV.
_MISSING_SCHEMES = ("srt", "rist")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_CAMERA = re.compile(r"(?:/dev/video)?(\d+)", re.ASCII)
# What a name may hold: it becomes part of the names of files.
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class LiveSource:
    """One source of a live run; neither its text nor its representation shows a credential."""

    # Unique in a run, never a credential.
    name: str
    # An address, /dev/videoN, N, - or a path.
    address: str = field(repr=False)
    # A file that is played by its timestamps.
    realtime: bool = False
    # Over those of the run's options; None takes them.
    rtsp_transport: str | None = None
    timeout_seconds: float | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise UsageError("a live source needs a name.")
        if (scheme := scheme_of(self.address)) in _MISSING_SCHEMES:
            raise UsageError(
                f"{self.shown}: this PyAV has no {scheme.upper()}: put MediaMTX or `ffmpeg -i "
                f"{scheme}://... -c copy -f mpegts udp://127.0.0.1:5000` before it, and give "
                "udp://127.0.0.1:5000 here."
            )
        if is_address(self.address):
            raise UsageError(f"{self.shown} is a file in a store, which cannot be played live.")
        self._require_place(scheme)
        if self.rtsp_transport is not None:
            require_choice("rtsp_transport", self.rtsp_transport, RTSP_TRANSPORTS)
        if self.timeout_seconds is not None:
            require_seconds("timeout_seconds", self.timeout_seconds)

    def _require_place(self, scheme: str) -> None:
        """Raise `UsageError` for what is no host or port: it would be tried for ever."""
        if not scheme or scheme == "file":
            return
        parts = _parts_of(self.address)
        if parts is None:
            raise UsageError(f"{self.shown} is no address: check its host and port.")
        if not parts.hostname and scheme not in _WITHOUT_HOST:
            raise UsageError(f"{self.shown} is no address: it names no host.")

    @property
    def shown(self) -> str:
        """The address without credentials."""
        return without_credentials(self.address)

    def __str__(self) -> str:
        return f"{self.name} ({self.shown})"


def scheme_of(address: str) -> str:
    """The protocol of an address in small letters; empty for a path, and for what exists."""
    found = _SCHEME.match(address)
    return "" if found is None or os.path.lexists(address) else found[1].lower()


def camera_number(address: str) -> int | None:
    """N of /dev/videoN or of a bare number that is no file's name."""
    found = _CAMERA.fullmatch(address)
    if found is None or (address.isdigit() and os.path.lexists(address)):
        return None
    return int(found[1])


def is_live(address: str) -> bool | None:
    """Whether an address names what films now; None where only opening it tells (`ask_live`)."""
    if camera_number(address) is not None:
        return True
    scheme = scheme_of(address)
    if scheme in _MAYBE_LIVE_SCHEMES:
        return None
    return scheme in _LIVE_SCHEMES


def default_name(address: str) -> str:
    """Host and last part of the path, such as `10-0-0-5_stream1`; never a credential."""
    if address == STANDARD_INPUT:
        return "stdin"
    if (number := camera_number(address)) is not None:
        return f"video{number}"
    if not (scheme := scheme_of(address)):
        return _plain(PurePath(address).stem) or "video"
    parts = _parts_of(address)
    if parts is None:
        return scheme
    host, port = parts.hostname or scheme, parts.port
    last = parts.path.rstrip("/").rpartition("/")[2]
    if not last:
        last = "" if port is None else str(port)
    # Some cameras have user and password in the path: user=admin_password=secret.
    parts_of_name = [_plain(host)] + ([] if "=" in last or "%" in last else [_plain(last)])
    return "_".join(part for part in parts_of_name if part)


def _plain(text: str) -> str:
    return _NOT_IN_NAMES.sub("-", text).strip("-")


def host_of(address: str) -> str | None:
    """The host in an address; None for a path, and for what is no address."""
    parts = _parts_of(address) if scheme_of(address) else None
    return None if parts is None else parts.hostname


def _parts_of(address: str) -> SplitResult | None:
    """An address without its user, whose password may hold any letter; None where it is none."""
    scheme = scheme_of(address)
    rest = address[len(scheme) + len("://") :].rpartition("@")[2]
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        # It is looked at when it is asked for.
        _ = parts.port
    # Its words may hold a part of a password.
    except ValueError:
        return None
    return parts
