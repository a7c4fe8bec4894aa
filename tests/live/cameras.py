"""A camera of the tests, whatever server shows it: what it films, who may look, what is wrong."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from clips import Clip, Picture
from servers import call, end_connection, sleep_until

_LOOK_SECONDS = 0.01
_TRICKLE_SECONDS = 0.3
# No verdict depends on it: what hangs ends.
_LONGEST_SECONDS = 60.0
_NONCE = "5ca1ab1e"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with a camera; may be changed while its connections play."""

    # A request that is never answered: OPTIONS, DESCRIBE, SETUP, PLAY; GET over HTTP.
    mute: str | None = None
    # Status lines by request, such as {"DESCRIBE": "404 Not Found"}.
    statuses: Mapping[str, str] = field(default_factory=dict)
    # PLAY is answered, and no picture comes.
    silent: bool = False
    # Nothing is sent for now; what was held back comes at once behind it.
    stalled: bool = False
    # One byte in 0.3 s.
    trickle: bool = False
    # A connection ends behind so many pictures, by RST where `reset`.
    ends_after: int | None = None
    reset: bool = False
    # Added to the time stamps.
    shift_seconds: float = 0.0
    # RTP: the time stamp (32 bits) of a connection's first picture; None: any.
    first_timestamp: int | None = None
    # Every n-th picture is overwritten, every n-th RTP packet lost.
    damaged: int | None = None
    lost: int | None = None
    # So many times the rate of the clip, time stamps and all else as the clock goes.
    speed: float = 1.0
    # RTSP: what the description says it has: H264, another name, or None for sound only.
    encoding: str | None = "H264"
    # RTSP over this is refused: udp or tcp.
    refused_transport: str | None = None
    # RTSP with sound: it goes on, and pictures do not.
    blind: bool = False


@dataclass(frozen=True, kw_only=True)
class Account:
    """Who may look."""

    user: str
    password: str
    # Digest or Basic.
    scheme: str = "Digest"


@dataclass(frozen=True, kw_only=True)
class Filmed:
    """A picture that is sent now."""

    picture: Picture
    # Its time since the camera began.
    seconds: float
    # On the monotonic clock, whenever it is sent.
    filmed_at: float
    # Of its connection, from 0.
    number: int
    fault: Fault

    @property
    def is_damaged(self) -> bool:
        """Whether it is to be overwritten."""
        every = self.fault.damaged
        return every is not None and self.number % every == every - 1


class Camera:
    """One source of a server."""

    def __init__(self, name: str, url: str, clip: Clip, account: Account | None = None) -> None:
        self.name = name
        # Without a user.
        self.url = url
        # Another one may be put in its place while connections play.
        self.clip = clip
        self.account = account
        # Of RTSP over TCP: silence, beside the pictures.
        self.has_sound = False
        # Between sender's reports.
        self.report_seconds = 5.0
        self.fault = Fault()
        # On the monotonic clock: when picture 0 of loop 0 was filmed.
        self.began = time.monotonic()
        # Connections that were shown pictures, and pictures that were sent to all of them.
        self.num_played = 0
        self.num_pictures = 0
        self.requests: list[str] = []
        # HLS: how long it had filmed when it began, and segments that are whole.
        self.lead_seconds = 0.0
        self.num_segments = 0
        self.writers: set[asyncio.StreamWriter] = set()

    @property
    def has_times(self) -> bool:
        """Whether its pictures bring their times along."""
        return not self.name.endswith(".mjpeg")

    def url_for(self, user: str, password: str) -> str:
        """Its address with a user, as typed."""
        return self.url.replace("://", f"://{user}:{password}@")

    def repair(self) -> None:
        """Nothing is wrong with it any more."""
        self.fault = Fault()

    def cut(self, *, reset: bool = False) -> None:
        """End its connections; the next ones are accepted."""
        call(self._cut(reset=reset))

    async def _cut(self, *, reset: bool) -> None:
        for writer in list(self.writers):
            end_connection(writer, reset=reset)

    def filmed(self, number: int, *, before: float) -> float:
        """When the picture with this bar code was filmed, last before a monotonic time."""
        age = before - self.began - number / self.clip.rate
        return before - age % self.clip.period_seconds

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Until it holds, of what clients ask for."""
        until = time.monotonic() + _LONGEST_SECONDS
        while not condition():
            assert time.monotonic() < until, self.requests
            time.sleep(_LOOK_SECONDS)

    async def pictures(self) -> AsyncIterator[Filmed]:
        """Pictures for one connection as the clock goes, from the first keyframe behind now on."""
        self.num_played += 1
        number, at, last_sent = 0, 0.0, 0.0
        while True:
            clip = self.clip
            for sent, shown, picture in clip.from_keyframe(time.monotonic() - self.began):
                is_paced = number == 0 or self.fault.speed == 1
                at = self.began + sent if is_paced else at + (sent - last_sent) / self.fault.speed
                last_sent = sent
                await sleep_until(at)
                while self.fault.stalled or self.fault.silent:
                    await asyncio.sleep(_LOOK_SECONDS)
                if clip is not self.clip:
                    break
                seconds = at - self.began + shown - sent + self.fault.shift_seconds
                yield Filmed(
                    picture=picture, seconds=seconds, filmed_at=at, number=number, fault=self.fault
                )
                number += 1
                self.num_pictures += 1
                if number == self.fault.ends_after:
                    return

    async def send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """Bytes of a picture, as quick as the client takes them."""
        if not self.fault.trickle:
            writer.write(data)
        for byte in data if self.fault.trickle else b"":
            writer.write(bytes([byte]))
            await asyncio.sleep(_TRICKLE_SECONDS)
        await writer.drain()


@dataclass(frozen=True, kw_only=True)
class Request:
    """Method, address and headers (names in small letters) of RTSP and HTTP."""

    method: str
    address: str
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        """Path without a query and without the first slash."""
        return re.sub(r"^\w+://[^/]*", "", self.address).partition("?")[0].strip("/")

    def is_let_in(self, account: Account | None) -> bool:
        """Whether its password is the right one."""
        if account is None:
            return True
        scheme, _, given = self.headers.get("authorization", "").partition(" ")
        if scheme != account.scheme:
            return False
        if scheme == "Basic":
            return base64.b64decode(given).decode() == f"{account.user}:{account.password}"
        fields = dict(re.findall(r'(\w+)="([^"]*)"', given))
        secret = _md5(f"{account.user}:camera:{account.password}")
        what = _md5(f"{self.method}:{fields.get('uri')}")
        return fields.get("response") == _md5(f"{secret}:{_NONCE}:{what}")


def challenge(account: Account) -> str:
    """The header WWW-Authenticate."""
    nonce = f', nonce="{_NONCE}"' if account.scheme == "Digest" else ""
    return f'{account.scheme} realm="camera"{nonce}'


async def read_request(reader: asyncio.StreamReader, begin: bytes = b"") -> Request:
    """The next request, of which `begin` was read."""
    head = (begin + await reader.readuntil(b"\r\n\r\n")).decode()
    line, *rest = head.strip().split("\r\n")
    method, address, _ = line.split(" ", 2)
    pairs = (header.partition(":") for header in rest)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method=method, address=address, headers=headers)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
