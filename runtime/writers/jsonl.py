"""Events as JSON lines."""

from __future__ import annotations

from typing import Any

from wsgn.support.terminal import json_text, without_surrogates

from ..events import Event, ProgressEvent

# A microsecond, and far below what a score means.
_DECIMALS = 6


class LineNumbers:
    """Makes the lines of one stream of events, with `seq` counting up without gaps.

    Progress is for people who watch, and gives no line.
    """

    def __init__(self) -> None:
        self._next = 0

    def line(self, event: Event) -> str:
        """The event's line with its line end, or nothing."""
        document = self.document(event)
        return "" if document is None else json_text(document) + "\n"

    def document(self, event: Event) -> dict[str, Any] | None:
        """The object of that line."""
        if isinstance(event, ProgressEvent):
            return None
        document: dict[str, Any] = {"seq": self._next} | _plain(event.to_dict())
        self._next += 1
        return document


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DECIMALS)
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
