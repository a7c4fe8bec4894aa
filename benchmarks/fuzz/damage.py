"""Damage that is done to bytes, to texts and to JSON."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.fuzz.case import Draw

_INTERESTING = (0, 1, -1, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1,
                2**63 - 1, 2**64 - 1)  # fmt: skip
# Stands for what the json module cannot write: arrays in arrays.
_DEEP = "wsgn-fuzz-deep"
_DEEP_LEVELS = 100_000
SPECIAL: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 1e308, -1e308, 5e-324, 1e9, 10**9, 2**31, 2**63, 2**64, 10**400,
    -(10**400), float("nan"), float("inf"), float("-inf"), "", "x", "NaN", "1", "\ud800", "\u0000",
    "\u202e", "\x9b31m", "=1+1", "a,b", "..", "../x", "x" * 300, "x" * 100_000, [], {}, [[]],
    [None], {"": 0}, [0] * 10_000, _DEEP,
)  # fmt: skip
_PIECES = ("\0", "\n", "\r", ",", ";", ":", '"', "'", "\t", "\ufeff", "\u2028", "\ud800", "nan",
           "inf", "-1", "1e400", "9" * 400, "é", "\x1b[31m", "{", "}", "[", "]", "=", " ", "%", "#",
           "@")  # fmt: skip


def damaged_bytes(draw: Draw, data: bytes, *, most: int = 4, within: int | None = None) -> bytes:
    """The bytes with one to `most` changes; with `within` only among so many of the first."""
    damaged = bytearray(data)
    for _ in range(draw.randint(1, most)):
        size = min(len(damaged), within or len(damaged))
        if size == 0:
            break
        # Half of the places are near the beginning, where headers are.
        place = draw.randrange(size if draw.random() < 0.5 else min(size, 512))
        draw.choice(_CHANGES)(draw, damaged, place)
    return bytes(damaged)


def _flip(draw: Draw, data: bytearray, place: int) -> None:
    data[place] ^= 1 << draw.randrange(8)


def _set_byte(draw: Draw, data: bytearray, place: int) -> None:
    data[place] = draw.randrange(256)


def _set_number(draw: Draw, data: bytearray, place: int) -> None:
    width, order = draw.choice((1, 2, 4, 8)), draw.choice(("little", "big"))
    number = draw.choice(_INTERESTING) % 256**width
    data[place : place + width] = number.to_bytes(width, order)


def _overwrite(draw: Draw, data: bytearray, place: int) -> None:
    length = min(draw.choice((4, 16, 64, 512)), len(data) - place)
    kind = draw.randrange(3)
    data[place : place + length] = (
        bytes(length) if kind == 0 else b"\xff" * length if kind == 1 else draw.randbytes(length)
    )


def _remove(draw: Draw, data: bytearray, place: int) -> None:
    del data[place : place + draw.choice((1, 2, 8, 100, 4096))]


def _insert(draw: Draw, data: bytearray, place: int) -> None:
    data[place:place] = draw.randbytes(draw.choice((1, 2, 8, 100)))


def _repeat(draw: Draw, data: bytearray, place: int) -> None:
    piece = data[place : place + draw.choice((1, 8, 100, 2000))]
    data[place:place] = piece * draw.choice((1, 2, 10))


def _move(draw: Draw, data: bytearray, place: int) -> None:
    piece = data[place : place + draw.choice((4, 32, 512))]
    target = draw.randrange(len(data))
    data[target : target + len(piece)] = piece


def _cut(draw: Draw, data: bytearray, place: int) -> None:
    del data[draw.randrange(len(data)) if draw.random() < 0.5 else place :]


_Change = Callable[[Draw, bytearray, int], None]
_CHANGES: tuple[_Change, ...] = (
    _flip, _flip, _flip, _set_byte, _set_number, _set_number, _overwrite, _remove, _insert, _repeat,
    _move, _cut,
)  # fmt: skip


def damaged_text(draw: Draw, text: str) -> bytes:
    """The text with pieces put in, lines taken out, or bytes changed."""
    if draw.random() < 0.3:
        return damaged_bytes(draw, text.encode("utf-8", "surrogatepass"))
    for _ in range(draw.randint(1, 4)):
        lines = text.split("\n")
        number = draw.randrange(len(lines))
        place = draw.randint(0, len(text))
        kind = draw.randrange(5)
        if kind == 0:
            lines[number : number + 1] = []
        elif kind == 1:
            lines.insert(draw.randrange(len(lines) + 1), lines[number])
        elif kind == 2:
            parts = lines[number].split(",")
            parts[draw.randrange(len(parts))] = draw.choice(_PIECES)
            lines[number] = ",".join(parts)
        text = "\n".join(lines)
        if kind > 2:
            text = text[:place] + draw.choice(_PIECES) + text[place + draw.choice((0, 0, 1, 5)) :]
    return text.encode("utf-8", "surrogatepass")


def damaged_document(draw: Draw, document: Any, *, most: int = 2) -> tuple[bytes, str]:
    """JSON of a document with one to `most` fields changed, and what was changed."""
    document = json.loads(json.dumps(document))
    changes = []
    for _ in range(draw.randint(1, most)):
        changes.append(_change_field(draw, document))
    text = json_text(document)
    if draw.random() < 0.05:
        return damaged_bytes(draw, text), f"{'; '.join(changes)}; and bytes"
    return text, "; ".join(changes)


def json_text(document: Any) -> bytes:
    """JSON with all that the module would write, and arrays in arrays where they are asked for."""
    text = json.dumps(document)
    deep = "[" * _DEEP_LEVELS + "]" * _DEEP_LEVELS
    return text.replace(f'"{_DEEP}"', deep).encode()


def _change_field(draw: Draw, document: Any) -> str:
    place, parent, key = _some_field(draw, document)
    if parent is None:
        return "nothing"
    kind = draw.randrange(10)
    if kind == 0:
        del parent[key]
        return f"{place} is left out"
    if kind == 1 and isinstance(parent, dict):
        name = draw.choice(("", "x", "\ud800", "__class__", "\0", str(key).upper()))
        parent[name] = copy.deepcopy(parent[key])
        return f"{place} also as {name!r}"
    if kind == 2 and isinstance(parent, list):
        parent.extend([parent[key]] * draw.choice((1, 10, 10_000)))
        return f"{place} several times"
    if kind == 3:
        parent[key] = [parent[key]]
        return f"{place} in an array"
    if kind == 4 and isinstance(parent[key], int | float) and abs(parent[key]) < 1e200:
        parent[key] = draw.choice((-1, 1e-9, 0.5, 3, 1e4, 1e6, 1e9)) * parent[key]
        return f"{place} becomes {parent[key]!r}"
    # A copy: the next change may go into it, and must not put it into itself.
    parent[key] = copy.deepcopy(draw.choice(SPECIAL))
    return f"{place} becomes {str(parent[key])[:40]!r}"


def _some_field(draw: Draw, document: Any) -> tuple[str, Any, Any]:
    """Its path, what it is in, and where in there; deeper ones as often as others."""
    places: list[tuple[str, Any, Any]] = []

    def collect(value: Any, path: str) -> None:
        keys: Sequence[Any] = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            places.append((f"{path}.{key}", value, key))
            if isinstance(value[key], dict | list):
                collect(value[key], f"{path}.{key}")

    if isinstance(document, dict | list):
        collect(document, "")
    return draw.choice(places) if places else ("", None, None)
