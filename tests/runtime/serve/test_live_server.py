"""The live page's server: who may ask, what is answered, and that nobody holds up anybody."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket
import threading
import time

import numpy as np
import pytest
from PIL import Image
from served import (
    HANG_SECONDS,
    RUN,
    Served,
    changed,
    opened,
    picture,
    run_event,
    scores,
    segment,
    served,
    started,
    statistics,
)

TOKEN = "a-token-of-some-length"


def test_the_page_is_one_file_that_may_ask_its_own_server_alone(live: Served) -> None:
    status, headers, page = live.get("/")
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert b"default-src 'none'" in page
    assert b"connect-src 'self'" in page
    assert b"://" not in page


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/picture/a.jpg", "/nothing"])
def test_answers_keep_to_themselves(live: Served, path: str) -> None:
    _, headers, _ = live.get(path)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers
    if path != "/":
        assert "default-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_nothing_but_get_is_answered(live: Served, method: str) -> None:
    for path in ("/", "/events", "/healthz"):
        status, headers, _ = live.get(path, method, Origin="http://elsewhere.example")
        assert (status, headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:1", 200), ("localhost", 200), ("LOCALHOST:80", 200), ("[::1]:8080", 200),
        ("10.0.0.5:8080", 200), ("elsewhere.example", 400), ("127.0.0.1.elsewhere.example", 400),
        ("localhost:x", 400), ("elsewhere.example:8080", 400), ("", 400), ("1:2:3", 400),
        ("user@127.0.0.1", 400),
    ],
)  # fmt: skip
def test_a_name_that_anybody_may_own_is_refused(live: Served, host: str, status: int) -> None:
    assert live.get("/", Host=host)[0] == status
    # Who asks whether it lives knows no name.
    assert live.get("/healthz", Host=host)[0] == 200


def test_a_token_lets_in_once_and_then_a_cookie_does() -> None:
    with served(token=TOKEN) as live:
        for path in ("/", "/events", "/updates", "/metrics", "/picture/a.jpg", "/?token=wrong"):
            status, headers, body = live.get(path)
            assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
            assert "Set-Cookie" not in headers
            assert TOKEN.encode() not in body
        status, headers, _ = live.get(f"/?token={TOKEN}", Host="cameras.example")
        assert (status, headers["Location"]) == (303, "./")
        cookie, *rules = headers["Set-Cookie"].split("; ")
        assert {"HttpOnly", "SameSite=lax"} <= set(rules)
        assert TOKEN not in headers["Set-Cookie"]
        # With a token any name will do: the cookie belongs to it.
        assert live.get("/", Cookie=f"other=1; {cookie}", Host="cameras.example")[0] == 200
        assert live.get("/", Cookie=cookie[:-1])[0] == 401
        assert live.get("/", Cookie=f"{cookie.partition('=')[0]}={TOKEN}")[0] == 401
        assert live.get("/metrics", Authorization=f"Bearer {TOKEN}")[0] == 200
        assert live.get("/metrics", Authorization=f"Bearer {TOKEN}x")[0] == 401
        assert live.get("/metrics", Authorization=f"Basic {TOKEN}")[0] == 401
        # It opens the page, and stands in no other address.
        assert live.get(f"/metrics?token={TOKEN}")[0] == 401
        assert live.get("/healthz")[0] == 200


def test_events_come_as_lines_and_go_on_where_a_viewer_was(live: Served) -> None:
    live.tell(run_event(), opened("door"))
    with live.viewer() as viewer:
        # What was before is not told to one who has just come.
        live.tell(started("door", 1, "wave", 2.0))
        identity, event = viewer.event()
        assert identity == f"{RUN}/2"
        assert (event["seq"], event["type"], event["source"]) == (2, "start", "door")
    live.tell(segment("door", 1, "wave", 2.0, 4.0), changed("door", "lost"))
    for last in (f"{RUN}/2", "2"):
        with live.viewer(**{"Last-Event-ID": last}) as viewer:
            assert [viewer.event()[1]["type"] for _ in range(2)] == ["segment", "status"]
    # All of it is new to one who saw another run, and to one who says what is no number.
    for last in ("fedcba9876543210/4", "no number"):
        with live.viewer(**{"Last-Event-ID": last}) as viewer:
            assert [viewer.event()[1]["seq"] for _ in range(5)] == [0, 1, 2, 3, 4]


def test_a_thousand_events_are_kept(live: Served) -> None:
    live.tell(*(changed("door", "lost", str(n)) for n in range(1200)))
    with live.viewer(**{"Last-Event-ID": "0"}) as viewer:
        assert viewer.event()[1]["seq"] == 200
    # One who says more than there is waits for the next, which may come before it is connected.
    assert live.page._from("99999999") == 1200
    with live.viewer(**{"Last-Event-ID": "99999999"}) as viewer:
        live.tell(changed("door", "restored"))
        assert viewer.event()[1]["seq"] == 1200


def test_updates_are_the_whole_and_then_what_changes(live: Served) -> None:
    live.tell(run_event(), opened("door"), started("door", 1, "wave", 2.0))
    live.page.scored("door", scores(3.0, 0.5, 1.0), 1000.0)
    live.page.ticked(statistics(door="restored"))
    told = {"names": [], "lines": [], "bars": {}, "steps": 0}
    with live.viewer("/updates") as viewer:
        kinds = []
        while "jump" not in [bar[1] for bar in told["bars"].values()] or told["steps"] != 2:
            message = viewer.message()
            document = json.loads(message["data"])
            kinds.append(message["event"])
            if message["event"] == "state":
                assert (document["run"], document["classes"]) == (RUN, ["wave", "jump"])
                live.tell(started("door", 2, "jump", 5.0))
                live.page.scored("door", scores(3.4, 0.1, 0.0), 1000.0)
            for source in document["sources"]:
                told["bars"] |= {bar[0]: bar for bar in source.get("bars", [])}
                told["steps"] += len(source.get("scores", {}).get("steps", []))
            told["lines"] += [line["type"] for line in document["lines"]]
            told["names"] = document["names"]
        assert kinds[0] == "state"
        assert set(kinds[1:]) == {"changes"}
    # Each thing once, whether it was told as a part of the whole or behind it.
    assert told["lines"] == ["source", "start", "start"]
    assert told["names"] == ["door"]
    assert len(told["bars"]) == 2


def test_who_takes_nothing_is_cut_off_and_the_others_get_all(live: Served) -> None:
    """Their number and what they are sent fill every buffer between them and the server."""
    num_events, num_viewers = 3000, 5
    got: list[list[int]] = [[] for _ in range(num_viewers)]

    def follow(n: int, connected: threading.Event) -> None:
        with live.viewer() as viewer:
            connected.set()
            while len(got[n]) < num_events:
                got[n].append(viewer.event()[1]["seq"])

    threads = []
    for n in range(num_viewers):
        connected = threading.Event()
        threads.append(threading.Thread(target=follow, args=(n, connected), daemon=True))
        threads[-1].start()
        assert connected.wait(HANG_SECONDS)
    with contextlib.closing(socket.socket()) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", live.port))
        deaf.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert deaf.recv(10)
        message = "x" * 4000
        for n in range(num_events):
            live.tell(changed("door", "lost", message))
            # No faster than somebody reads who reads.
            while n - min(map(len, got)) > 100:
                assert all(thread.is_alive() for thread in threads), list(map(len, got))
                time.sleep(0.001)
        for thread in threads:
            thread.join(HANG_SECONDS)
        assert got == [list(range(num_events))] * num_viewers
        assert live.page._events.num_cut == 1
        deaf.settimeout(HANG_SECONDS)
        # What was on its way may still be read; then the connection is gone.
        with contextlib.suppress(ConnectionResetError):
            while deaf.recv(1 << 20):
                pass


def test_a_burst_cuts_nobody_off_who_reads(live: Served) -> None:
    with live.viewer() as viewer:
        live.tell(*(changed("door", "lost", str(n)) for n in range(200)))
        assert [viewer.event()[1]["seq"] for _ in range(200)] == list(range(200))


def test_pictures_are_made_where_one_is_asked_for(live: Served) -> None:
    assert live.get("/picture/door.jpg")[0] == 404
    live.pictures["door/1 é"] = picture((200, 30, 30))
    for _ in range(3):
        status, headers, jpeg = live.get("/picture/door%2F1%20%C3%A9.jpg")
        assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    shown = np.asarray(Image.open(io.BytesIO(jpeg)), dtype=int)
    assert shown.shape == (48, 64, 3)
    assert np.abs(shown - (200, 30, 30)).max() < 12
    # Once, for all who asked.
    assert live.page._pictures.num_made == 1
    live.pictures.clear()
    assert live.get("/picture/door%2F1%20%C3%A9.jpg")[0] == 404


def test_health_is_of_the_run_and_readiness_of_its_sources(
    live: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    # While an engine is opened.
    assert (live.get("/healthz")[0], live.get("/readyz")[0]) == (200, 503)
    live.page.ticked(statistics(door="lost", yard=None))
    assert (live.get("/healthz")[0], live.get("/readyz")[0]) == (200, 503)
    live.page.ticked(statistics(door="lost", yard="late"))
    assert live.get("/readyz")[0] == 200
    monkeypatch.setattr("wsgn.runtime.serve.app._ALIVE_SECONDS", -1.0)
    status, _, body = live.get("/healthz")
    assert (status, body[:16]) == (503, b"Nothing was done")


def test_the_end_reaches_viewers_and_frees_the_port() -> None:
    with contextlib.ExitStack() as stack:
        with served() as live:
            viewers = [
                stack.enter_context(live.viewer(path)) for path in ("/events", "/updates") * 3
            ]
            raw = stack.enter_context(
                contextlib.closing(socket.create_connection(("127.0.0.1", live.port)))
            )
            raw.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            raw.settimeout(HANG_SECONDS)
            told = raw.recv(1 << 16)
            idle = stack.enter_context(
                contextlib.closing(socket.create_connection(("127.0.0.1", live.port)))
            )
            kept = http.client.HTTPConnection("127.0.0.1", live.port, timeout=HANG_SECONDS)
            stack.callback(kept.close)
            kept.request("GET", "/healthz")
            kept.getresponse().read()
            live.tell(run_event())
        assert viewers[0].event()[1]["type"] == "run"
        for viewer in viewers:
            while viewer.message():
                pass
        assert idle.recv(1) == b""
        # In order, and not broken off.
        while part := raw.recv(1 << 16):
            told += part
        assert told.endswith(b"\r\n0\r\n\r\n")
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", live.port))
            again.listen()
    assert not [t for t in threading.enumerate() if t.name == "wsgn-serve"]


def test_connections_that_ask_nothing_do_not_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Long enough for a busy machine to ask in.
    monkeypatch.setattr("wsgn.runtime.serve.server._IDLE_SECONDS", 0.5)
    begun = (
        b"",
        b"GET / HTTP/1.1\r\nHost: ",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGE",
    )
    # One who follows asks nothing more, and stays for longer than they.
    with served() as live, live.viewer() as viewer, contextlib.ExitStack() as stack:
        all_waiting = []
        for words in begun:
            waiting = socket.create_connection(("127.0.0.1", live.port), HANG_SECONDS)
            stack.enter_context(contextlib.closing(waiting))
            with contextlib.suppress(OSError):
                waiting.sendall(words)
            all_waiting.append(waiting)
        for waiting in all_waiting:
            with contextlib.suppress(ConnectionResetError):
                while waiting.recv(1 << 16):
                    pass
        live.tell(run_event())
        assert viewer.event()[1]["type"] == "run"


def test_there_is_an_end_to_connections_and_viewers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsgn.runtime.serve.server._MOST_CONNECTIONS", 4)
    monkeypatch.setattr("wsgn.runtime.serve.app._MOST_VIEWERS", 2)
    with served() as live, live.viewer(), live.viewer("/updates"):
        status, headers, _ = live.get("/events")
        assert (status, headers["Retry-After"]) == (503, "30")
        held = [socket.create_connection(("127.0.0.1", live.port)) for _ in range(2)]
        with contextlib.closing(socket.create_connection(("127.0.0.1", live.port))) as one_more:
            one_more.settimeout(HANG_SECONDS)
            with contextlib.suppress(ConnectionResetError):
                assert one_more.recv(1) == b""
        for one in held:
            # Who came before is not sent away.
            one.setblocking(False)
            with pytest.raises(BlockingIOError):
                one.recv(1)
            one.close()


@pytest.mark.parametrize(
    "request_text",
    [
        b"\x00\xff\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /picture/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /picture/%ff%00.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /events HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nLast-Event-ID: 99999999999999999999999\r\n\r\n",
        b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_odd_requests_break_nothing(
    live: Served, request_text: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    odd = socket.create_connection(("127.0.0.1", live.port), HANG_SECONDS)
    with contextlib.closing(odd), contextlib.suppress(OSError):
        odd.sendall(request_text)
        assert b"root:" not in odd.recv(1 << 16)
    assert live.get("/healthz")[0] == 200
    assert capfd.readouterr() == ("", "")
