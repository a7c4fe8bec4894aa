"""Types of options that name one input or output, which may be an address."""

from __future__ import annotations

from pathlib import Path

from wsgn.errors import InputError, OutputError, UsageError
from wsgn.remote.addresses import folder_of, is_address, name_of
from wsgn.remote.cache import local_copy
from wsgn.remote.mirror import RemoteMirror
from wsgn.remote.store import require_whole_uploads
from wsgn.support.mirrors import add_mirror


def input_path(text: str) -> Path:
    """A path as it is; of an address, that of a copy on this disk. Raises `InputError`."""
    if not is_address(text):
        return Path(text)
    try:
        return local_copy(text)
    # argparse would say no more than that the value is of another form.
    except UsageError as error:
        raise InputError(str(error)) from error


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
    try:
        require_whole_uploads(address)
    except UsageError as error:
        raise OutputError(str(error)) from error
    mirror = RemoteMirror(address, whole=whole)
    add_mirror(mirror)
    return mirror
