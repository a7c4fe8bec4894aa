"""NumPy arrays inside pickles, as .npy files of objects hold them: read without running the pickle.

The arrays are made here, from what the file says of them, not by NumPy's own pickle support: that
trusts shapes, types and offsets, and a crafted file would write outside of its memory.
"""

from __future__ import annotations

import itertools
import math
import operator
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wsgn.errors import InputError
from wsgn.features.npy_file import is_exactly, opened, read_npy, read_npy_header
from wsgn.features.restricted_pickle import Span, load_pickle
from wsgn.support.arrays import AnyArray

# Numbers, and byte strings and texts of a fixed length.
_TYPE = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248]|[SU][1-9]\d{0,5}|O8?|[?bBhHiIlLqQefd])")
_BYTE_ORDERS = ("<", ">", "|", "=")
_MAXIMUM_DIMENSIONS = 8
# Numbers and texts in a nested list. A small pickle can stand for many by naming a list often.
_MAXIMUM_LEAVES = 3_000_000
# Lists inside each other: videos, actions, start and end.
_MAXIMUM_DEPTH = 32
# Characters of a file's own words in a message.
_MOST_SHOWN = 60

# What a pickled array needs, under its names in NumPy 1 and 2, and in Python 2 and 3.
_ADMITTED = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("numpy.core.multiarray", "_reconstruct"): "reconstruct",
    ("numpy._core.multiarray", "_reconstruct"): "reconstruct",
    ("numpy.core.multiarray", "scalar"): "scalar",
    ("numpy._core.multiarray", "scalar"): "scalar",
    ("numpy.core.numeric", "_frombuffer"): "frombuffer",
    ("numpy._core.numeric", "_frombuffer"): "frombuffer",
    ("_codecs", "encode"): "encode",
    ("__builtin__", "bytes"): "bytes",
    ("builtins", "bytes"): "bytes",
}


@dataclass(kw_only=True, eq=False, slots=True)
class PickledArray:
    """An array that a pickle describes; the values of a long one are still in the file."""

    where: str
    shape: tuple[int, ...] = (0,)
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.uint8))
    fortran_order: bool = False
    # Bytes, or for an array of objects one item each, in C order.
    data: bytes | Span | list[object] = b""

    @property
    def items(self) -> list[object]:
        """The items of an array of objects."""
        if not isinstance(self.data, list):
            raise InputError(f"{self.where} holds an array of {self.dtype} where objects belong.")
        return self.data

    def read(self) -> AnyArray:
        """The values of an array of numbers or texts: a copy of its own."""
        if isinstance(self.data, list):
            raise InputError(f"{self.where} holds objects where an array of numbers belongs.")
        values = _values(self.data, self.dtype)
        if len(values) != math.prod(self.shape):
            raise InputError(
                f"{self.where} is damaged: an array {self.shape} has {len(values)} values."
            )
        return values.reshape(self.shape, order="F" if self.fortran_order else "C")


@dataclass(kw_only=True, eq=False, slots=True)
class _Type:
    dtype: np.dtype[Any]


def read_object_array(path: Path) -> PickledArray:
    """The array of a .npy file of objects, its items still pickled arrays and plain containers.

    Raises `InputError` where the pickle names anything but arrays, numbers, texts and containers.
    """
    header = read_npy_header(path)
    if not header.dtype.hasobject:
        raise InputError(f"{path} holds {header.dtype} where an array of objects belongs.")
    with opened(path) as file:
        file.seek(header.data_offset)
        end = path.stat().st_size
        array = load_pickle(path, file, end, _ArrayRules(path, end))
    if not isinstance(array, PickledArray):
        raise InputError(f"{path} is a pickle of something that is not an array.")
    return array


def read_plain_list(path: Path) -> list[Any]:
    """The values of any .npy file as nested lists; byte strings become texts."""
    header, plain = read_npy_header(path), _Plain(str(path))
    if header.dtype.hasobject:
        return plain.listed(read_object_array(path))
    plain.require_few(header.shape)
    return plain.listed(read_npy(path).tolist())


