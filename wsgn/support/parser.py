"""What the commands' parsers share: usage errors in one sentence, and every default in the help."""

from __future__ import annotations

import argparse
import difflib
import math
import re
from pathlib import Path
from typing import Any, NoReturn

from wsgn.errors import UsageError
from wsgn.support.counts import bytes_of

# What a value is called in the help, where an option has no word of its own.
_METAVARS: dict[Any, str] = {int: "N", float: "X", Path: "PATH"}
_KINDS = {"int": "a whole number", "float": "a number", "finite_number": "a number"}
# More than a sentence needs of what was typed.
_MOST_LETTERS = 60
# Of these values the name of the option says all.
_SILENT = (None, False, True, argparse.SUPPRESS)


class CommandParser(argparse.ArgumentParser):
    """A parser whose usage errors are a `UsageError` of one sentence, and whose help has defaults.

    Options of one value are called N, X, PATH or NAME where nothing else was said. Descriptions
    with line ends keep them.
    """

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", _Help)
        super().__init__(**settings)

    def error(self, message: str) -> NoReturn:
        """Raise the sentence; `run_command` and `wsgn-run` say it."""
        # Scripts are called by their path, which stands in the user's own line.
        name = f"{self.prog} " if self.prog.startswith("wsgn") else ""
        raise UsageError(f"{self._sentence(message)}; see {name}--help.")

    def _sentence(self, message: str) -> str:
        """argparse's message in the words of other sentences; as it is where it has another one."""
        if found := re.fullmatch(r"argument (\S+): invalid (\w+) value: (.*)", message, re.DOTALL):
            option, kind, value = found.groups()
            return f"{option} must be {_KINDS.get(kind, 'of another form')}, got {_short(value)}"
        if found := re.fullmatch(
            r"argument (\S+): invalid choice: (.*) \(choose from (.*)\)", message, re.DOTALL
        ):
            option, value, names = found.groups()
            return f"{option} must be one of {names.replace(chr(39), '')}, got {_short(value)}"
        if found := re.fullmatch(r"argument (\S+): not allowed with argument (\S+)", message):
            return f"{found[2]} and {found[1]} exclude each other"
        if found := re.fullmatch(r"argument (\S+): expected (.*)", message):
            return f"{found[1]} expects {found[2]}"
        if found := re.fullmatch(r"argument (\S+): (.*)", message, re.DOTALL):
            link = " " if found[2].startswith("must ") else ": "
            return f"{found[1]}{link}{found[2]}"
        if found := re.fullmatch(r"unrecognized arguments: (--[\w-]+).*", message, re.DOTALL):
            near = difflib.get_close_matches(found[1], self._option_string_actions, n=1)
            return f"there is no option {found[1]}" + (f"; {near[0]} is near it" if near else "")
        return message


class _Help(argparse.HelpFormatter):
    """Every default, short names of values, and text with line ends as it is."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        words, default = action.help, action.default
        is_told = "default" in (words or "") or not action.option_strings
        if is_told or any(default is value for value in _SILENT) or default in ([], (), ""):
            return words
        return f"{words or ''} (default: {default_text(default)})".lstrip()

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        return _METAVARS.get(action.type, "NAME")

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return "".join(f"{indent}{line}" for line in text.splitlines(keepends=True))
        return super()._fill_text(text, width, indent)


def finite_number(text: str) -> float:
    """A `type` of options: nothing is more than nan, or less."""
    number = float(text)
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"must be a finite number, got {text}")
    return number


def size_in_bytes(text: str) -> int:
    """A `type` of options; see `wsgn.support.counts.bytes_of`."""
    size = bytes_of(text)
    if size is None:
        raise argparse.ArgumentTypeError(f"must be a size such as 1GB or 500MB, got {_short(text)}")
    return size


def default_text(value: object) -> str:
    """A default as one would type it, for `help` texts."""
    if isinstance(value, (tuple, list)):
        return " ".join(map(default_text, value))
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text.replace("%", "%%")


def _short(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}..."
