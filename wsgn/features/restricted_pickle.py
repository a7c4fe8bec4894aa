"""A reader of pickles that runs none of them: it builds plain containers, and what `rules` admit.

Python's own unpickler calls what a file names. This one is a loop over the opcodes of binary
pickles (protocols 2 to 5, https://docs.python.org/3/library/pickletools.html) in which a global is
only a name to be looked up among the admitted ones, memory is bounded by the size of the file, and
long payloads stay in the file until somebody asks for them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from wsgn.errors import InputError

# Opcodes: a bundle of 20,000 annotated videos takes about a million. Each makes some 100 bytes.
_MAXIMUM_STEPS = 1 << 22
# The hash of a tuple goes through all that is in it, in C, where nothing can stop it.
_KEYS = (str, int, float, bytes, type(None))
# Bytes. Payloads beyond this stay in the file; names, labels and numbers are far shorter.
_LONGEST_INLINE = 4096
_LONGEST_LINE = 256
_LONGEST_INTEGER = 16


@dataclass(frozen=True, kw_only=True)
class Span:
    """A long payload that is still in its file."""

    path: Path
    # Bytes.
    offset: int
    length: int
    # Whether it is UTF-8 text.
    is_text: bool


class PickleRules(Protocol):
    """What a pickle may name and what that means; all raise `InputError` for anything else."""

    def admit(self, module: str, name: str) -> object:
        """What stands for a global."""

    def reduce(self, function: object, arguments: object) -> object:
        """What a call of an admitted global gives."""

    def build(self, target: object, state: object) -> None:
        """Give an object that `reduce` made its state."""

    def persistent(self, key: object) -> object:
        """What stands for something that lies elsewhere."""


def load_pickle(path: Path, file: IO[bytes], end: int, rules: PickleRules) -> object:
    """The one object pickled in a file between its position and `end` (bytes).

    Texts and byte strings beyond 4 kB are returned as `Span`. Raises `InputError` for what the
    rules do not admit, for other opcodes, and for damage.
    """
    machine = _Machine(path, file, end, rules)
    try:
        return machine.run()
    except (
        IndexError, KeyError, TypeError, ValueError, OverflowError, RecursionError, struct.error,
    ) as error:  # fmt: skip
        raise InputError(
            f"{path} is a damaged pickle ({type(error).__name__}: {error}): copy or make it again."
        ) from error


class _Machine:
    """The stack machine that a pickle is a program for."""

    def __init__(self, path: Path, file: IO[bytes], end: int, rules: PickleRules) -> None:
        self._path = path
        self._file = file
        self._left = end - file.tell()
        self.rules = rules
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

    def run(self) -> object:
        for _ in range(_MAXIMUM_STEPS):
            opcode = self.take(1)
            if opcode == b".":
                return self.stack.pop()
            action = _ACTIONS.get(opcode)
            if action is None:
                raise InputError(
                    f"{self._path} is a pickle with the instruction {opcode!r}, which plain arrays "
                    "and containers never need; it was not run."
                )
            action(self)
        raise InputError(f"{self._path} is a pickle of more than {_MAXIMUM_STEPS} instructions.")

    def take(self, count: int) -> bytes:
        """The next bytes."""
        self._left -= count
        if count < 0 or self._left < 0:
            raise InputError(f"{self._path} is cut short: copy or make it again.")
        return self._file.read(count)

    def number(self, layout: str) -> int:
        """The next integer, in a layout of `struct`."""
        (value,) = struct.unpack(layout, self.take(struct.calcsize(layout)))
        return int(value)

    def line(self) -> str:
        """The next line of text, without its end."""
        line = self._file.readline(_LONGEST_LINE)
        self._left -= len(line)
        if not line.endswith(b"\n") or self._left < 0:
            raise InputError(f"{self._path} is a damaged pickle: copy or make it again.")
        return line[:-1].decode("ascii")

    def integer(self) -> int:
        """The next integer of any size, which no shape or number here needs beyond 128 bits."""
        length = self.number("<B")
        if length > _LONGEST_INTEGER:
            raise InputError(f"{self._path} is a pickle with an integer of {length} bytes.")
        return int.from_bytes(self.take(length), "little", signed=True)

    def push_bytes(self, layout: str) -> None:
        length = self.number(layout)
        self.stack.append(
            self._span(length, is_text=False) if length > _LONGEST_INLINE else self.take(length)
        )

    def push_text(self, layout: str) -> None:
        length = self.number(layout)
        if length > _LONGEST_INLINE:
            self.stack.append(self._span(length, is_text=True))
        else:
            self.stack.append(self.take(length).decode("utf-8", "surrogatepass"))

    def push_tuple(self, count: int) -> None:
        items = self.stack[-count:]
        if len(items) < count:
            raise IndexError("a tuple of more than there is")
        self.stack[-count:] = [tuple(items)]

    def push_global(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("a global must be named by texts")
        self.stack.append(self.rules.admit(module, name))

    def marked(self) -> list[object]:
        """What lies above the last mark, taken from the stack."""
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def extend(self, items: list[object]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise TypeError("items for something that is not a list")
        target.extend(items)

    def update(self, items: list[object]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise TypeError("items for something that is not a dict")
        if not all(isinstance(key, _KEYS) for key in items[::2]):
            raise TypeError("a key that is no text or number")
        target.update(zip(items[::2], items[1::2], strict=True))

    def reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack.append(self.rules.reduce(self.stack.pop(), arguments))

    def build(self) -> None:
        state = self.stack.pop()
        self.rules.build(self.stack[-1], state)

    def memorise(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def _span(self, length: int, *, is_text: bool) -> Span:
        span = Span(path=self._path, offset=self._file.tell(), length=length, is_text=is_text)
        self._left -= length
        if self._left < 0:
            raise InputError(f"{self._path} is cut short: copy or make it again.")
        self._file.seek(length, 1)
        return span


def _append(machine: _Machine) -> None:
    item = machine.stack.pop()
    machine.extend([item])


def _set_item(machine: _Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.update([key, value])


def _stack_global(machine: _Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.push_global(module, name)


_ACTIONS: dict[bytes, Callable[[_Machine], object]] = {
    # Protocol and frames only help readers.
    b"\x80": lambda m: m.take(1),
    b"\x95": lambda m: m.take(8),
    # None, True, False, numbers.
    b"N": lambda m: m.stack.append(None),
    b"\x88": lambda m: m.stack.append(True),
    b"\x89": lambda m: m.stack.append(False),
    b"K": lambda m: m.stack.append(m.number("<B")),
    b"M": lambda m: m.stack.append(m.number("<H")),
    b"J": lambda m: m.stack.append(m.number("<i")),
    b"\x8a": lambda m: m.stack.append(m.integer()),
    b"G": lambda m: m.stack.append(struct.unpack(">d", m.take(8))[0]),
    # Byte strings, those of Python 2 too, and texts.
    b"U": lambda m: m.push_bytes("<B"),
    b"T": lambda m: m.push_bytes("<i"),
    b"C": lambda m: m.push_bytes("<B"),
    b"B": lambda m: m.push_bytes("<I"),
    b"\x8e": lambda m: m.push_bytes("<Q"),
    b"\x96": lambda m: m.push_bytes("<Q"),
    b"\x8c": lambda m: m.push_text("<B"),
    b"X": lambda m: m.push_text("<I"),
    b"\x8d": lambda m: m.push_text("<Q"),
    # Containers.
    b"(": lambda m: m.marks.append(len(m.stack)),
    b")": lambda m: m.stack.append(()),
    b"\x85": lambda m: m.push_tuple(1),
    b"\x86": lambda m: m.push_tuple(2),
    b"\x87": lambda m: m.push_tuple(3),
    b"t": lambda m: m.stack.append(tuple(m.marked())),
    b"]": lambda m: m.stack.append([]),
    b"l": lambda m: m.stack.append(m.marked()),
    b"a": _append,
    b"e": lambda m: m.extend(m.marked()),
    b"}": lambda m: m.stack.append({}),
    b"s": _set_item,
    b"u": lambda m: m.update(m.marked()),
    # The memo, for what occurs again.
    b"q": lambda m: m.memorise(m.number("<B")),
    b"r": lambda m: m.memorise(m.number("<I")),
    b"\x94": lambda m: m.memorise(len(m.memo)),
    b"h": lambda m: m.stack.append(m.memo[m.number("<B")]),
    b"j": lambda m: m.stack.append(m.memo[m.number("<I")]),
    # What the rules decide on.
    b"c": lambda m: m.push_global(m.line(), m.line()),
    b"\x93": _stack_global,
    b"R": lambda m: m.reduce(),
    b"\x81": lambda m: m.reduce(),
    b"Q": lambda m: m.stack.append(m.rules.persistent(m.stack.pop())),
    b"b": lambda m: m.build(),
}
