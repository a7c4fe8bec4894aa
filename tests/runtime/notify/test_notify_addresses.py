"""Where notifications may go, and what is shown of it."""

from __future__ import annotations

import pytest

from wsgn.errors import UsageError
from wsgn.runtime.notify.addresses import Broker, Webhook, read_address

SECRET = "hUnter2"


@pytest.mark.parametrize(
    ("text", "url", "shown"),
    [
        (
            "https://host/hook/SECRET?k=SECRET#x",
            "https://host/hook/SECRET?k=SECRET",
            "https://host",
        ),
        ("HTTPS://u:SECRET@Host:8443", "https://host:8443/", "https://host:8443"),
        (
            "http://localhost:80/a b".replace(" ", "%20"),
            "http://localhost/a%20b",
            "http://localhost",
        ),
        ("http://127.0.0.9:1/h", "http://127.0.0.9:1/h", "http://127.0.0.9:1"),
        ("http://[::1]:8123/h", "http://[::1]:8123/h", "http://[::1]:8123"),
        (
            "https://b\u00fccher.example/\u00e9",
            "https://xn--bcher-kva.example/%C3%A9",
            "https://xn--bcher-kva.example",
        ),
    ],
)
def test_a_webhook(text: str, url: str, shown: str) -> None:
    found = read_address(text.replace("SECRET", SECRET))
    assert isinstance(found, Webhook)
    assert (found.url, found.shown) == (url.replace("SECRET", SECRET), shown)
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("text", "host", "port", "tls", "prefix"),
    [
        ("mqtt://broker", "broker", 1883, False, "wsgn"),
        ("mqtts://u:p%40SECRET@broker/home/cams/", "broker", 8883, True, "home/cams"),
        ("mqtt://[::1]:1884/caf%C3%A9", "::1", 1884, False, "caf\u00e9"),
    ],
)
def test_a_broker(text: str, host: str, port: int, tls: bool, prefix: str) -> None:
    found = read_address(text.replace("SECRET", SECRET))
    assert isinstance(found, Broker)
    assert (found.host, found.port, found.uses_tls, found.prefix) == (host, port, tls, prefix)
    assert SECRET not in repr(found)
    if found.user:
        assert (found.user, found.password) == ("u", f"p@{SECRET}")


@pytest.mark.parametrize(
    "text",
    [
        "host/SECRET",
        "ftp://host/SECRET",
        "https:/host/SECRET",
        "https://",
        "https:///SECRET",
        "https://u:SEC/RET@host/x".replace("SEC/RET", "SECRET/x"),
        "https://host:0/SECRET",
        "https://host:66000/SECRET",
        "https://host:SECRET/",
        "https://ho st/SECRET",
        "https://host/SECRET\n",
        "https://a..b/SECRET",
        "https://[::1/SECRET",
        "http://10.0.0.1/SECRET",
        "http://localhost.example/SECRET",
        "http://127.0.0.1.example/SECRET",
        "mqtt://broker/#SECRET",
        "mqtt://broker/a+b/SECRET",
        "mqtt://broker/a?SECRET",
        "mqtt://broker/$SYS/SECRET",
        "mqtt://broker/%00SECRET",
        f"mqtt://broker/{'SECRET' * 40}",
    ],
)
def test_what_is_no_address_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_address(text.replace("SECRET", SECRET))
    assert SECRET not in str(caught.value)
    assert "--notify" in str(caught.value)


def test_http_to_other_machines_is_asked_for() -> None:
    found = read_address("http://10.0.0.1:8123/api", allows_http=True)
    assert isinstance(found, Webhook)
    assert not found.is_local
