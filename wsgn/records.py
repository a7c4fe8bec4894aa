"""Frozen dataclasses to and from JSON: unknown keys and wrong types are errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import dacite

from wsgn.errors import UsageError

Record = TypeVar("Record")


def _exact_float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise dacite.WrongTypeError(float, value)
    return float(value)


def record_from_dict(kind: type[Record], document: Mapping[str, Any], *, what: str) -> Record:
    """Build a dataclass from a JSON object.

    `what` names the document in the message of the `UsageError` that a wrong one gets.
    """
    settings = dacite.Config(strict=True, cast=[tuple], type_hooks={float: _exact_float})
    try:
        return dacite.from_dict(kind, document, settings)
    except dacite.DaciteError as error:
        raise UsageError(f"{what} is not valid: {error}.") from error


def record_to_dict(record: Any) -> dict[str, Any]:
    """The JSON object of a dataclass; tuples become lists when it is written."""
    return dataclasses.asdict(record)
