"""Frozen dataclasses to and from JSON: unknown keys, wrong types and endless numbers are errors."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import dacite

from wsgn.errors import UsageError

Record = TypeVar("Record")

# Characters of a wrong value that a message shows.
_MOST_SHOWN = 60
# Whole numbers are smaller than this in size, as seeds are; JSON itself knows no bound.
_BOUND = 1 << 64
_KINDS: dict[Any, tuple[str, str]] = {
    str: ("a text", "texts"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "true or false"),
    type(None): ("null", "null"),
}


class _Finite:
    """What a message wants in place of NaN, an infinity, or more than a float can hold."""


class _Bounded:
    """What a message wants in place of a whole number beyond `_BOUND`."""


_KINDS |= {
    _Finite: ("a finite number", "finite numbers"),
    _Bounded: ("a whole number under 2^64", "whole numbers under 2^64"),
}


def record_from_dict(kind: type[Record], document: Mapping[str, Any], *, what: str) -> Record:
    """Build a dataclass from a JSON object.

    `what` names the document in the message of the `UsageError` that a wrong one gets.
    """
    hashable: Any = kind
    settings = dacite.Config(strict=True, type_hooks=_hooks(hashable))
    try:
        return dacite.from_dict(kind, _with_tuples(document), settings)
    except dacite.WrongTypeError as error:
        raise UsageError(f"{what} is not valid: {_wrong_type(error)}.") from error
    except dacite.DaciteError as error:
        raise UsageError(f"{what} is not valid: {error}.") from error
    except RecursionError as error:
        raise UsageError(f"{what} is nested too deeply.") from error


def record_to_dict(record: Any) -> dict[str, Any]:
    """The JSON object of a dataclass; tuples become lists when it is written."""
    return dataclasses.asdict(record)


@functools.cache
def _hooks(kind: type) -> dict[Any, Callable[[Any], Any]]:
    """What dacite must not do on its own: turn a text into a list, or `true` into a number."""
    hooks: dict[Any, Callable[[Any], Any]] = {float: _exact_float, int: _bounded_int}
    seen: set[Any] = set()
    waiting: list[Any] = [kind]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        if get_origin(one) in (tuple, dict):
            hooks[one] = functools.partial(_exact_collection, one)
        waiting += get_args(one)
        if dataclasses.is_dataclass(one):
            waiting += get_type_hints(one).values()
    return hooks


def _exact_collection(kind: Any, value: Any) -> Any:
    # Of items as well: what is wrong with one would be said without the list around it.
    items = value if get_args(kind)[1:] == (...,) and isinstance(value, tuple) else ()
    if not _fits(kind, value) or not all(_fits(get_args(kind)[0], item) for item in items):
        raise dacite.WrongTypeError(kind, value)
    return value


def _exact_float(value: Any) -> float:
    if not _fits(float, value):
        raise dacite.WrongTypeError(float, value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise dacite.WrongTypeError(_Finite, value)
    return number


def _bounded_int(value: Any) -> Any:
    if isinstance(value, bool):
        raise dacite.WrongTypeError(int, value)
    if isinstance(value, int) and abs(value) >= _BOUND:
        raise dacite.WrongTypeError(_Bounded, value)
    return value


def _fits(kind: Any, value: object) -> bool:
    """As far as dacite does not look; the rest is left to it."""
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    origin = get_origin(kind)
    return isinstance(value, origin) if origin in (tuple, dict) else True


def _with_tuples(value: Any) -> Any:
    """Lists as tuples, which is what fields are; a text must not become one."""
    if isinstance(value, Mapping):
        return {key: _with_tuples(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_with_tuples(item) for item in value)
    return value


def _wrong_type(error: dacite.WrongTypeError) -> str:
    shown = json.dumps(error.value, ensure_ascii=False, default=str)
    if len(shown) > _MOST_SHOWN:
        shown = shown[: _MOST_SHOWN - 3] + "..."
    return f"'{error.field_path}' must be {_in_words(error.field_type)}, got {shown}"


def _in_words(kind: Any, *, many: bool = False) -> str:
    """What JSON calls a type, one or many of it."""
    if kind in _KINDS:
        return _KINDS[kind][many]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(_in_words(one, many=many) for one in arguments)
    if origin is tuple and not many:
        return f"a list of {_in_words(arguments[0], many=True)}"
    return ("a list", "lists")[many] if origin is tuple else ("an object", "objects")[many]
