"""`cameras.toml`: live sources by name, with passwords from the environment."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsgn.errors import InputError, UsageError
from wsgn.support.environment import with_variables, without_variables
from wsgn.support.terminal import holds_controls, printable
from wsgn.video.addresses import STANDARD_INPUT
from wsgn.video.live.options import RTSP_TRANSPORTS
from wsgn.video.live.source import LiveSource, is_live

CAMERAS_SUFFIX = ".toml"
_SECRET_VALUE = re.compile(
    r"(?:pass|pwd|token|key|auth|sig|secret)[a-z_-]*=([^&/?#]+)", re.IGNORECASE
)
# Of which TOML type each key is.
_KEYS: dict[str, tuple[type, ...]] = {
    "url": (str,),
    "rtsp_transport": (str,),
    "timeout": (int, float),
    "realtime": (bool,),
}
# Bytes; files have dates and endings behind it.
_LONGEST_NAME = 150
SHORTEST_TIMEOUT_SECONDS = 1.0
# What is longer is a slip of the keyboard.
LONGEST_TIMEOUT_SECONDS = 86_400.0


@dataclass(frozen=True, kw_only=True)
class _Table:
    """One table of the file, by its name."""

    name: str
    values: Mapping[str, Any]


def is_camera_list(argument: str) -> bool:
    """Whether a SOURCE argument names a list of cameras."""
    path = Path(argument)
    if path.suffix.lower() != CAMERAS_SUFFIX or "://" in argument:
        return False
    try:
        return not path.is_dir()
    # A name that no file can have.
    except (OSError, ValueError):
        return False


def read_cameras(path: Path) -> list[LiveSource]:
    """The sources in a list of cameras, in its order.

    Raises `InputError` where it cannot be read, `UsageError` where it is no such list, where the
    environment lacks what it asks for, and where others can read a password in it.
    """
    tables = [_Table(name=name, values=values) for name, values in _document(path).items()]
    if not tables:
        raise UsageError(f"'{path}' names no camera: write [door] and url = \"rtsp://...\" below.")
    for table in tables:
        _check(path, table)
    _refuse_open_secrets(path, tables)
    sources = [_source(path, table) for table in tables]
    if sum(source.address == STANDARD_INPUT for source in sources) > 1:
        raise UsageError(f"'{path}' names stdin twice: one source alone can read it.")
    return sources


def check_source_name(name: str, where: str) -> None:
    """Raise a `UsageError` for a name that no file could begin with; `where` it stands."""
    plain = printable(name)
    if not name or name != name.strip() or holds_controls(name) or plain != name:
        raise UsageError(f"{where}: '{plain}' is no name for a source.")
    if any(letter in name for letter in "/\\") or name.startswith((".", "-")):
        raise UsageError(
            f"{where}: '{name}' cannot name files: leave out slashes, and begin with a letter."
        )
    try:
        size = len(os.fsencode(name))
    except UnicodeEncodeError as error:
        raise UsageError(f"{where}: '{plain}' cannot name files here.") from error
    if size > _LONGEST_NAME:
        raise UsageError(f"{where}: a name has at most {_LONGEST_NAME} bytes, got {size}.")


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"the list of cameras '{path}' cannot be read: {reason}.") from error
    # TOMLDecodeError and UnicodeDecodeError are both; a deep document is a RecursionError.
    except (ValueError, RecursionError) as error:
        # Its text may quote a line with a password.
        place = re.search(r"line \d+, column \d+", str(error))
        at = f" ({place[0]})" if place else ""
        raise UsageError(f"the list of cameras '{path}' is no TOML{at}.") from None


def _check(path: Path, table: _Table) -> None:
    check_source_name(table.name, str(path))
    where = f"{path}, [{table.name}]"
    if not isinstance(table.values, Mapping) or "url" not in table.values:
        raise UsageError(f'{where}: a camera is a table with url = "rtsp://...".')
    for key, value in table.values.items():
        if key not in _KEYS:
            raise UsageError(
                f"{where}: '{printable(key)}' is not known: a camera has {', '.join(_KEYS)}."
            )
        wanted = _KEYS[key]
        if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            kind = {str: "text", bool: "true or false"}.get(wanted[0], "a number")
            raise UsageError(f"{where}: {key} must be {kind}.")
    transport = table.values.get("rtsp_transport")
    if transport is not None and transport not in RTSP_TRANSPORTS:
        raise UsageError(f"{where}: rtsp_transport must be one of {', '.join(RTSP_TRANSPORTS)}.")
    timeout = table.values.get("timeout")
    if timeout is not None and not SHORTEST_TIMEOUT_SECONDS <= timeout <= LONGEST_TIMEOUT_SECONDS:
        raise UsageError(f"{where}: timeout must be at least 1 s, and at most a day.")


def _refuse_open_secrets(path: Path, tables: list[_Table]) -> None:
    if os.name != "posix":
        return
    try:
        mode = path.stat().st_mode
    # Editors remove a file and write another; a run of weeks may come between.
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"the list of cameras '{path}' cannot be read: {reason}.") from error
    if not mode & stat.S_IROTH:
        return
    for table in tables:
        if _holds_secret(table.values["url"]):
            raise UsageError(
                f"'{path}' holds a password ([{table.name}]) and everybody on this machine can "
                f"read it: chmod o-r it, or write ${{NAME}} there and put it into the environment."
            )


def _holds_secret(url: str) -> bool:
    """Whether a password stands in an address itself, and not the name of a variable."""
    written = without_variables(url)
    _, _, rest = written.partition("://")
    user, at, _ = rest.rpartition("@")
    _, _, password = user.partition(":")
    return bool(at and password) or _SECRET_VALUE.search(written) is not None


def _is_pipe(address: str) -> bool:
    """Whether a path is a pipe that has a name."""
    try:
        return Path(address).is_fifo()
    # A name that no file can have.
    except (OSError, ValueError):
        return False


def _source(path: Path, table: _Table) -> LiveSource:
    timeout = table.values.get("timeout")
    address = with_variables(table.values["url"], f"{path}, [{table.name}]")
    realtime = table.values.get("realtime", False)
    is_file = address != STANDARD_INPUT and is_live(address) is False
    if is_file:
        if "://" not in address:
            # As in list files, paths are relative to the list's folder.
            address = os.path.join(path.parent, address)  # noqa: PTH118
        if not realtime and not _is_pipe(address):
            raise UsageError(
                f"{path}, [{table.name}]: its url is no address of a stream: a file is played with "
                "realtime = true."
            )
    return LiveSource(
        name=table.name,
        address=address,
        realtime=realtime,
        rtsp_transport=table.values.get("rtsp_transport"),
        timeout_seconds=None if timeout is None else float(timeout),
    )
