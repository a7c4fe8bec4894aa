"""Who may ask what: nothing but GET, by the right name, and with the token where there is one."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What says nothing but that the run lives, for programs that know neither token nor name.
_FREE = ("/healthz", "/readyz")
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    # No page of another server shows its pictures.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_POLICY = "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_COOKIE_SECONDS = 30 * 86_400


class Guard:
    """Stands before an application.

    A page of somebody else's that lets its own name stand for this machine (DNS rebinding) is told
    by the name: without a token it has to be an address or localhost. With one any name will do,
    because a browser sends the cookie to the name alone at which it was given.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, port: int) -> None:
        self._app = app
        self._token = token
        # Cookies belong to a host with all its ports.
        self._cookie = f"wsgn-{port}"
        self._sign = "" if token is None else hashlib.sha256(f"wsgn {token}".encode()).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                is_page = headers.get("content-type", "").startswith("text/html")
                headers["Content-Security-Policy"] = (
                    _POLICY if is_page else f"default-src 'none'; {_POLICY}"
                )
            await send(message)

        answer = self._answer(scope)
        await (self._app if answer is None else answer)(scope, receive, send_guarded)

    def _answer(self, scope: Scope) -> Response | None:
        """What is said instead; None for those who may go on."""
        headers, path = Headers(scope=scope), scope["path"]
        if scope["method"] != "GET":
            return PlainTextResponse("Only GET.\n", 405, headers={"Allow": "GET"})
        if path in _FREE:
            return None
        if self._token is None:
            if _is_address(headers.get("host", "")):
                return None
            return PlainTextResponse(
                "Unknown Host: ask by an address or localhost, or choose a token.\n", 400
            )
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        if given is not None and path == "/" and _same(given[-1], self._token):
            # Out of the address bar, from where it would be copied and kept.
            response = RedirectResponse("./", 303)
            response.set_cookie(
                self._cookie, self._sign, max_age=_COOKIE_SECONDS, httponly=True, samesite="lax"
            )
            return response
        if self._is_known(headers):
            return None
        return PlainTextResponse(
            "A token is needed: add ?token=... to the address of the page.\n",
            401,
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _is_known(self, headers: Headers) -> bool:
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _same(bearer.strip(), self._token or ""):
            return True
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        return self._cookie in cookies and _same(cookies[self._cookie].value, self._sign)


def _same(given: str, wanted: str) -> bool:
    return secrets.compare_digest(given.encode(), wanted.encode())


def _is_address(host: str) -> bool:
    """Whether a Host header holds an address, or localhost, and a port."""
    name, colon, port = host.rpartition(":")
    if not colon or port.endswith("]"):
        name = host
    elif not port.isdigit():
        return False
    if name.lower() == "localhost":
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
