"""Pickled arrays: what W-TALC publishes is read, and whatever could run is refused unrun."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from layouts_on_disk import object_array_bytes, python2_pickle, python3_pickle
from places import SHARED

from wsgn.errors import InputError
from wsgn.features.pickled_arrays import read_object_array, read_plain_list

WTALC = SHARED / "data" / "thumos14" / "wtalc_npy"
FILES = (
    "classlist", "duration", "extracted_fps", "labels", "labels_all", "original_fps", "segments",
    "subset", "videoname",
)  # fmt: skip


def arrays() -> list[np.ndarray]:
    """One that is short enough to stay in memory, one that is not, one in Fortran's order."""
    random = np.random.default_rng(0)
    found = [random.normal(size=(rows, 40)).astype(np.float32) for rows in (1, 60, 70)]
    return [*found[:2], np.asfortranarray(found[2])]


def written(path: Path, pickled: bytes) -> Path:
    path.write_bytes(object_array_bytes(pickled))
    return path


def nested(value: object) -> object:
    """Lists and texts, as NumPy itself loads a trusted file."""
    if isinstance(value, list | tuple | np.ndarray):
        return [nested(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


class Call:
    """Pickles as a call."""

    def __init__(self, function: object, *arguments: object) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> object:
        return self._call


def global_call(module: str, name: str) -> bytes:
    """A pickle that calls a global with an empty tuple."""
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b")R."


@pytest.mark.parametrize("name", FILES)
@pytest.mark.skipif(not WTALC.is_dir(), reason=f"needs the shared data in {WTALC}")
def test_every_published_file_is_read_as_numpy_reads_it(name: str) -> None:
    path = WTALC / f"{name}.npy"
    assert read_plain_list(path) == nested(np.load(path, allow_pickle=True))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_of_python_3_are_read(tmp_path: Path, protocol: int) -> None:
    path = written(tmp_path / "a.npy", python3_pickle(arrays(), protocol))
    for item, expected in zip(read_object_array(path).items, arrays(), strict=True):
        np.testing.assert_array_equal(item.read(), expected)


def test_arrays_of_python_2_are_read_as_numpy_reads_them(tmp_path: Path) -> None:
    path = written(tmp_path / "a.npy", python2_pickle(arrays()[:2]))
    trusted = np.load(path, allow_pickle=True, encoding="bytes")
    for item, expected in zip(read_object_array(path).items, trusted, strict=True):
        np.testing.assert_array_equal(item.read(), expected)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("type_name", ["<f2", ">f4", "<f8", ">i2", "|u1", "|b1", "<U3", "|S4"])
def test_every_type_and_byte_order_is_read(tmp_path: Path, type_name: str, protocol: int) -> None:
    expected = np.array([["1", "0"], ["0", "1"]]).astype("i2").astype(type_name)
    path = written(tmp_path / "a.npy", python3_pickle([expected, expected], protocol))
    (first, _) = read_object_array(path).items
    assert first.read().dtype == expected.dtype
    np.testing.assert_array_equal(first.read(), expected)


def test_scalars_bytes_and_empty_arrays_become_plain_values(tmp_path: Path) -> None:
    holder = np.empty(4, dtype=object)
    holder[:] = [[np.float64(1.5), b"wave"], (np.int16(3), None), np.zeros((0, 2)), b""]
    path = written(tmp_path / "a.npy", pickle.dumps(holder, protocol=2))
    assert read_plain_list(path) == [[1.5, "wave"], [3, None], [], ""]


def test_long_arrays_stay_in_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "a.npy", python2_pickle(arrays()[:2]))
    short, long = read_object_array(path).items
    path.write_bytes(b"")
    np.testing.assert_array_equal(short.read(), arrays()[0])
    assert len(long.data.path.read_bytes()) == 0


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_command_is_refused_and_not_run(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "marker"
    attack = Call(os.system, f"touch {marker}")
    path = written(tmp_path / "a.npy", pickle.dumps(attack, protocol=protocol))
    with pytest.raises(InputError):
        read_object_array(path)
    assert not marker.exists()


def test_a_command_inside_of_an_array_is_refused_and_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    holder = np.empty(2, dtype=object)
    holder[:] = [np.zeros(3), [Call(eval, f"open({str(marker)!r}, 'w')")]]
    path = written(tmp_path / "a.npy", pickle.dumps(holder))
    with pytest.raises(InputError, match=r"builtins\.eval"):
        read_plain_list(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "name",
    [
        "os system", "posix system", "builtins eval", "builtins getattr", "__builtin__ exec",
        "numpy load", "numpy fromfile", "numpy.core.multiarray fromfile", "numpy memmap",
        "numpy._core.multiarray frombuffer", "numpy.testing._private.utils runstring",
        "numpy.core._internal _ctypes", "numpy ndarray.tofile", "codecs open", "_codecs decode",
        "numpy.core.multiarray _reconstruct.__globals__", "wsgn.features.pickled_arrays os",
    ],
)  # fmt: skip
def test_a_forbidden_name_is_said(tmp_path: Path, name: str) -> None:
    module, member = name.split()
    path = written(tmp_path / "a.npy", global_call(module, member))
    with pytest.raises(InputError, match=f"{module}.{member}"):
        read_object_array(path)


def test_a_name_from_the_stack_is_checked_too(tmp_path: Path) -> None:
    path = written(tmp_path / "a.npy", b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.")
    with pytest.raises(InputError, match=r"os\.system"):
        read_object_array(path)


@pytest.mark.parametrize(
    "attack",
    [
        # Admitted names, called or filled as no array does.
        Call(np.ndarray, (10**12,)),
        Call(bytes, 10**12),
        Call(np.dtype, [("a", "O"), ("b", "f4")]),
        Call(np.dtype, "f4", {"metadata": 1}),
    ],
)
def test_admitted_names_do_only_what_arrays_need(tmp_path: Path, attack: Call) -> None:
    path = written(tmp_path / "a.npy", pickle.dumps(attack, protocol=4))
    with pytest.raises(InputError):
        read_object_array(path)


def test_a_type_with_fields_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.npy", python3_pickle([np.zeros(2, dtype="i4,O")] * 2, 4))
    with pytest.raises(InputError, match="type 'V"):
        read_object_array(path)


def test_a_claim_of_a_huge_array_takes_no_memory(tmp_path: Path) -> None:
    small = python2_pickle([np.zeros((2, 3), dtype=np.float32)])
    shape = b"J" + struct.pack("<i", 2) + b"J" + struct.pack("<i", 3)
    huge = b"J" + struct.pack("<i", 2**31 - 1) + b"J" + struct.pack("<i", 2**31 - 1)
    assert shape in small
    path = written(tmp_path / "a.npy", small.replace(shape, huge))
    with pytest.raises(InputError, match="claims an array"):
        read_object_array(path)


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x02T\xff\xff\xff\x7f.",
        b"\x80\x02T\xff\xff\xff\xff.",
    ],
)
def test_a_claim_of_a_huge_string_takes_no_memory(tmp_path: Path, pickled: bytes) -> None:
    with pytest.raises(InputError, match="cut short"):
        read_object_array(written(tmp_path / "a.npy", pickled))


def test_a_list_named_very_often_is_refused(tmp_path: Path) -> None:
    level = [0] * 1000
    for _ in range(4):
        level = [level] * 1000
    holder = np.empty(1, dtype=object)
    holder[0] = level
    path = written(tmp_path / "a.npy", pickle.dumps(holder))
    with pytest.raises(InputError, match="values"):
        read_plain_list(path)


def test_a_list_inside_of_itself_is_refused(tmp_path: Path) -> None:
    loop: list[object] = []
    loop.append(loop)
    holder = np.empty(1, dtype=object)
    holder[0] = loop
    with pytest.raises(InputError, match="inside each other"):
        read_plain_list(written(tmp_path / "a.npy", pickle.dumps(holder)))


@pytest.mark.parametrize("pickled", [python2_pickle(arrays()[:2]), python3_pickle(arrays(), 4)])
def test_every_cut_is_noticed(tmp_path: Path, pickled: bytes) -> None:
    for end in range(0, len(pickled), 37):
        with pytest.raises(InputError):
            read_object_array(written(tmp_path / "a.npy", pickled[:end]))


@pytest.mark.parametrize("protocol", [2, 4])
def test_random_damage_gives_an_array_or_a_sentence(tmp_path: Path, protocol: int) -> None:
    random = np.random.default_rng(protocol)
    pickled = python3_pickle([np.ones((2, 3), dtype=np.float32), np.ones(4)], protocol)
    num_refused = 0
    for _ in range(600):
        damaged = bytearray(pickled)
        for index in random.integers(0, len(pickled), size=2):
            damaged[index] = random.integers(0, 256)
        path = written(tmp_path / "a.npy", bytes(damaged))
        try:
            read_plain_list(path)
        except InputError:
            num_refused += 1
    assert 0 < num_refused < 600


def test_other_objects_are_not_arrays(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not an array"):
        read_object_array(written(tmp_path / "a.npy", pickle.dumps({"a": [1]})))
    np.save(tmp_path / "numbers.npy", np.zeros(3))
    with pytest.raises(InputError, match="float64"):
        read_object_array(tmp_path / "numbers.npy")
