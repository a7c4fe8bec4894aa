"""Pickles in the three places where bundles have them: made to do harm, and of random opcodes."""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.fuzz.arrays import convert_words, read_features
from benchmarks.fuzz.case import Case, Draw, Place, SilentlyWrongError, Surface
from benchmarks.fuzz.damage import damaged_bytes
from benchmarks.fuzz.documents import read_annotations
from benchmarks.fuzz.of_tests import (
    object_array_bytes,
    python2_pickle,
    python3_pickle,
    random_features,
)

_FOLDER = "source/Madeset-Annotations"
_BUNDLE = "source/Madeset-I3D-JOINTFeatures.npy"
_COLUMNS = ("labels", "labels_all", "segments", "duration", "subset", "classlist")
# What a pickle that is run leaves.
_LEFT = "was-run"
_SHELL = f"touch {_LEFT}".encode()


def _saved(values: object) -> bytes:
    holder = io.BytesIO()
    np.save(holder, np.asarray(values, dtype=object), allow_pickle=True)
    return holder.getvalue()


def _bundle() -> dict[str, bytes]:
    arrays = list(random_features().values())
    names = np.array(["video_a", "video_b", "video_c"], dtype="S")
    holder = io.BytesIO()
    np.save(holder, names)
    lists = np.empty(3, dtype=object)
    lists[:] = [["wave"], ["jump"], ["wave"]]
    spans = np.empty(3, dtype=object)
    spans[:] = [[[1.0, 2.0]], [[3.0, 4.0]], [[0.5, 0.75]]]
    files = {"videoname": holder.getvalue(), "labels": _saved(lists), "labels_all": _saved(lists)}
    files["segments"] = _saved(spans)
    for name, values in (
        ("duration", np.array([[9.0], [8.0], [7.0]])),
        ("subset", np.array(["test", "test", "validation"], dtype="S")),
        ("classlist", np.array(["wave", "jump"], dtype="S")),
    ):
        holder = io.BytesIO()
        np.save(holder, values)
        files[name] = holder.getvalue()
    bundle = {f"{_FOLDER}/{name}.npy": data for name, data in files.items()}
    return bundle | {_BUNDLE: object_array_bytes(python2_pickle(arrays))}


def _in_a_place(draw: Draw, pickled: bytes, change: str) -> Case:
    """A pickle as features, as names, or as another column of the annotations."""
    files, data = _bundle(), object_array_bytes(pickled)
    place = draw.choice(("features", "names", "columns"))
    if place == "columns":
        files[f"{_FOLDER}/{draw.choice(_COLUMNS)}.npy"] = data
        words: tuple[str, ...] = ("--annotations", _FOLDER, "--annotations-out", "out.json")
    else:
        files[_BUNDLE if place == "features" else f"{_FOLDER}/videoname.npy"] = data
        words = convert_words("wtalc")
    return Case(files=files, words=words, change=f"{change} as {place}")


def _read(place: Place, words: Sequence[str]) -> int:
    reader = read_annotations if words[0] == "--annotations" else read_features
    try:
        return reader(place, words)
    finally:
        if Path(_LEFT).exists():
            raise SilentlyWrongError("the code in a pickle was run")


def _whole(bases: Path) -> Case:
    return Case(files=_bundle(), words=convert_words("wtalc"))


def _whole_annotations(bases: Path) -> Case:
    words = ("--annotations", _FOLDER, "--annotations-out", "out.json")
    return Case(files=_bundle(), words=words)


def _tuples(draw: Draw) -> bytes:
    """A tuple in a tuple, many deep, in some place."""
    depth = draw.choice((10, 1000, 20_000, 100_000, 1_000_000))
    return b")" + b"\x85" * depth


def _lists(draw: Draw) -> bytes:
    depth = draw.choice((10, 33, 1000, 50_000))
    return b"]" * depth + b"a" * (depth - 1)


def _doubled(draw: Draw) -> bytes:
    """A value of itself and itself, by the memo: as long as 2 to the power of its size."""
    count = draw.choice((3, 10, 24, 60, 200))
    kind = draw.choice((b"\x86", b"t"))
    mark = b"(" if kind == b"t" else b""
    value = draw.choice((b")", b"K\x01", b"U\x01x"))
    for number in range(count):
        index = b"q" + bytes([number])
        get = b"h" + bytes([number])
        value += index + b"0"
        value += mark + get + get + kind
    return value


