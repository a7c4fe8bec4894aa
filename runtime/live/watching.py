"""Who looks on at a run over live sources, and what is known of it at a moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from wsgn.localization.online.smoother import SnippetScore

from .pace import EngineStatistics
from .running import SourceStatistics


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What is known of a run at this moment."""

    sources: Mapping[str, SourceStatistics]
    engine: EngineStatistics


class Watcher(Protocol):
    """Hears of what gives no event, in the thread that runs the engine: its methods return at once
    and raise nothing.
    """

    def scored(self, source: str, scores: SnippetScore, unix_offset: float) -> None:
        """Smoothed scores of a snippet; the wall clock is so far ahead of its media time."""
        ...

    def landed(self, num_snippets: int, seconds: float) -> None:
        """The engine has answered a batch, in so many seconds."""
        ...

    def ticked(self, statistics: Statistics) -> None:
        """Twice a second."""
        ...
