"""Which text is the address of a file in a store, and the parts of its name."""

from __future__ import annotations

import os
import re

from wsgn.support.credentials import without_credentials

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
# Paths, and what is opened by libav or refused by its name.
_OTHERS = {
    *("file", "http", "https", "rtsp", "rtsps", "rtmp", "rtmpe", "rtmps", "rtmpt"),
    *("rtp", "tcp", "udp", "srt", "rist", "mms", "mmsh"),
}


def is_address(text: str | os.PathLike[str]) -> bool:
    """Whether it is an address that a store answers: `scheme://`, and no path that exists.

    Not file://, http(s):// and addresses of streams.
    """
    if not isinstance(text, str):
        return False
    found = _SCHEME.match(text)
    return found is not None and scheme_of(text) not in _OTHERS and not os.path.lexists(text)


def scheme_of(address: str) -> str:
    """`s3` of s3://bucket/a.mp4."""
    return address.partition("://")[0].lower()


def path_of(address: str) -> str:
    """`bucket/dir/a.mp4` of s3://bucket/dir/a.mp4, without the user of a server."""
    server, slash, rest = _parts(address)[1].partition("/")
    return f"{server.rpartition('@')[2]}{slash}{rest}"


def name_of(address: str) -> str:
    """The last part of an address: `a b.mp4` of s3://bucket/dir/a b.mp4."""
    return path_of(address).rpartition("/")[2]


def folder_of(address: str) -> str:
    """What an address lies in: s3://bucket/dir of s3://bucket/dir/a.mp4."""
    scheme, place = _parts(address)
    return f"{scheme}://{place.rpartition('/')[0]}"


def inside(folder: str, name: str) -> str:
    """The address of a name in a folder."""
    scheme, place = _parts(folder)
    return f"{scheme}://{place}/{name}"


def shown(address: str) -> str:
    """The address as a sentence may show it, without credentials."""
    return without_credentials(address)


def _parts(address: str) -> tuple[str, str]:
    scheme, _, place = address.partition("://")
    return scheme, place.rstrip("/")