class _ArrayRules:
    """See `wsgn.features.restricted_pickle.PickleRules`."""

    def __init__(self, path: Path, num_bytes: int) -> None:
        self._path = path
        self._where = str(path)
        # Bytes that may be made of texts: a text that is named often is not made often.
        self._left = num_bytes

    def admit(self, module: str, name: str) -> str:
        admitted = _ADMITTED.get((module, name))
        if admitted is None:
            asked = _shortened(f"{module}.{name}")
            raise InputError(
                f"{self._path} is a pickle that asks for {asked}, and that is code: only "
                "NumPy arrays, numbers, texts and containers are read. Nothing of it was run."
            )
        return admitted

    def reduce(self, function: object, arguments: object) -> object:
        match function, arguments:
            case "reconstruct", ("ndarray", *_):
                return PickledArray(where=self._where)
            case "dtype", (str() | bytes() as code, *_):
                return _Type(dtype=self._dtype(_text(code)))
            case "scalar", (_Type() as kind, bytes() as raw):
                return self._scalar(kind.dtype, raw)
            case "frombuffer", (bytes() | Span() as data, _Type() as kind, tuple() as shape, order):
                array = PickledArray(where=self._where)
                self._fill(array, shape, kind.dtype, order == "F", data)
                return array
            case "encode", (str() as text, "latin1" | "latin-1" | b"latin1"):
                return self._encoded(text)
            # Stays marked as text: it is encoded when it is read.
            case "encode", (Span(is_text=True) as span, "latin1" | "latin-1" | b"latin1"):
                return span
            case "bytes", ():
                return b""
        # Nothing of the file is shown that was not bounded: it may stand for a text without end.
        called = function if isinstance(function, str) else f"a {type(function).__name__}"
        raise InputError(
            f"{self._path} is a pickle that calls {_shortened(called)} as no array does; it was "
            "not run."
        )

    def _encoded(self, text: str) -> bytes:
        self._left -= len(text)
        if self._left < 0:
            raise InputError(f"{self._path} is a pickle of more texts than the file has bytes.")
        return text.encode("latin-1")

    def build(self, target: object, state: object) -> None:
        match target, state:
            case PickledArray(), (_, tuple() as shape, _Type() as kind, fortran, data):
                self._fill(target, shape, kind.dtype, bool(fortran), data)
            # The byte order of a plain type; fields, subarrays and metadata are not admitted.
            case _Type(), (_, str() | bytes() as order, None, None, None, *_) if (
                _text(order) in _BYTE_ORDERS
            ):
                target.dtype = np.dtype(_text(order) + target.dtype.str[1:])
            case _:
                raise InputError(
                    f"{self._path} is a pickle of something other than plain arrays; it was not "
                    "read."
                )

    def persistent(self, key: object) -> object:
        raise InputError(f"{self._path} is a pickle that asks for what is not in it.")

    def _dtype(self, code: str) -> np.dtype[Any]:
        if not _TYPE.fullmatch(code):
            raise InputError(f"{self._path} is a pickle of an array of type '{_shortened(code)}'.")
        return np.dtype(code)

    def _scalar(self, dtype: np.dtype[Any], raw: bytes) -> object:
        if dtype.hasobject or len(raw) != dtype.itemsize or not raw:
            raise InputError(f"{self._path} is a damaged pickle: a number has the wrong length.")
        value: object = np.frombuffer(raw, dtype=dtype)[0].item()
        return value

    def _fill(
        self,
        array: PickledArray,
        shape: tuple[object, ...],
        dtype: np.dtype[Any],
        fortran_order: bool,
        data: object,
    ) -> None:
        sizes = tuple(size for size in shape[:_MAXIMUM_DIMENSIONS] if type(size) is int)
        if len(sizes) < len(shape) or min(sizes, default=0) < 0:
            raise InputError(
                f"{self._path} is a pickle of an array whose shape is none: at most "
                f"{_MAXIMUM_DIMENSIONS} whole numbers make one."
            )
        if not isinstance(data, list if dtype.hasobject else bytes | Span):
            raise InputError(f"{self._path} is a damaged pickle: an array lacks its values.")
        assert isinstance(data, list | bytes | Span)
        # The length of an encoded text shows only when it is read.
        if not (isinstance(data, Span) and data.is_text):
            length = data.length if isinstance(data, Span) else len(data)
            item_size = 1 if dtype.hasobject else dtype.itemsize
            if not is_exactly(sizes, item_size, length):
                unit = "items" if dtype.hasobject else "bytes"
                raise InputError(
                    f"{self._path} is a damaged pickle: it claims an array {sizes} in {dtype} and "
                    f"holds {length} of {math.prod(sizes) * item_size} {unit}."
                )
        array.shape, array.dtype, array.fortran_order = sizes, dtype, fortran_order
        array.data = data


class _Plain:
    """Nested lists out of arrays, lists and tuples."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._left = _MAXIMUM_LEAVES

    def require_few(self, shape: tuple[int, ...]) -> None:
        """Refuse an array of more lists and values than are admitted, before any is made."""
        items = list(itertools.accumulate(shape, operator.mul))
        if sum(items) > self._left:
            raise InputError(f"{self._where} holds more than {_MAXIMUM_LEAVES} values.")

    def listed(self, value: object, depth: int = 0) -> list[Any]:
        if isinstance(value, PickledArray):
            value = self._of_array(value)
        if not isinstance(value, list | tuple):
            raise InputError(f"{self._where} holds {type(value).__name__} where a list belongs.")
        if depth > _MAXIMUM_DEPTH:
            raise InputError(f"{self._where} holds lists inside each other, too many.")
        return [self._item(item, depth + 1) for item in value]

    def _of_array(self, array: PickledArray) -> object:
        if isinstance(array.data, list):
            return array.data
        self.require_few(array.shape)
        return array.read().tolist()

    def _item(self, value: object, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise InputError(f"{self._where} holds more than {_MAXIMUM_LEAVES} values.")
        if isinstance(value, bytes):
            return _text(value)
        if isinstance(value, PickledArray | list | tuple):
            return self.listed(value, depth)
        if value is None or isinstance(value, str | int | float):
            return value
        what = "a text that is too long" if isinstance(value, Span) else type(value).__name__
        raise InputError(f"{self._where} holds {what} where a number or a name belongs.")


def _values(data: bytes | Span, dtype: np.dtype[Any]) -> AnyArray:
    if isinstance(data, bytes):
        return np.frombuffer(data, dtype=dtype).copy()
    if not data.is_text:
        with opened(data.path) as file:
            file.seek(data.offset)
            return np.fromfile(file, dtype=dtype, count=data.length // dtype.itemsize)
    # Python 3 writes bytes into old protocols as a text of the first 256 letters.
    with opened(data.path) as file:
        file.seek(data.offset)
        text = file.read(data.length)
    try:
        raw = text.decode("utf-8").encode("latin-1")
        return np.frombuffer(raw, dtype=dtype).copy()
    except ValueError as error:
        raise InputError(f"{data.path} is a damaged pickle: {error}.") from error


def _shortened(words: str) -> str:
    return words if len(words) <= _MOST_SHOWN else f"{words[:_MOST_SHOWN]}..."


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")
