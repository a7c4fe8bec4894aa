"""Where the live page is to be found, and who may see it."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass

from wsgn.errors import UsageError
from wsgn.support.hosts import is_loopback
from wsgn.support.terminal import printable

TOKEN_VARIABLE = "WSGN_TOKEN"
_LOCAL = "127.0.0.1"
_LARGEST_PORT = 65_535
# Of letters and digits at random, so many cannot be tried.
_SHORTEST_TOKEN = 16
_ADDRESS = re.compile(r"(?:(?P<host>\[[^\]]+\]|[^:\[\]]+):)?(?P<port>[0-9]{1,5})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ServeAddress:
    """An address of this machine."""

    host: str
    # 0: any that is free.
    port: int
    # Whoever knows it may look; None: whoever can reach this machine's own address.
    token: str | None = None

    def url(self, port: int) -> str:
        """As a browser takes it: with this machine's name where it is reached at all addresses."""
        name = socket.gethostname() if self.host in ("0.0.0.0", "::") else self.host
        host = f"[{name}]" if ":" in name else name
        return f"http://{host}:{port}/"


def serve_address(text: str, token: str | None = None) -> ServeAddress:
    """Of `[HOST:]PORT`; the token is that of the environment where none is given.

    Raises `UsageError`, also for a host that others reach without a token.
    """
    found = _ADDRESS.fullmatch(text.strip())
    if found is None or int(found["port"]) > _LARGEST_PORT:
        raise UsageError(
            f"--serve must be [HOST:]PORT, such as 8080 or 0.0.0.0:8080, got '{printable(text)}'."
        )
    host = (found["host"] or _LOCAL).strip("[]")
    token = os.environ.get(TOKEN_VARIABLE) if token is None else token
    if token and (len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable()):
        raise UsageError(
            f"{TOKEN_VARIABLE} must have at least {_SHORTEST_TOKEN} plain characters: "
            "openssl rand -hex 16 makes one."
        )
    if not token and not is_loopback(host):
        raise UsageError(
            f"--serve {printable(text)} lets others look: choose a token and put it into the "
            f"environment ({TOKEN_VARIABLE}), or give the port alone for this machine."
        )
    return ServeAddress(host=host, port=int(found["port"]), token=token or None)


def listen(address: ServeAddress) -> socket.socket:
    """A socket that listens there. Raises `UsageError` where it cannot."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            # A run that begins where another one has just ended.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(place)
            listening.listen(128)
        except BaseException:
            listening.close()
            raise
    # A host name that no name may be is a UnicodeError.
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no host name"
        raise UsageError(
            f"--serve: {printable(address.host)}:{address.port} cannot be listened at "
            f"({reason}): choose another port or host."
        ) from error
    return listening
