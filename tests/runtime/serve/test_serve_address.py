"""`--serve [HOST:]PORT`: what is read, and who may be let in without a token."""

from __future__ import annotations

import socket

import pytest

from wsgn.errors import UsageError
from wsgn.runtime.serve.address import TOKEN_VARIABLE, listen, serve_address
from wsgn.support.hosts import is_loopback

TOKEN = "0123456789abcdef"


@pytest.fixture(autouse=True)
def _without_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("8080", "127.0.0.1", 8080), ("0", "127.0.0.1", 0), ("localhost:80", "localhost", 80),
        ("127.0.0.2:9", "127.0.0.2", 9), ("[::1]:8080", "::1", 8080),
    ],
)  # fmt: skip
def test_this_machine_needs_no_token(text: str, host: str, port: int) -> None:
    found = serve_address(text)
    assert (found.host, found.port, found.token) == (host, port, None)


@pytest.mark.parametrize("text", ["0.0.0.0:80", "[::]:80", "10.0.0.5:80", "cameras.example:80"])
def test_others_need_one(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="WSGN_TOKEN"):
        serve_address(text)
    monkeypatch.setenv(TOKEN_VARIABLE, "")
    with pytest.raises(UsageError, match="WSGN_TOKEN"):
        serve_address(text)
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    assert serve_address(text).token == TOKEN


@pytest.mark.parametrize("token", ["short", "0123456789abcdeä", "0123456789abcdef\n"])
def test_a_token_is_long_and_plain(token: str) -> None:
    with pytest.raises(UsageError, match=r"at least 16 plain characters") as raised:
        serve_address("8080", token)
    assert token not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    ["", "x", "70000", "8080:", ":8080", "a:b", "::1:8080", "1:2:3", "[::1]", "-1", "٣", "1e3"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"\[HOST:\]PORT"):
        serve_address(text)


def test_an_address_is_one_that_a_browser_takes() -> None:
    hosts = ("8080", "[::1]:8080", "10.0.0.5:8080", "0.0.0.0:8080", "[::]:8080")
    assert [serve_address(host, TOKEN).url(80) for host in hosts] == [
        "http://127.0.0.1:80/", "http://[::1]:80/", "http://10.0.0.5:80/",
        f"http://{socket.gethostname()}:80/", f"http://{socket.gethostname()}:80/",
    ]  # fmt: skip


def test_what_is_local_is_told_by_the_address() -> None:
    hosts = ("127.9.9.9", "::1", "localhost", "localhost.example")
    assert [is_loopback(host) for host in hosts] == [True, True, True, False]


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"127.0.0.1:{port} cannot be listened at"):
            listen(serve_address(str(port)))
    with pytest.raises(UsageError, match="cannot be listened at"):
        listen(serve_address("no..host:1", TOKEN))
