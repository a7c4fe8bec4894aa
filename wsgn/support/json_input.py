"""JSON of users: whatever is wrong with it becomes a single clear sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from wsgn.errors import InputError, WsgnError
from wsgn.support.files import no_regular_file
from wsgn.support.terminal import holds_controls, quoted

# More is no file of this project: two million detections are a fifth of it.
_MOST_BYTES = 1 << 30


def read_object(
    source: Path | str, *, what: str | None = None, error: type[WsgnError] = InputError
) -> dict[str, Any]:
    """The object in a JSON file, or in a JSON text, as `read_json` reads it."""
    what = what or f"'{source}'"
    return whole_object(read_json(source, what=what, error=error), what, error=error)


def whole_object(
    document: object, what: str, *, error: type[WsgnError] = InputError
) -> dict[str, Any]:
    """A document, which must be an object; `what` names it in the error."""
    if not isinstance(document, dict):
        raise error(
            f"{what} must be a JSON object: {_kind(document)} stands where an object is needed."
        )
    return document


def read_json(
    source: Path | str, *, what: str | None = None, error: type[WsgnError] = InputError
) -> Any:
    """What a JSON file, or a JSON text, holds.

    Stricter than `json.loads`: a key that stands twice in an object, NaN, Infinity and other
    encodings than UTF-8 are refused. `what` names the document in the sentence of the `error` that
    is raised, by default the file's path.
    """
    what = what or f"'{source}'"

    def refuse(reason: str, cause: Exception | None = None) -> NoReturn:
        raise error(f"{what} {reason}.") from cause

    try:
        text = source if isinstance(source, str) else _read_text(source)
        return _Decoder().decode(text)
    except OSError as cause:
        refuse(f"cannot be read: {cause.strerror or type(cause).__name__}", cause)
    except RecursionError as cause:
        refuse("is nested too deeply: it is not JSON that can be read", cause)
    except UnicodeDecodeError as cause:
        refuse(f"is not JSON: it cannot be read as UTF-8 ({cause.reason})", cause)
    except _RefusedError as cause:
        refuse(str(cause), cause)
    # Not only JSONDecodeError: whole numbers of thousands of digits are refused as well.
    except ValueError as cause:
        refuse(f"is not JSON: {cause}", cause)


def _read_text(path: Path) -> str:
    if what := no_regular_file(path):
        raise _RefusedError(f"is {what} where a file is needed")
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise _RefusedError(f"is larger than {_MOST_BYTES >> 20} MiB")
    return data.decode("utf-8-sig")


class _RefusedError(ValueError):
    """JSON that `json` would read, and that means nothing or two things; what is wrong with it."""


class _Decoder(json.JSONDecoder):
    """Refuses what is no JSON by its standard, and keys that stand twice."""

    def __init__(self) -> None:
        super().__init__(object_pairs_hook=self._as_dict, parse_constant=self._take_constant)
        # NaN or an infinity that has been read, and whose place is not known yet.
        self._constant: float | None = None

    def decode(self, text: str, *arguments: Any) -> Any:
        """The document. Raises `ValueError`, and `RecursionError`."""
        document = super().decode(text, *arguments)
        if self._constant is not None:
            raise _RefusedError(f"holds {self._constant} where a finite number is needed")
        return document

    def _take_constant(self, name: str) -> float:
        self._constant = float(name)
        return self._constant

    def _as_dict(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in found if keys.count(key) > 1)
            raise _RefusedError(f"has the key {twice!r} twice in one object")
        if self._constant is not None:
            for key, value in pairs:
                if any(map(_is_constant, value if isinstance(value, list) else [value])):
                    raise _RefusedError(
                        f"has {self._constant} where a finite number is needed, in {key!r}"
                    )
        return found


def _is_constant(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def as_object(value: object, where: str) -> dict[str, Any]:
    """The value, which must be a JSON object; `where` names it in the error."""
    if not isinstance(value, dict):
        raise InputError(f"{where} is {_kind(value)} where an object is needed.")
    return value


def as_list(value: object, where: str) -> list[Any]:
    """The value, which must be a JSON list; `where` names it in the error."""
    if not isinstance(value, list):
        raise InputError(f"{where} is {_kind(value)} where a list is needed.")
    return value


def as_text(value: object, where: str) -> str:
    """The value, which must be a non-empty string; `where` names it in the error."""
    if not isinstance(value, str) or not value:
        raise InputError(f"{where} is {_kind(value)} where a name is needed.")
    return value


def as_label(value: object, where: str) -> str:
    """The name of a class, which holds no control characters; `where` names it in the error."""
    name = as_text(value, where)
    if holds_controls(name):
        raise InputError(
            f"{where} is {quoted([name])}, which holds a control character: name it otherwise."
        )
    return name


def as_number(value: object, where: str) -> float:
    """The value, which must be a finite number; `where` names it in the error."""
    # The first test is the usual case and the only one that costs in files of a million numbers.
    if type(value) is float and math.isfinite(value):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{where} is {_kind(value)} where a number is needed.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InputError(f"{where} is {number} where a finite number is needed.")
    return number


def as_segment(value: object, where: str) -> tuple[float, float]:
    """Start and end in seconds of a `[start, end]` pair that must not run backwards."""
    if not isinstance(value, list) or len(value) != 2:
        raise InputError(f"{where} is not a [start, end] pair of seconds.")
    start, end = as_number(value[0], f"{where} start"), as_number(value[1], f"{where} end")
    if end < start:
        raise InputError(f"{where} ends at {end} s, before it starts at {start} s.")
    return start, end


def member(holder: dict[str, Any], key: str, where: str) -> Any:
    """`holder[key]`; `InputError` where the key is missing."""
    if key not in holder:
        raise InputError(f"{where} has no {key!r}.")
    return holder[key]


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", type(None): "null"}
    if value == "":
        return "empty"
    return names.get(type(value), "a number")
