"""Types of options that name one input or output, which may be an address."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wsgn.errors import UsageError
from wsgn.remote.addresses import folder_of, is_address, name_of, shown
from wsgn.remote.cache import engine_copy, local_copy
from wsgn.remote.mirror import RemoteMirror
from wsgn.remote.store import open_store, require_whole_uploads
from wsgn.support.mirrors import add_mirror


def input_path(text: str, *, beside: Sequence[str] = ()) -> Path:
    """A path as it is; of an address, that of a copy on this disk. Raises `InputError`.

    Copies of the files of the names `beside`, as far as they are there, lie beside that copy.
    """
    if not is_address(text):
        return Path(text)
    with _usage():
        return local_copy(text, beside=beside)


def engine_file(text: str) -> Path:
    """The same of an engine, with the sidecar of a TensorRT plan beside it."""
    if not is_address(text):
        return Path(text)
    with _usage():
        return engine_copy(text)


def input_name(text: str) -> str:
    """The same as text, for options that take other words than paths, too."""
    return str(input_path(text)) if is_address(text) else text


def input_behind(sign: str, text: str, *, endings: Sequence[str] = ()) -> str:
    """The same of text, for options that take NAME=PATH, or a kind before another sign, too.

    `endings` are those of files that may lie beside, behind the name of the file.
    """
    before, found, behind = text.partition(sign)
    if found and is_address(behind) and not is_address(text):
        beside = [name_of(behind) + ending for ending in endings]
        return f"{before}{sign}{input_path(behind, beside=beside)}"
    return input_name(text)


def local_path(text: str) -> Path:
    """A path; an address is refused."""
    return Path(local_name(text))


def local_name(text: str) -> str:
    """The same as text."""
    if is_address(text):
        raise ArgumentTypeError(
            f"must be on this disk, and '{shown(text)}' is an address: copy what is there first, "
            "or bring there what was written"
        )
    return text


def output_folder(text: str) -> Path:
    """A path as it is; of an address, a folder on this disk whose files are uploaded.

    `wsgn.support.mirrors` knows it until the command ends. Raises `OutputError`.
    """
    return _mirrored(text, whole=True).root if is_address(text) else Path(text)


def output_file(text: str) -> Path:
    """The same for one file, and for those that a command writes beside it."""
    if not is_address(text):
        return Path(text)
    return _mirrored(folder_of(text), whole=False).root / name_of(text)


def _mirrored(address: str, *, whole: bool) -> RemoteMirror:
    with _usage():
        require_whole_uploads(address)
        # What is not installed is said before hours of work.
        open_store(address)
    mirror = RemoteMirror(address, whole=whole)
    add_mirror(mirror)
    return mirror


@contextmanager
def _usage() -> Iterator[None]:
    """argparse would say no more of a usage error than that the value is of another form."""
    try:
        yield
    except UsageError as error:
        raise ArgumentTypeError(str(error).rstrip(".")) from error
