"""What a run of the command leaves: exit code, events and words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


class Outcome:
    """Exit code, events and words of a run."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.events: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
        self.err = err

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]


Run = Callable[..., Outcome]
