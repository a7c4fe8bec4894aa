"""Addresses as they may be shown: no user, password or key that is in them."""

from __future__ import annotations

import re

HIDDEN = "***"
# Slashes may be missing by a slip of the hand; two letters, for C:/ is a drive.
_SCHEME = re.compile(
    r"[a-z][a-z0-9+.-]+:/+|(?:https?|rtsps?|rtmps?|udp|tcp|rtp|srt):", re.IGNORECASE
)
_WORDS = r"(?:user|usr|login|pass|pwd|pw|secret|token|key|auth|sig|cred|session|nonce)"
# What cameras have in a query that tells one stream from another.
_PLAIN_NAMES = (
    r"(?:channel|ch|camera|cam|stream|real_stream|subtype|streamtype|profile|unicast|proto|tcp|udp"
    r"|resolution|width|height|fps|framerate|codec|videocodec|compression|quality|overrun_nonfatal"
    r"|fifo_size|buffer_size|pkt_size|timeout|localaddr|localport|ttl|enablesrtp)"
)
_PLAIN_PART = re.compile(rf"{_PLAIN_NAMES}(?:=\w[\w.-]{{0,11}})?", re.IGNORECASE)
_NAMED_SECRET = re.compile(rf"([a-z_.-]*{_WORDS}[a-z_.-]*=).*", re.IGNORECASE | re.DOTALL)
# /user=admin_password=secret_channel=1: nothing but what follows tells where the secret ends.
_SECRET_IN_PATH = re.compile(
    rf"({_WORDS}[^=%/&;]*(?:=|%3d)).*?(?=[_&;,](?:channel|stream|subtype)=\d|[/&;]|$)",
    re.IGNORECASE | re.DOTALL,
)
_URL_IN_TEXT = re.compile(
    r"""(?<=')[a-z][a-z0-9+.-]+://[^'\n]*(?=')|(?<=")[a-z][a-z0-9+.-]+://[^"\n]*(?=")"""
    r"""|[a-z][a-z0-9+.-]+://[^\s'"<>]+""",
    re.IGNORECASE,
)


def without_credentials(address: str) -> str:
    """The address without its user, and with *** for what may be a secret in its path and query.

    Of a query only what is known to be none is left. Other text, a path for one, stays as it is.
    """
    found = _SCHEME.match(address)
    if found is None:
        return address
    # Passwords with / and @ in them are often not escaped.
    rest = address[found.end() :].rpartition("@")[2]
    place, mark, query = _parted(rest, "?#")
    authority, slash, path = _parted(place, "/")
    authority = re.sub(r".*%40", "", authority, flags=re.IGNORECASE)
    path = _SECRET_IN_PATH.sub(rf"\1{HIDDEN}", path)
    shown = "&".join(map(_shown_part, query.split("&"))) if query else ""
    return f"{found[0]}{authority}{slash}{path}{mark}{shown}"


def unknown_parts(address: str) -> str:
    """What `without_credentials` hides of a query only because nobody knows what it is.

    It may tell one camera from another (`?cam_id=1`), and it may be a secret; what is named like a
    secret is not in it. Parts in their order, empty where there are none.
    """
    found = _SCHEME.match(address)
    if found is None:
        return ""
    _, _, query = _parted(address[found.end() :].rpartition("@")[2], "?#")
    return "&".join(part for part in query.split("&") if _shown_part(part) == HIDDEN)


def text_without_credentials(text: str) -> str:
    """Words of others, with every address in them as `without_credentials` shows it."""
    return _URL_IN_TEXT.sub(lambda found: without_credentials(found[0]), text)


def _shown_part(part: str) -> str:
    if _PLAIN_PART.fullmatch(part):
        return part
    named = _NAMED_SECRET.fullmatch(part)
    return HIDDEN if named is None else f"{named[1]}{HIDDEN}"


def _parted(text: str, marks: str) -> tuple[str, str, str]:
    """The text before the first of the marks, it, and the text behind it."""
    place = min((at for mark in marks if (at := text.find(mark)) >= 0), default=len(text))
    return text[:place], text[place : place + 1], text[place + 1 :]
