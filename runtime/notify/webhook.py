"""Events to a web server: one POST each, signed, tried again until it is taken."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message as Headers
from http import HTTPStatus
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import (
    HTTPRedirectHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
)

from wsgn import __version__

from .addresses import Webhook
from .messages import Message
from .outbox import Outbox

# Of each step of a request.
TIMEOUT_SECONDS = 10.0
# Between attempts; the last one again and again.
WAIT_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
# What a receiver may ask for with Retry-After.
_LONGEST_WAIT_SECONDS = 3600.0
# Answers of a server that may take the same request later.
_LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a request ended."""

    # delivered | refused | later
    outcome: str
    # What was wrong, for a sentence.
    trouble: str = ""
    # What the server asks for.
    wait_seconds: float = 0.0


class _NoRedirects(HTTPRedirectHandler):
    """Leaves redirects alone: what is signed for one server is not for another."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        """No request."""
        return None


class WebhookSender:
    """Sends what is in its outbox, from a thread of its own."""

    def __init__(
        self,
        webhook: Webhook,
        secret: bytes | None = None,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        wait_seconds: Sequence[float] = WAIT_SECONDS,
    ) -> None:
        self.outbox = Outbox(webhook.shown)
        self._webhook = webhook
        self._secret = secret
        self._timeout_seconds = timeout_seconds
        self._wait_seconds = wait_seconds
        self._opener = _opener(webhook)
        # No more comes; what waits is tried at once.
        self._ending = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notify webhook", daemon=True)
        self._thread.start()

    def put(self, message: Message) -> None:
        """Send it when its turn comes."""
        self.outbox.put(message)

    def see(self, source: str, state: str, at_unix_seconds: float | None) -> None:
        """Nothing: the events say it."""

    def end(self) -> None:
        """Nothing more comes: try what waits without waiting."""
        self._ending.set()
        self.outbox.wake.set()

    def stop(self) -> None:
        """End."""
        self._stopped.set()
        self.end()

    def join(self, patience_seconds: float) -> None:
        """Wait for that; a request that hangs is left to itself."""
        self._thread.join(patience_seconds)

    def _run(self) -> None:
        num_failures = 0
        while not self._stopped.is_set():
            message = self.outbox.first()
            if message is None:
                self.outbox.wake.wait()
                self.outbox.wake.clear()
                continue
            answer = self._post(message)
            if answer.outcome == "later":
                self.outbox.failed(answer.trouble, is_tried_again=True)
                wait = self._wait_seconds[min(num_failures, len(self._wait_seconds) - 1)]
                num_failures += 1
                self._pause(max(wait, answer.wait_seconds))
                continue
            num_failures = 0
            self.outbox.remove(message, delivered=answer.outcome == "delivered")
            if answer.outcome == "delivered":
                self.outbox.works()
            else:
                self.outbox.failed(answer.trouble, is_tried_again=False)

    def _pause(self, seconds: float) -> None:
        """Wait, but at the end of the run only as long as after a first failure."""
        if self._ending.is_set():
            self._stopped.wait(min(seconds, self._wait_seconds[0]))
        else:
            self._ending.wait(seconds)

    def _post(self, message: Message) -> Answer:
        request = Request(
            self._webhook.url, data=message.body, headers=self._headers(message), method="POST"
        )
        try:
            with self._opener.open(request, timeout=self._timeout_seconds):
                return Answer(outcome="delivered")
        except HTTPError as error:
            with error:
                return _judged(error.code, error.headers)
        # What it says may quote the address.
        except (OSError, ValueError, http.client.HTTPException) as error:
            return Answer(outcome="later", trouble=_trouble(error))

    def _headers(self, message: Message) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"wsgn/{__version__}",
            "Idempotency-Key": message.key,
        }
        if self._webhook.authorization is not None:
            headers["Authorization"] = self._webhook.authorization
        if self._secret is not None:
            headers["Wsgn-Signature"] = signature(message.body, self._secret)
        return headers


def signature(body: bytes, secret: bytes) -> str:
    """The value of `Wsgn-Signature`: HMAC-SHA256 of a request's body."""
    return f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"


def _opener(webhook: Webhook) -> OpenerDirector:
    # A proxy knows nothing of this machine's own servers.
    proxies = [ProxyHandler({})] if webhook.is_local else []
    return build_opener(_NoRedirects, *proxies)


def _judged(code: int, headers: Headers) -> Answer:
    """What an answer other than 2xx means; none of its words are taken from the server."""
    known = {status.value: f" ({status.phrase})" for status in HTTPStatus}
    words = f"the server answers with {code}{known.get(code, '')}"
    if 300 <= code < 400:
        return Answer(
            outcome="refused",
            trouble=f"{words}, a redirect, which is not followed: give the address it leads to",
        )
    if code in _LATER or code >= 500:
        return Answer(outcome="later", trouble=words, wait_seconds=_asked_wait(headers))
    return Answer(outcome="refused", trouble=words)


def _asked_wait(headers: Headers) -> float:
    """Seconds of Retry-After; 0 without it and for a date."""
    text = headers.get("Retry-After", "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        return 0.0
    return min(float(text), _LONGEST_WAIT_SECONDS)


def _trouble(error: Exception) -> str:
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return "the server's certificate is not one that this machine trusts"
    if isinstance(reason, ssl.SSLError):
        return "the server speaks no TLS that this machine knows"
    if isinstance(reason, socket.gaierror):
        return "no name server knows the host"
    if isinstance(reason, TimeoutError):
        return "the server does not answer"
    if isinstance(reason, ConnectionRefusedError):
        return "the server refuses connections"
    if isinstance(reason, (ConnectionError, http.client.HTTPException)):
        return "the server breaks off"
    return "the server cannot be reached"
