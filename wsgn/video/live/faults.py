"""Faults of live sources, named by what happened and by how long it took."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from av.error import (
    ExitError,
    FFmpegError,
    HTTPClientError,
    HTTPError,
    HTTPForbiddenError,
    HTTPNotFoundError,
    HTTPUnauthorizedError,
)

# What took so much of the limit took all of it.
_NEARLY = 0.95
_BY_ERRNO = {
    errno.ECONNREFUSED: "refused",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ENETDOWN: "unreachable",
    errno.EHOSTDOWN: "unreachable",
    errno.ETIMEDOUT: "no_answer",
    errno.ENOENT: "not_found",
    errno.ENODEV: "not_found",
    errno.ENXIO: "not_found",
    errno.EBUSY: "rejected",
    errno.EACCES: "rejected",
    errno.EPROTONOSUPPORT: "rejected",
}
# The other side has closed.
_ENDS = (errno.EIO, errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE)
_WORDS = {
    "refused": "nothing listens there",
    "unreachable": "there is no route to it",
    "name_unknown": "its name is not known",
    "no_answer": "no answer for {seconds:.3g} s",
    "unauthorized": "user or password is wrong",
    "not_found": "it is not there",
    "rejected": "it refuses the stream",
    "timeout": "no picture for {seconds:.3g} s",
    "ended": "it has ended the stream",
    "broken": "the connection or its data broke",
    "storm": "pictures come many times as fast as they should",
    "undecodable": "its pictures cannot be decoded",
    "no_video_stream": "it sends no video",
    "late": "it stays later than is allowed",
}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a connection has ended."""

    cause: str
    # How long what did not happen was waited for.
    seconds: float = 0.0

    def words(self) -> str:
        """What happened, for people."""
        return _WORDS[self.cause].format(seconds=self.seconds)


class LiveFaultError(Exception):
    """Ends a connection from inside."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.cause)
        self.fault = fault


def opening_fault(
    error: FFmpegError | ValueError, elapsed: float, limit: float, host: str | None
) -> Fault:
    """Why an opening has failed, after so many seconds; libav's exceptions name the wrong fault."""
    if isinstance(error, HTTPUnauthorizedError | HTTPForbiddenError):
        return Fault(cause="unauthorized")
    if isinstance(error, HTTPNotFoundError):
        return Fault(cause="not_found")
    if isinstance(error, HTTPClientError | HTTPError):
        return Fault(cause="rejected")
    cause = _BY_ERRNO.get(getattr(error, "errno", None) or 0)
    if cause in ("refused", "unreachable"):
        return Fault(cause=cause)
    if isinstance(error, ExitError) or cause == "no_answer" or elapsed >= _NEARLY * limit:
        return Fault(cause="no_answer", seconds=elapsed)
    if cause is None and host is not None and getattr(error, "errno", 0) == errno.EIO:
        cause = "broken" if _is_known(host) else "name_unknown"
    return Fault(cause=cause or "broken")


def reading_fault(
    error: FFmpegError, waited: float, read_limit: float | None, limit: float
) -> Fault:
    """Why a connection broke off, whose last packet was waited for so long.

    `limit` is the silence that is borne; libav's own limit may be a part of it.
    """
    number = getattr(error, "errno", 0)
    is_silent = read_limit is not None and waited >= _NEARLY * read_limit
    if isinstance(error, ExitError) or number == errno.ETIMEDOUT or is_silent:
        return Fault(cause="timeout", seconds=limit)
    return Fault(cause="ended" if number in _ENDS else "broken")


def _is_known(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return True
