"""Live sources as a program asks for them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from wsgn.engines.engine import Engine
from wsgn.errors import UsageError
from wsgn.support.credentials import without_credentials
from wsgn.video.addresses import STANDARD_INPUT
from wsgn.video.live.source import LiveSource, default_name, is_live

from ..events import Event
from ..pipeline import StopFlag
from .asking import answer_of, answers_of
from .options import StreamOptions
from .streams import Streams


def detect_live(
    sources: Sequence[str | os.PathLike[str] | LiveSource],
    engine: Engine,
    options: StreamOptions | None = None,
    *,
    stop: StopFlag | None = None,
) -> Iterator[Event]:
    """Find segments in cameras and streams, side by side on one engine, while they film.

    Args:
        sources: addresses (docs/live.md), `/dev/videoN`, numbers, `-`; or a `LiveSource` each,
            which also says how it is called, and plays files by their timestamps.
        engine: of `open_engine`, on frames; the same for all.
        options: what is looked for, and how sources are read.
        stop: its `request()`, of another thread or a signal handler, ends the run within 2 s.

    Returns:
        Events (docs/events.md), each with the `source` that it belongs to. They go on until every
        source has ended, which cameras do not, or `stop` is asked. Whoever takes them runs the
        engine: while nobody does, what waits grows old and is dropped.

    Raises:
        EngineError: the engine takes no frames, or fails.
        UsageError: options or sources that do not fit each other or the engine. A source that
            cannot be read is no exception but an event.
    """
    if isinstance(sources, str | os.PathLike | LiveSource):
        raise TypeError("sources must be a list of them, also where there is one.")
    options = options or StreamOptions()
    made = live_sources(sources, options.live.open_timeout_seconds)
    return Streams(made, engine, options, stop=stop).events()


def live_sources(
    sources: Sequence[str | os.PathLike[str] | LiveSource], open_timeout_seconds: float = 10.0
) -> list[LiveSource]:
    """Sources with names of their own. Raises `UsageError` for what is a file."""
    made: list[LiveSource] = []
    for one in sources:
        if not isinstance(one, LiveSource):
            one = _named(os.fspath(one), {source.name for source in made})
        made.append(one)
    played = [source.address for source in made if not source.realtime]
    answers = answers_of(
        [address for address in played if is_live(address) is None],
        lambda address: answer_of(address, open_timeout_seconds),
    )
    for address in played:
        # Where a server does not answer now, it may do later.
        if address != STANDARD_INPUT and answers.get(address, is_live(address)) is False:
            raise UsageError(
                f"'{without_credentials(address)}' is a file and no live source: give it to "
                "detect, or play it by its timestamps with LiveSource(..., realtime=True)."
            )
    return made


def _named(address: str, taken: set[str]) -> LiveSource:
    name = wanted = default_name(address)
    number = 2
    while name in taken:
        name, number = f"{wanted}-{number}", number + 1
    return LiveSource(name=name, address=address)
