"""The server of these tests, seen by libav alone: what it sends is what it says."""

from __future__ import annotations

import time

import av
import pytest
from clips import Clip, read_bar_code
from rtsp_server import Account, Camera, Fault, RtspServer

QUICK = {"probesize": "32", "analyzeduration": "0"}


def pictures(
    url: str, count: int, *, transport: str = "tcp"
) -> list[tuple[int | None, int | None]]:
    """Time stamp and bar code of the first pictures."""
    options = QUICK | {"rtsp_transport": transport}
    found = []
    with av.open(url, options=options, timeout=(20, 20)) as container:
        for frame in container.decode(video=0):
            found.append((frame.pts, read_bar_code(frame.to_ndarray(format="rgb24"))))
            if len(found) == count:
                break
    return found


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_pictures_come_with_their_numbers_and_times(door: Camera, transport: str) -> None:
    before = time.monotonic()
    seen = pictures(door.url, 12, transport=transport)
    after = time.monotonic()
    first = seen[0][1]
    assert first is not None
    assert first % 10 == 0
    assert [code for _, code in seen] == [first + number for number in range(12)]
    assert [time for time, _ in seen[1:]] == [3600 * number for number in range(1, 12)]
    assert before <= door.filmed(first, before=after) <= after


@pytest.mark.parametrize("scheme", ["Digest", "Basic"])
def test_only_who_knows_the_password_is_let_in(server: RtspServer, clip: Clip, scheme: str) -> None:
    account = Account(user="cam", password="p@ss/word", scheme=scheme)
    vault = server.add("vault", clip, account=account)
    assert len(pictures(vault.url_for("cam", "p%40ss%2Fword"), 2)) == 2
    for stranger in (vault.url, vault.url_for("cam", "guess")):
        with pytest.raises(av.error.HTTPUnauthorizedError):
            pictures(stranger, 1)


def test_time_stamps_wrap(door: Camera) -> None:
    door.fault = Fault(first_timestamp=(1 << 32) - 5 * 3600)
    assert [time for time, _ in pictures(door.url, 12)[1:]] == [3600 * n for n in range(1, 12)]


def test_a_connection_ends_where_it_is_told(door: Camera) -> None:
    door.fault = Fault(ends_after=7)
    assert len(pictures(door.url, 99)) == 7


def test_damage_reaches_the_decoder_and_loss_the_pictures(door: Camera) -> None:
    door.fault = Fault(lost=4)
    codes = [code for _, code in pictures(door.url, 20)]
    assert None in codes or codes != list(range(codes[0] or 0, (codes[0] or 0) + 20))
    door.fault = Fault(damaged=6)
    with pytest.raises(av.error.InvalidDataError):
        pictures(door.url, 20)
