"""NumPy's files without pickle: headers by themselves, and values no larger than the file says.

Nothing of a file is believed before it is bounded: memory is taken for what is there, and for an
archive only where it is not packed as nothing that was measured can be.
"""

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
from wsgn.support.arrays import AnyArray, UInt8Array
from wsgn.support.files import input_errors, require_file

_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# NumPy allows 64; features have 2 to 4.
_MAXIMUM_DIMENSIONS = 8
# An array without values can still have many empty rows.
_MAXIMUM_EMPTY_ROWS = 1_000_000
# Measured features are packed to a half or a quarter. Zeros are packed a thousandfold, but a small
# member may be what it wants.
_LARGEST_RATIO = 64
_UNSUSPICIOUS_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 20
# Members of an archive that a message names.
_MOST_NAMED = 5
# Magnitudes between which features lie, as numbers whose bytes are in the wrong order do not.
_SMALLEST, _LARGEST = 1e-12, 1e12


@dataclass(frozen=True, kw_only=True)
class ArrayHeader:
    """What a .npy file says of its array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    # Bytes before the first value.
    data_offset: int


def read_npy_header(path: Path) -> ArrayHeader:
    """The header of a .npy file; `InputError` where it is not one, or does not fit its size."""
    with opened(path) as file:
        return _header(file, path.stat().st_size, str(path))


def read_npy(path: Path) -> AnyArray:
    """The values of a .npy file, whatever its type except objects."""
    with opened(path) as file:
        header = _header(file, path.stat().st_size, str(path))
        require_values(header, str(path))
        values = np.fromfile(file, dtype=header.dtype, count=math.prod(header.shape))
    return _shaped(values, header, str(path))


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
        values = np.empty(math.prod(header.shape), dtype=header.dtype)
        _fill(values.view(np.uint8), file, where)
    return _shaped(values, header, where)


def is_exactly(shape: tuple[int, ...], item_bytes: int, num_bytes: int) -> bool:
    """Whether so many bytes are exactly an array of this shape, and nothing that only seems small.

    Where a dimension is 0 there are no values, and the others could be any.
    """
    rows = math.prod(max(1, size) for size in shape)
    if item_bytes < 1 or (0 in shape and rows > _MAXIMUM_EMPTY_ROWS):
        return False
    return math.prod(shape) * item_bytes == num_bytes


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
    with input_errors(path):
        require_file(path, path)
        with path.open("rb") as file:
            yield file


def _header(file: IO[bytes], size: int, where: str) -> ArrayHeader:
    try:
        version = np.lib.format.read_magic(file)
        if version not in _HEADER_READERS:
            raise ValueError(f"version {version} is not for arrays of numbers")
        shape, fortran_order, dtype = _HEADER_READERS[version](file)
    # What is wrong with a header is Python source to NumPy, and can fail as any source does.
    except Exception as error:
        raise InputError(
            f"{where} is not a readable .npy array ({_first_line(error)}): make it again."
        ) from error
    if len(shape) > _MAXIMUM_DIMENSIONS or not all(type(n) is int and n >= 0 for n in shape):
        raise InputError(
            f"{where} is damaged: its header promises an array of shape {str(shape)[:60]}: copy or "
            "make it again."
        )
    header = ArrayHeader(
        shape=shape, dtype=dtype, fortran_order=fortran_order, data_offset=file.tell()
    )
    present = size - header.data_offset
    # A pickle's length does not follow from the shape.
    if not dtype.hasobject and not is_exactly(shape, dtype.itemsize, present):
        wanted = math.prod(shape) * dtype.itemsize
        what = "is cut short" if present < wanted else "is damaged"
        raise InputError(
            f"{where} {what}: its header promises {str(shape)[:60]} in {dtype}, {wanted} bytes, "
            f"{present} are there: copy or make it again."
        )
    return header


@contextmanager
def _npz_member(path: Path, key: str) -> Iterator[tuple[IO[bytes], int]]:
    try:
        with opened(path) as source, zipfile.ZipFile(source) as archive:
            members = {info.filename: info for info in archive.infolist()}
            info = members.get(f"{key}.npy")
            if info is None:
                names = sorted(name.removesuffix(".npy") for name in members)
                shown = ", ".join(names[:_MOST_NAMED]) or "none"
                more = ", ..." if len(names) > _MOST_NAMED else ""
                raise InputError(f"{path} has no array '{key}'; it has: {shown}{more}.")
            _require_measured(info, path)
            with archive.open(info) as file:
                yield file, info.file_size
    except InputError:
        raise
    # zlib and lzma have exceptions of their own, which are in no tree.
    except Exception as error:
        raise InputError(
            f"{path} is not a .npz file, or is damaged ({_first_line(error)}): make it again."
        ) from error


def _require_measured(info: zipfile.ZipInfo, path: Path) -> None:
    """Refuse what unpacks to far more than features do: a small file could fill any memory."""
    if info.file_size > _UNSUSPICIOUS_BYTES + _LARGEST_RATIO * info.compress_size:
        raise InputError(
            f"{path} is packed as no features are: {info.compress_size:,} bytes stand for "
            f"{info.file_size:,}: save it with numpy.savez, or as .npy."
        )


def _fill(values: UInt8Array, file: IO[bytes], where: str) -> None:
    done = 0
    while done < len(values):
        chunk = file.read(min(_CHUNK_BYTES, len(values) - done))
        if not chunk:
            raise InputError(f"{where} is cut short: copy or make it again.")
        values[done : done + len(chunk)] = np.frombuffer(chunk, np.uint8)
        done += len(chunk)
    # Behind the last byte the archive's checksum is compared.
    file.read(1)


def _shaped(values: AnyArray, header: ArrayHeader, where: str) -> AnyArray:
    if len(values) != math.prod(header.shape):
        raise InputError(f"{where} was changed while it was read; start again.")
    _require_order(values, where)
    return values.reshape(header.shape, order="F" if header.fortran_order else "C")


def _require_order(values: AnyArray, where: str) -> None:
    """Refuse numbers in foreign byte order that only make sense in the other one.

    One bit of the header tells the two apart, and nothing else would.
    """
    if values.dtype.kind != "f" or values.dtype.isnative:
        return
    some = values[:: max(1, len(values) // 4096)]
    if _is_sensible(some.view(some.dtype.newbyteorder())) > _is_sensible(some):
        raise InputError(
            f"{where} is damaged: its header says {values.dtype.str}, and its numbers are of the "
            "other byte order: copy or make it again."
        )


def _is_sensible(values: AnyArray) -> float:
    """The share of numbers that features can be."""
    # Foreign bytes can be signalling NaN.
    with np.errstate(invalid="ignore"):
        sizes = np.abs(values.astype(np.float64))
    return (
        float(np.mean((sizes == 0) | ((sizes > _SMALLEST) & (sizes < _LARGEST))))
        if len(sizes)
        else 1.0
    )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
