"""What a case of the fuzz target is, and what a surface has to say of itself."""

from __future__ import annotations

import importlib
import json
import math
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

Draw = random.Random
# Stands in words for the folder of what is not damaged.
BASES = "{bases}"


@dataclass(frozen=True, kw_only=True)
class Case:
    """The files of one case, and the words that a command or a function is given with them."""

    # Name below the folder in which the case runs -> contents.
    files: Mapping[str, bytes] = field(default_factory=dict)
    # Name -> name of a file among the bases, to which it is a link.
    links: Mapping[str, str] = field(default_factory=dict)
    words: Sequence[str] = ()
    # What is wrong with it, for people.
    change: str = ""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a case runs; its folder is the current one."""

    bases: Path
    # What the process prints and says goes to files here.
    outputs: Path

    def printed(self) -> str:
        """All that has been printed on stdout."""
        sys.stdout.flush()
        return (self.outputs / "stdout").read_text(encoding="utf-8", errors="surrogateescape")

    def said(self) -> str:
        """All that has been said on stderr."""
        sys.stderr.flush()
        return (self.outputs / "stderr").read_text(encoding="utf-8", errors="replace")


@dataclass(frozen=True, kw_only=True)
class Surface:
    """A kind of input: how whole ones are made, how they are damaged, and who reads them."""

    name: str
    # Of the cases, beside the shares of the others.
    share: int
    # A case that nothing is wrong with; it must end with exit code 0.
    whole: Callable[[Path], Case]
    # Of a source of randomness and the folder of the bases.
    damaged: Callable[[Draw, Path], Case]
    # Reads it, and raises where a result is wrong; the exit code.
    read: Callable[[Place, Sequence[str]], int]
    # Make what `whole` and `damaged` need, in the folder of the bases.
    prepare: Callable[[Path], None] = lambda bases: None


class NotFiniteError(Exception):
    """A result holds what is no finite number."""


class SilentlyWrongError(Exception):
    """A result is wrong, and nothing says so."""


def run(module: str, words: Sequence[str]) -> int:
    """The exit code of a command, in this process."""
    code: int = importlib.import_module(module).main(list(words))
    return code


def json_lines(text: str) -> list[dict[str, Any]]:
    """Lines of JSON; raises where one is none, or holds what is no finite number."""
    return [json.loads(line, parse_constant=_refuse) for line in text.splitlines()]


def require_finite(numbers: Iterator[float], what: str) -> None:
    """Raise `NotFiniteError` for the first that is not."""
    for number in numbers:
        if not math.isfinite(number):
            raise NotFiniteError(f"{what} holds {number}")


def _refuse(word: str) -> NoReturn:
    raise NotFiniteError(f"{word} was printed")
