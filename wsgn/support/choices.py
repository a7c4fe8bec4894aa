"""Fields of a dataclass that hold one of some names."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from wsgn.errors import UsageError

_KEY = "choices"


def one_of(choices: Sequence[str], default: str) -> str:
    """A field whose value is one of the names; a parser finds them with `choices_of`."""
    chosen: str = dataclasses.field(default=default, metadata={_KEY: tuple(choices)})
    return chosen


def choices_of(field: dataclasses.Field[Any]) -> tuple[str, ...] | None:
    """The names that a field of `one_of` takes; None for any other."""
    return field.metadata.get(_KEY)


def require_choices(record: Any) -> None:
    """Refuse a dataclass with a field of `one_of` that holds none of its names."""
    for field in dataclasses.fields(record):
        choices, value = choices_of(field), getattr(record, field.name)
        if choices is not None and value not in choices:
            raise UsageError(f"{field.name} must be one of {', '.join(choices)}, got '{value}'.")
