"""Stores as fsspec knows them, and what went wrong with one in one sentence."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from wsgn.errors import InputError, MissingExtraError, UsageError, WsgnError
from wsgn.remote.addresses import scheme_of, shown
from wsgn.support.credentials import text_without_credentials
from wsgn.support.signals import hold_signals

# In these an object is there whole or not at all, whatever becomes of who writes it.
_WHOLE = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "memory")
# Classes of errors by their names: the libraries of stores are loaded by fsspec alone.
_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"}
_UNREACHABLE = {
    "ConnectionError",
    "TimeoutError",
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ConnectionClosedError",
    "HTTPClientError",
    "ClientConnectionError",
    "gaierror",
}
# More than a sentence needs of another library's words.
_MOST_LETTERS = 200

MISSING, PERMISSION, UNREACHABLE, UNREADABLE = "missing", "permission", "unreachable", "unreadable"


class RemoteError(InputError):
    """Something at an address cannot be read; `code` is one of the four words above.

    `words` are the reason alone, for a sentence of others.
    """

    def __init__(self, code: str, message: str, words: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.words = words or message


class MissingStoreError(MissingExtraError):
    """The package is missing by which fsspec reads a kind of addresses."""

    def __init__(self, scheme: str, words: str) -> None:
        WsgnError.__init__(
            self, f"{scheme}:// needs a package that is not installed: {words.rstrip('.')}."
        )


def open_store(address: str) -> tuple[Any, str]:
    """The file system of an address, kept for the next call, and the path that it knows it by.

    Raises what `require_store` raises, and `RemoteError`.
    """
    require_store(address)
    from fsspec.core import url_to_fs

    with read_errors(address):
        store, path = url_to_fs(address)
        return store, str(path)


def require_store(address: str) -> None:
    """Refuse an address that no store could answer, without asking one.

    Raises `MissingExtraError`, and `UsageError` for one of no known kind, without a bucket or with
    a password.
    """
    try:
        from fsspec.registry import get_filesystem_class
    except ImportError as error:
        raise MissingExtraError(f"{scheme_of(address)}://", "remote") from error
    try:
        get_filesystem_class(scheme_of(address))
    except ImportError as error:
        raise MissingStoreError(scheme_of(address), _first_line(error)) from error
    except ValueError as error:
        raise UsageError(
            f"'{shown(address)}' is an address of a kind that is not known: check what stands "
            "before ://."
        ) from error
    _check_host(address)


def _check_host(address: str) -> None:
    """Raise `UsageError` where an object store is named without a bucket or with a password."""
    host = address.partition("://")[2].partition("/")[0]
    if scheme_of(address) in _WHOLE and scheme_of(address) != "memory" and not host:
        raise UsageError(
            f"'{shown(address)}' names no bucket: give one, as in {scheme_of(address)}://bucket/dir."
        )
    # Of ftp:// and its like they are what the store is asked with.
    if scheme_of(address) in _WHOLE and ":" in host.rpartition("@")[0]:
        raise UsageError(
            f"'{shown(address)}' is given with a name and a password, which a store does not take "
            "from an address: leave them out, and set them as its own tools have them."
        )


@contextmanager
def read_errors(address: str) -> Iterator[None]:
    """Turn whatever a store raises while something is read into a `RemoteError`."""
    try:
        yield
    except WsgnError:
        raise
    # Each store has its own errors.
    except Exception as error:
        code, words = _reason(error)
        name = shown(address)
        sentences = {
            MISSING: f"there is no {name}.",
            PERMISSION: f"no permission to read {name}: {words}.",
            UNREACHABLE: f"{name} cannot be reached: {words}.",
        }
        message = sentences.get(code, f"{name} cannot be read: {words}.")
        raise RemoteError(code, message, words) from error


def upload(file: str, address: str) -> None:
    """Put a file of this disk at an address, whole or not at all. Raises `OSError`.

    A signal waits until that is done: nothing is left of an upload in several parts.
    """
    store, path = open_store(address)
    with hold_signals(), write_errors():
        store.put_file(file, path)


def delete(address: str) -> None:
    """Take away what is at an address; nothing happens where nothing is. Raises `OSError`."""
    store, path = open_store(address)
    with write_errors():
        try:
            store.rm_file(path)
        except FileNotFoundError:
            return


def require_whole_uploads(address: str) -> None:
    """Raise `UsageError` for stores in which half a file could be left."""
    if scheme_of(address) not in _WHOLE:
        raise UsageError(
            f"'{shown(address)}': results are written to object stores only ({', '.join(_WHOLE)}), "
            "where a file is there whole or not at all."
        )


@contextmanager
def write_errors() -> Iterator[None]:
    """Turn whatever a store raises while something is written into an `OSError` of plain words."""
    try:
        yield
    except Exception as error:
        code, words = _reason(error)
        number = {MISSING: errno.ENOENT, PERMISSION: errno.EACCES}.get(code, errno.EIO)
        raise OSError(number, words) from error


def _reason(error: Exception) -> tuple[str, str]:
    """One of the four codes, and words."""
    chain = [error, *_causes(error)]
    names = {kind.__name__ for one in chain for kind in type(one).__mro__}
    if names & _NO_CREDENTIALS:
        return PERMISSION, "no credentials were found for this store"
    if "FileNotFoundError" in names:
        return MISSING, "there is no such place"
    if "PermissionError" in names:
        return PERMISSION, _first_line(error)
    if names & _UNREACHABLE:
        return UNREACHABLE, _first_line(error)
    return UNREADABLE, _first_line(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    while (cause := error.__cause__) is not None:
        yield cause
        error = cause


def _first_line(error: Exception) -> str:
    words = getattr(error, "strerror", None) or str(error)
    lines = text_without_credentials(str(words)).strip().splitlines()
    line = lines[0].strip().rstrip(".") if lines else type(error).__name__
    return line if len(line) <= _MOST_LETTERS else f"{line[:_MOST_LETTERS]}..."
