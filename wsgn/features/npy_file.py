"""NumPy's files without pickle: headers by themselves, and values no larger than the file says."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from wsgn.errors import InputError
from wsgn.support.arrays import AnyArray

_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True, kw_only=True)
class ArrayHeader:
    """What a .npy file says of its array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    # Bytes before the first value.
    data_offset: int


def read_npy_header(path: Path) -> ArrayHeader:
    """The header of a .npy file; `InputError` where it is not one, or is cut short."""
    with opened(path) as file:
        return _header(file, path.stat().st_size, str(path))


def read_npy(path: Path) -> AnyArray:
    """The values of a .npy file, whatever its type except objects."""
    with opened(path) as file:
        header = _header(file, path.stat().st_size, str(path))
        require_values(header, str(path))
        values = np.fromfile(file, dtype=header.dtype, count=math.prod(header.shape))
    return _shaped(values, header)


def read_npz_header(path: Path, key: str) -> ArrayHeader:
    """The header of the array `key` in a .npz file."""
    with _npz_member(path, key) as (file, size):
        return _header(file, size, f"{path} '{key}'")


def read_npz(path: Path, key: str) -> AnyArray:
    """The values of the array `key` in a .npz file."""
    where = f"{path} '{key}'"
    with _npz_member(path, key) as (file, size):
        header = _header(file, size, where)
        require_values(header, where)
        values = np.frombuffer(file.read(size - header.data_offset), dtype=header.dtype)
    return _shaped(values, header)


def require_values(header: ArrayHeader, where: str) -> None:
    """Refuse arrays of Python objects, which are pickles."""
    if header.dtype.hasobject:
        raise InputError(
            f"{where} holds Python objects (a pickle) where plain numbers or texts are needed: "
            "only the bundles of W-TALC may, see the layout 'wtalc'."
        )


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file to read; what the system says against it becomes an `InputError`."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def _header(file: IO[bytes], size: int, where: str) -> ArrayHeader:
    try:
        version = np.lib.format.read_magic(file)
        if version not in _HEADER_READERS:
            raise ValueError(f"version {version} is not for arrays of numbers")
        shape, fortran_order, dtype = _HEADER_READERS[version](file)
    except (ValueError, EOFError, SyntaxError, TypeError) as error:
        raise InputError(
            f"{where} is not a readable .npy array ({_first_line(error)}): make it again."
        ) from error
    header = ArrayHeader(
        shape=shape, dtype=dtype, fortran_order=fortran_order, data_offset=file.tell()
    )
    wanted, present = math.prod(shape) * dtype.itemsize, size - header.data_offset
    # A pickle's length does not follow from the shape.
    if min(shape, default=0) < 0 or (not dtype.hasobject and present < wanted):
        raise InputError(
            f"{where} is cut short: its header promises {shape} in {dtype}, {wanted} bytes, "
            f"{present} are there: copy or make it again."
        )
    return header


@contextmanager
def _npz_member(path: Path, key: str) -> Iterator[tuple[IO[bytes], int]]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
            info = members.get(f"{key}.npy")
            if info is None:
                names = ", ".join(sorted(name.removesuffix(".npy") for name in members)) or "none"
                raise InputError(f"{path} has no array '{key}'; it has: {names}.")
            with archive.open(info) as file:
                yield file, info.file_size
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(
            f"{path} is not a .npz file, or is damaged ({_first_line(error)}): make it again."
        ) from error
    except Exception as error:
        # zlib's own exception, which is in no tree.
        if type(error).__name__ != "error":
            raise
        raise InputError(f"{path} is damaged ({error}): make it again.") from error


def _shaped(values: AnyArray, header: ArrayHeader) -> AnyArray:
    count = math.prod(header.shape)
    return values[:count].reshape(header.shape, order="F" if header.fortran_order else "C")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
