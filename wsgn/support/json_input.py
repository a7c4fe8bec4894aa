"""JSON files of users: whatever is wrong with one becomes a single clear sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from wsgn.errors import InputError


def read_json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; `InputError` where it cannot be read or is something else."""
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"Cannot read {str(path)!r}: {reason}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{str(path)!r} is not JSON: {error}.") from error
    return as_object(document, f"{str(path)!r}")


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
