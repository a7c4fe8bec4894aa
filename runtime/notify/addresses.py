"""Where notifications go: what a user wrote as an address, checked, and as it may be shown."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, unquote, urlsplit

from wsgn.errors import UsageError
from wsgn.support.hosts import is_loopback
from wsgn.support.terminal import holds_controls

_PORTS = {"https": 443, "http": 80, "mqtts": 8883, "mqtt": 1883}
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_DEFAULT_PREFIX = "wsgn"
# Letters of a path and a query that stand for themselves, and % for what was escaped before.
_PLAIN = "%/:@!$&'()*+,;=~?-._[]"
_LONGEST_PREFIX = 200


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A web server that takes events by POST."""

    # Scheme, host and port alone: paths and queries of webhooks are often secrets.
    shown: str
    # Without user and password.
    url: str = field(repr=False)
    host: str = field(repr=False)
    # The header of this name, where the address had a user.
    authorization: str | None = field(default=None, repr=False)

    @property
    def is_local(self) -> bool:
        """Whether nothing that is sent there leaves this machine."""
        return is_loopback(self.host)


@dataclass(frozen=True, kw_only=True)
class Broker:
    """An MQTT broker, and what all topics begin with."""

    shown: str
    host: str
    port: int
    uses_tls: bool
    prefix: str
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


Address = Webhook | Broker


def read_address(text: str, *, allows_http: bool = False) -> Address:
    """What `https://...`, `mqtt(s)://BROKER[/PREFIX]` or `http://...` names.

    http:// of other machines than this one takes `allows_http`. Raises `UsageError`, whose text
    holds no more of the address than its scheme and host.
    """
    found = _SCHEME.match(text)
    scheme = "" if found is None else found[1].lower()
    if scheme not in _PORTS:
        raise UsageError(
            "--notify takes an address that begins with https://, mqtts:// or mqtt://, or with "
            "http:// on this machine."
        )
    parts, host, port = _parted(text, scheme)
    where = f"[{host}]" if ":" in host else host
    if port != _PORTS[scheme]:
        where += f":{port}"
    shown = f"{scheme}://{where}"
    if scheme in ("mqtt", "mqtts"):
        return _broker(parts, host, port, shown)
    webhook = Webhook(
        shown=shown,
        url=shown + _escaped_place(parts),
        host=host,
        authorization=_authorization(parts),
    )
    if scheme == "http" and not (allows_http or webhook.is_local):
        raise UsageError(
            f"--notify {shown} would send events over the network without encryption: write "
            "https://, or add --notify-http where you trust the network."
        )
    return webhook


def _parted(text: str, scheme: str) -> tuple[SplitResult, str, int]:
    """The address's parts, its host as name servers know it, and its port."""
    refusal = UsageError(
        f"--notify {scheme}://...: this is no address: escape what is special in a user and a "
        "password (/ is %2F, @ is %40), and give a host, and a port from 1 to 65535 if any."
    )
    if holds_controls(text) or " " in text:
        raise refusal
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").encode("idna").decode("ascii")
        port = _PORTS[scheme] if parts.port is None else parts.port
    # The text of the error quotes what may be a password.
    except (ValueError, UnicodeError):
        raise refusal from None
    if not host or not 0 < port < 65536:
        raise refusal
    return parts, host, port


def _escaped_place(parts: SplitResult) -> str:
    query = f"?{quote(parts.query, safe=_PLAIN)}" if parts.query else ""
    return quote(parts.path or "/", safe=_PLAIN) + query


def _authorization(parts: SplitResult) -> str | None:
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _broker(parts: SplitResult, host: str, port: int, shown: str) -> Broker:
    prefix = unquote(parts.path).strip("/") or _DEFAULT_PREFIX
    is_topic = not holds_controls(prefix) and not any(letter in prefix for letter in "+#")
    if parts.query or parts.fragment or not is_topic or prefix.startswith("$"):
        raise UsageError(
            f"--notify {shown}/...: what stands behind the broker begins all topics: leave out "
            "?, #, + and a $ at its beginning."
        )
    if len(prefix.encode("utf-8", "replace")) > _LONGEST_PREFIX:
        raise UsageError(
            f"--notify {shown}/...: what begins all topics has at most {_LONGEST_PREFIX} bytes."
        )
    return Broker(
        shown=shown,
        host=host,
        port=port,
        uses_tls=shown.startswith("mqtts"),
        prefix=prefix,
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
    )
