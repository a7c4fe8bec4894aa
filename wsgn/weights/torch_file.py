"""PyTorch's files of weights, looked through before PyTorch reads them.

PyTorch runs no code of a file, but believes its sizes, and lets a few bytes stand for a hash that
takes for ever. Here the pickles in a file are walked through by the restricted reader, which makes
nothing of them, and what they claim is held against the size of the file.
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import IO

from wsgn.errors import InputError
from wsgn.features.restricted_pickle import load_pickle

# Names, sizes and strides of some thousand tensors take far less.
_LARGEST_PICKLE = 64 << 20
_LARGEST_DIMENSIONS = 8
_ARCHIVE = b"PK\x03\x04"
# Pickles before the values of a file as PyTorch wrote it until 1.6: a number that marks it, the
# version, the machine, the tensors, and the keys of their storages.
_NUM_OLD_PICKLES = 5
# The only things that weights are made of.
_ADMITTED = re.compile(
    r"collections\.OrderedDict|torch\.(Size|device|\w+Storage|float16|float32|float64|bfloat16|u?int\d+"
    r"|bool)|torch\.storage\.\w+Storage|torch\.nn\.parameter\.Parameter"
    r"|torch\._utils\._rebuild_(tensor|tensor_v2|parameter|parameter_with_state)"
)


class _Thing:
    """What stands for everything in a file that is no plain container."""

    def __init__(self, name: str = "") -> None:
        self.name = name


class _WeightRules:
    """See `wsgn.features.restricted_pickle.PickleRules`: makes nothing, and looks at sizes."""

    def __init__(self, path: Path, num_bytes: int) -> None:
        self._path = path
        self._num_bytes = num_bytes
        # Numbers in the storages of the file, by their keys.
        self._storages: dict[str, int] = {}

    def admit(self, module: str, name: str) -> object:
        full = f"{module}.{name}"
        if not _ADMITTED.fullmatch(full):
            raise InputError(f"{self._path} asks for {full[:60]}, of which no weights are made.")
        return _Thing(full)

    def reduce(self, function: object, arguments: object) -> object:
        if not isinstance(function, _Thing) or not isinstance(arguments, tuple):
            raise TypeError("a call of something that is no function")
        if function.name == "collections.OrderedDict":
            if arguments:
                raise ValueError("a table that is made of something")
            return {}
        if "_rebuild_tensor" in function.name:
            self._require_shape(arguments[2])
        elif "_rebuild" not in function.name and any(_is_large(one) for one in arguments):
            raise ValueError("a size without a tensor")
        return _Thing()

    def build(self, target: object, state: object) -> None:
        if not isinstance(target, dict):
            raise TypeError("a state of something that has none")

    def persistent(self, key: object) -> object:
        """A storage: (its mark, its type, its key, where it was, how many numbers)."""
        if (
            not isinstance(key, tuple)
            or len(key) not in (5, 6)
            or key[0] not in ("storage", b"storage")
        ):
            raise TypeError("a reference to something that is no storage")
        name, count = key[2], key[4]
        if not isinstance(name, str) or type(count) is not int or count < 0:
            raise TypeError("a storage without a name or a size")
        self._storages[name] = count
        if sum(self._storages.values()) > self._num_bytes:
            raise ValueError("more numbers than the file has bytes")
        return _Thing()

    def _require_shape(self, shape: object) -> None:
        if not isinstance(shape, tuple) or len(shape) > _LARGEST_DIMENSIONS:
            raise ValueError("a tensor of too many dimensions")
        if not all(type(size) is int and 0 <= size < 1 << 40 for size in shape):
            raise ValueError("a tensor whose shape is none")


def _is_large(value: object) -> bool:
    return isinstance(value, int) and value > _LARGEST_DIMENSIONS


def require_plain_weights(path: Path) -> None:
    """Refuse a file whose pickles are more than tables of tensors, or that claims what it lacks.

    Raises `InputError`.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            # As PyTorch tells the two apart.
            is_archive = file.read(len(_ARCHIVE)) == _ARCHIVE
            file.seek(0)
            if is_archive:
                _look_through_archive(path, file, size)
                return
            rules = _WeightRules(path, size)
            for _ in range(_NUM_OLD_PICKLES):
                load_pickle(path, file, size, rules)
    except InputError:
        raise
    # Damage to an archive is met as many kinds of error.
    except Exception as error:
        raise InputError(f"{path} cannot be read: {error}.") from error


def _look_through_archive(path: Path, file: IO[bytes], size: int) -> None:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        # PyTorch packs nothing.
        if sum(member.file_size for member in members) > size:
            raise InputError(f"{path} claims more bytes than it has.")
        pickles = [m for m in members if m.filename.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1 or pickles[0].file_size > _LARGEST_PICKLE:
            raise InputError(f"{path} does not hold one table of tensors.")
        content = archive.read(pickles[0])
    load_pickle(path, io.BytesIO(content), len(content), _WeightRules(path, size))