def _numbers(draw: Draw) -> bytes:
    return draw.choice(
        (b"K\x01", b"J\xff\xff\xff\xff", b"\x8a\x10" + b"\xff" * 16, b"\x8a\xff" + b"\x7f" * 255,
         b"G\x7f\xf8" + bytes(6), b"N", b"\x88", b"U\x01x", b"X\x02\0\0\0\xed\xa0")
    )  # fmt: skip


_INNER: tuple[Callable[[Draw], bytes], ...] = (_tuples, _lists, _doubled, _numbers)


def _array_of(sizes: Sequence[int], data: bytes, kind: bytes = b"f4") -> bytes:
    """An array as Python 2 pickles it, with any sizes and data."""
    shape = b"(" + b"".join(_integer(size) for size in sizes) + b"t"
    flags = b"?" if kind.startswith(b"O") else b"\0"
    order = b"|" if kind.startswith((b"O", b"S")) else b"<"
    state = b"(K\x03U\x01" + order + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK" + flags + b"tb"
    dtype = b"cnumpy\ndtype\nU" + bytes([len(kind)]) + kind + b"K\0K\x01\x87R" + state
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"
    return empty + b"(K\x01" + shape + dtype + b"\x89" + data + b"tb"


def _integer(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def _called(draw: Draw) -> bytes:
    """What must not be called."""
    module, name = draw.choice(
        (("os", "system"), ("posix", "system"), ("subprocess", "call"), ("builtins", "exec"),
         ("builtins", "eval"), ("__builtin__", "getattr"), ("numpy", "fromfile"), ("numpy", "load"),
         ("numpy.core.multiarray", "fromfile"), ("numpy", "dtype\0"), ("shutil", "rmtree"),
         ("", ""))
    )  # fmt: skip
    argument = b"U" + bytes([len(_SHELL)]) + _SHELL
    return f"c{module}\n{name}\n".encode() + argument + b"\x85R"


def _key(draw: Draw) -> bytes:
    """A dictionary with a key that takes long to hash, or cannot be hashed."""
    return b"}" + draw.choice(_INNER)(draw) + b"K\x01s"


def _function(draw: Draw) -> bytes:
    """Something in the place of a function, of arguments, of a state."""
    inner = draw.choice(_INNER)(draw)
    return draw.choice(
        (inner + b")R", b"cnumpy\ndtype\n" + inner + b"R", b"cnumpy\ndtype\n" + inner + b"\x85R",
         b"cnumpy\ndtype\nU\x02f4\x85R" + inner + b"b", inner + b"N" + b"b")
    )  # fmt: skip


def _shape(draw: Draw) -> bytes:
    sizes = draw.choice(
        ((60_000_000, 0), (2**31, 0), (2**31, 2**31), (-1, 5), (0, 0), (2**62, 4), (3, 10**9), (),
         (1,) * 60, (0,) * 9, (3,), (10**18,))
    )  # fmt: skip
    kind = draw.choice((b"f4", b"O8", b"S1", b"f8", b"S99999", b"i8", b"V8", b"M8", b"x"))
    data = b"](K\x01K\x02K\x03e" if kind == b"O8" else b"T" + struct.pack("<i", 12) + bytes(12)
    return _array_of(sizes, data, kind)


def _odd_array(draw: Draw) -> bytes:
    """An array whose shape, type or data is something else."""
    whole = _array_of((3,), b"](K\x01K\x02K\x03e", b"O8")
    inner = draw.choice(_INNER)(draw)
    return draw.choice(
        (whole.replace(_integer(3), inner), whole.replace(b"](K\x01K\x02K\x03e", inner),
         whole.replace(b"K\0\x85", inner), whole.replace(b"NNN", inner))
    )  # fmt: skip


def _items(draw: Draw) -> bytes:
    """Three items of any kind where arrays or texts belong."""
    inner = b"".join(draw.choice((*_INNER, _shape))(draw) for _ in range(3))
    return _array_of((3,), b"](" + inner + b"e", b"O8")


def _lengths(draw: Draw) -> bytes:
    """A text or byte string of a length that the file has not."""
    code, pattern = draw.choice(
        (
            (b"T", "<i"),
            (b"B", "<I"),
            (b"X", "<I"),
            (b"\x8e", "<Q"),
            (b"\x8d", "<Q"),
            (b"\x96", "<Q"),
        )
    )
    number = draw.choice((-1, 2**31 - 1, 10**9, 5000)) % 2 ** (8 * struct.calcsize(pattern) - 1)
    return code + struct.pack(pattern, number) + b"x" * draw.choice((0, 10, 6000))


_CRAFTS: tuple[Callable[[Draw], bytes], ...] = (
    _called, _key, _function, _shape, _odd_array, _items, _lengths, *_INNER,
)  # fmt: skip


def _crafted(draw: Draw, bases: Path) -> Case:
    craft = draw.choice(_CRAFTS)
    start = draw.choice((b"\x80\x02", b"\x80\x04", b""))
    return _in_a_place(draw, start + craft(draw) + b".", craft.__name__.lstrip("_"))


_GLOBALS = (
    b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\n_reconstruct\n",
    b"cnumpy.core.multiarray\nscalar\n", b"c_codecs\nencode\n", b"c__builtin__\nbytes\n",
    b"cnumpy.core.numeric\n_frombuffer\n", b"cos\nsystem\n",
)  # fmt: skip
# Opcodes with the bytes behind them, what they take from the stack, and what they leave there.
_PUSHES = (
    b"N", b"\x88", b"K\x03", b"M\x01\x02", b"J\xff\xff\xff\xff", b"G" + bytes(8), b")", b"]", b"}",
    b"U\x02f4", b"U\x01<", b"C\x01b", b"\x8c\x06latin1", b"\x8a\x02\xff\x7f", b"h\0", b"h\x01",
)  # fmt: skip
_OPERATIONS = (
    (b"\x85", 1, 1), (b"\x86", 2, 1), (b"\x87", 3, 1), (b"a", 2, 1), (b"s", 3, 1), (b"R", 2, 1),
    (b"b", 2, 1), (b"q\0", 1, 1), (b"q\x01", 1, 1), (b"\x94", 1, 1), (b"\x93", 2, 1),
)  # fmt: skip
# That no plain array has.
_OTHERS = (b"0", b"1", b"2", b"\x81", b"i", b"o", b"Q", b"P", b"\x97", b"(", b"t", b"e", b"u", b"l")


def _random_program(draw: Draw) -> bytes:
    """Opcodes of which most find on the stack what they take, and one value at the end."""
    program, depth = b"", 0
    for _ in range(draw.randint(1, 60)):
        if draw.random() < 0.01:
            program += draw.choice(_OTHERS)
        fitting = [one for one in _OPERATIONS if one[1] <= depth or draw.random() < 0.01]
        if fitting and draw.random() < 0.6:
            code, taken, left = draw.choice(fitting)
            program, depth = program + code, max(0, depth - taken) + left
        else:
            program += draw.choice(_GLOBALS if draw.random() < 0.2 else _PUSHES)
            depth += 1
    # All that is left becomes one.
    for _ in range(depth - 1):
        program += b"\x86"
    return program


def _random_pickle(draw: Draw) -> bytes:
    if draw.random() < 0.3:
        return b"\x80\x02" + _random_program(draw) + b"."
    items = b"".join(_random_program(draw) for _ in range(3))
    return b"\x80\x02" + _array_of((3,), b"](" + items + b"e", b"O8") + b"."


def _random(draw: Draw, bases: Path) -> Case:
    if draw.random() < 0.5:
        return _in_a_place(draw, _random_pickle(draw), "random opcodes")
    arrays = list(random_features().values())
    whole = python2_pickle(arrays) if draw.random() < 0.5 else python3_pickle(arrays, 2)
    if draw.random() < 0.3:
        whole = pickle.dumps([["a"], [[1.0, 2.0]], {"b": 1}], protocol=draw.choice((2, 4)))
    # Its opcodes, not the numbers behind them.
    return _in_a_place(draw, damaged_bytes(draw, whole, most=2, within=400), "bytes of a pickle")


SURFACES = (
    Surface(
        name="pickles crafted", share=50, whole=_whole, damaged=_crafted, read=_read
    ),
    Surface(
        name="pickles random", share=50, whole=_whole_annotations, damaged=_random, read=_read
    ),
)  # fmt: skip
